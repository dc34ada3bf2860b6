package store

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Describe returns an error that says what went wrong without saying how we
// connect: pgx names the user and the database of the DSN in an error about
// connecting. What errors.Is and errors.As find below that stays.
func Describe(err error) error {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) && connecting.Unwrap() != nil {
		return connecting.Unwrap()
	}
	return err
}

// code returns SQLite's result code without its extended part; ok is false for
// any other error.
func code(err error) (int, bool) {
	lite, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return 0, false
	}
	return lite.Code() & 0xff, true
}

func isBusy(err error) bool {
	c, ok := code(err)
	return ok && (c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED)
}

// IsCorrupt reports whether SQLite found that a file is damaged or is none of
// its own.
func IsCorrupt(err error) bool {
	c, ok := code(err)
	return ok && (c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB)
}

// IsFull reports whether SQLite found no room: on the disk, or below the limit
// of pages.
func IsFull(err error) bool {
	c, ok := code(err)
	return ok && c == sqlite3.SQLITE_FULL
}
