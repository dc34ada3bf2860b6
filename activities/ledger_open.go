package activities

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrated is the table in which goose keeps the version of the ledger's
// tables. It has a name of its own because the database may be shared with a
// program that uses goose too.
const migrated = "ledger_migrations"

// migrationLock is the PostgreSQL advisory lock that migrating workers take,
// for the same reason not goose's default.
const migrationLock = 0x686f6f6b79617264 // "hookyard"

// postgresConnections bounds the connections of one worker to PostgreSQL,
// which allows 100 in all by default. Activities wait for a free one.
const postgresConnections = 10

// OpenSQLite opens the ledger in the given file, creates the file and its
// folder where they are missing, and brings its tables up to date. Several
// processes may open the same file at once: they take turns by means of a
// second, empty file with the suffix ".lock", which is left behind. The
// context bounds the opening only. The caller closes Ledger.DB.
func OpenSQLite(ctx context.Context, path string, options ...LedgerOption) (*Ledger, error) {
	if path == "" {
		return nil, errors.New("open the ledger: the path of the SQLite file is empty")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open the ledger: make its folder: %w", err)
	}
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return nil, fmt.Errorf("open the ledger %q: wait for another process that opens it: %w", path, err)
	}
	defer unlock()

	db, err := chosen(options).open("sqlite", sqliteDSN(path, url.Values{
		// Readers do not wait for the writer, and writers of other
		// processes wait for each other instead of failing.
		"_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "foreign_keys(1)"},
		// Upgrading a read lock inside a transaction does not wait.
		"_txlock": {"immediate"},
		// Text that sorts and that SQLite's own functions read.
		"_time_format": {"sqlite"},
	}))
	if err != nil {
		return nil, fmt.Errorf("open the ledger %q: %w", path, err)
	}
	// SQLite has one writer. Waiting in the pool is fair, its lock is not.
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, goose.DialectSQLite3, db); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger %q: %w", path, err), db.Close())
	}
	return &Ledger{DB: db}, nil
}

// OpenPostgres connects to the ledger at the given DSN, either a URL
// ("postgres://user:password@host:5432/database") or keywords ("host=…
// dbname=…"), and brings its tables up to date in the schema that the DSN's
// search_path names first. Workers that start at once take turns for up to a
// minute, so the DSN has to lead to PostgreSQL itself or to a pooler in session
// mode. Errors never hold the DSN. The context bounds the opening only. The
// caller closes Ledger.DB.
func OpenPostgres(ctx context.Context, dsn string, options ...LedgerOption) (*Ledger, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("open the ledger: the PostgreSQL DSN cannot be read; want postgres://user:password@host:5432/database")
	}
	turns, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	db := chosen(options).openDB(stdlib.GetConnector(*config))
	db.SetMaxOpenConns(postgresConnections)
	if err := migrate(ctx, goose.DialectPostgres, db, goose.WithSessionLocker(turns)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger on PostgreSQL: %s", databaseError(err)), db.Close())
	}
	return &Ledger{DB: db}, nil
}

func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, options ...goose.ProviderOption) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db, files, append(options, goose.WithTableName(migrated))...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// lockFile waits until this process alone holds the given file and returns
// what lets it go. SQLite does the locking, so it works on every system and
// ends with the process. It cannot be the ledger's own file: the migration is
// to write to that one.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, url.Values{
		"_pragma": {"busy_timeout(60000)"},
		"_txlock": {"exclusive"},
	}))
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() {
		// Nothing was written, and closing the file lets go in any case.
		_ = tx.Rollback()
		_ = db.Close()
	}, nil
}

// sqliteDSN escapes the path, in which "?", "#" and "%" would otherwise mean
// something.
func sqliteDSN(path string, options url.Values) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + options.Encode()
}
