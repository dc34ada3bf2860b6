package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// lockPatience is how long Lock waits for another process.
const lockPatience = time.Minute

// openSQLite opens a file so that what is committed survives a loss of power:
// the write-ahead log is synced before a commit returns.
func openSQLite(ctx context.Context, path string, pragmas []string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open the store: make its folder: %w; name a file in a folder that can be written, with store: {sqlite: PATH}", err)
	}
	db, err := sql.Open("sqlite", SQLiteDSN(path, url.Values{
		// Writers of other processes wait for each other instead of failing.
		"_pragma": append(slices.Clone(pragmas), "busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(1)"),
		// A transaction takes the write lock when it begins: to take it later
		// would fail at once where another process holds it.
		"_txlock": {"immediate"},
	}))
	if err != nil {
		return nil, fmt.Errorf("open the store %q: %w", path, err)
	}
	// SQLite has one writer. Waiting in the pool is fair, its lock is not.
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store %q: %w; name a file that can be written, with store: {sqlite: PATH}", path, err), db.Close())
	}
	return &DB{DB: db, Dialect: SQLite, lockFile: path + ".lock"}, nil
}

// Lock waits until this process alone holds the given file and returns what lets
// it go. It gives up after a minute. SQLite does the locking, so it works on
// every system and ends with the process. The file stays, and is empty: it
// cannot be the store itself, which is to be written to meanwhile.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	unlock, held, err := lockWithin(ctx, path, lockPatience)
	if err == nil && held {
		err = fmt.Errorf("another process holds %q", path)
	}
	return unlock, err
}

// TryLock is Lock for who does not wait: held reports that another process, or
// another caller in this one, has the file.
func TryLock(ctx context.Context, path string) (unlock func(), held bool, err error) {
	return lockWithin(ctx, path, 0)
}

func lockWithin(ctx context.Context, path string, patience time.Duration) (unlock func(), held bool, err error) {
	db, err := sql.Open("sqlite", SQLiteDSN(path, url.Values{
		"_pragma": {"busy_timeout(" + strconv.FormatInt(patience.Milliseconds(), 10) + ")"},
		"_txlock": {"exclusive"},
	}))
	if err != nil {
		return nil, false, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		if closing := db.Close(); isBusy(err) && closing == nil {
			return nil, true, nil
		}
		return nil, false, err
	}
	return func() {
		// Nothing was written, and closing the file lets go in any case.
		_ = tx.Rollback()
		_ = db.Close()
	}, false, nil
}

// SQLiteDSN is the driver's name for a file. It escapes the path, in which "?",
// "#" and "%" would otherwise mean something.
func SQLiteDSN(path string, options url.Values) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + options.Encode()
}
