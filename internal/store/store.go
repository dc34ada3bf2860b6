// Package store is the one small SQL store of Hookyard: a SQLite file, or a
// PostgreSQL database that several processes share. What needs tables brings its
// own migrations and gets a *sql.DB. Nothing is opened before Open, so a program
// that stores nothing pays for no connection, file or goroutine.
//
// One text of SQL serves both databases, if it holds to this:
//   - placeholders are $1, $2 and so on;
//   - types are text, bigint, bytea and boolean: SQLite takes any type name;
//   - a time is a bigint of microseconds since 1970 (time.Time.UnixMicro), which
//     sorts and compares in both;
//   - an insert that may be a repetition says "on conflict (…) do nothing" and
//     looks at the number of rows.
//
// Where the two differ, such as SKIP LOCKED, DB.Dialect tells.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Dialect is the database behind a DB.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Options say where the store is: exactly one of SQLite and Postgres is set.
type Options struct {
	// SQLite is the path of a file. It and its folder are created where they
	// are missing.
	SQLite string
	// Postgres is a DSN: "postgres://user:password@host:5432/database" or
	// keywords. No error repeats it.
	Postgres string
	// Pragmas are further ones of SQLite, such as "auto_vacuum(incremental)", in
	// force before the file is made.
	Pragmas []string
	// Connections bounds the connections to PostgreSQL; default 10. SQLite has
	// one connection, always.
	Connections int
}

// DB is an open store. All methods of sql.DB are safe for use by several
// goroutines.
//
// SQLite has one connection: a query whose rows are still open keeps it, so a
// statement inside a loop over rows would wait for ever. Read the rows first, or
// use one sql.Tx for both.
type DB struct {
	*sql.DB
	Dialect Dialect
	// lockFile is what migrating processes take turns by; empty for PostgreSQL.
	lockFile string
}

// Open connects to the store. The context bounds the opening only. The caller
// calls Close. PostgreSQL that is away is an error here; later on, each statement
// that meets it fails and the next one connects again.
func Open(ctx context.Context, o Options) (*DB, error) {
	switch {
	case o.SQLite != "" && o.Postgres != "":
		return nil, errors.New("open the store: both a SQLite file and a PostgreSQL DSN are set; keep one")
	case o.SQLite != "":
		return openSQLite(ctx, o.SQLite, o.Pragmas)
	case o.Postgres != "":
		return openPostgres(ctx, o)
	}
	return nil, errors.New("open the store: neither a SQLite file nor a PostgreSQL DSN is set")
}

// Part is a package's own tables in the store.
type Part struct {
	// Name is of a-z and "_", and never changes: the version of the part's
	// tables is kept in the table hookyard_NAME_migrations.
	Name string
	// Migrations has goose's files, 00001_what.sql, in its root. A file that
	// was released is never edited.
	Migrations fs.FS
}

// Migrate brings the tables of a part up to date. Processes that do so at once
// take turns, for up to a minute.
func (db *DB) Migrate(ctx context.Context, part Part) error {
	wrap := func(err error) error {
		return fmt.Errorf("bring the tables %q of the store up to date: %w", part.Name, Describe(err))
	}
	options := []goose.ProviderOption{goose.WithTableName("hookyard_" + part.Name + "_migrations"), goose.WithDisableGlobalRegistry(true)}
	dialect := goose.DialectSQLite3
	if db.Dialect == Postgres {
		dialect = goose.DialectPostgres
		turns, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 60))
		if err != nil {
			return wrap(err)
		}
		options = append(options, goose.WithSessionLocker(turns))
	} else {
		unlock, err := Lock(ctx, db.lockFile)
		if err != nil {
			return wrap(fmt.Errorf("wait for another process that does so: %w", err))
		}
		defer unlock()
	}
	provider, err := goose.NewProvider(dialect, db.DB, part.Migrations, options...)
	if err != nil {
		return wrap(err)
	}
	if _, err = provider.Up(ctx); err != nil {
		return wrap(err)
	}
	return nil
}
