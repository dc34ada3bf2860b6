package trial

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	_ "modernc.org/sqlite" // the driver of a ledger in a file
)

// ledger is the database that the workers write payments to. It can be hurt,
// and it is read when all is over.
type ledger interface {
	target
	// setting is the value of `ledger` in the config.
	setting() string
	// rows counts the payments that it holds of each event, by source and
	// event id, "source:event id".
	rows(ctx context.Context) (map[string]int, error)
}

// countRows reads what every ledger has.
func countRows(ctx context.Context, db *sql.DB) (map[string]int, error) {
	rows, err := db.QueryContext(ctx, "select source, event_id, count(*) from ledger_payments group by source, event_id")
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var source, id string
		var n int
		if err := rows.Scan(&source, &id, &n); err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		counts[source+":"+id] = n
	}
	return counts, rows.Err()
}

// sqliteLedger is a file.
//
// Its disk is full when the workers may write no byte to any file
// (RLIMIT_FSIZE): that hits their mail folder, too, as a full disk does. It
// can be read and not written while another connection holds its write lock,
// as a backup does that hangs: changing the file's mode would not stop a
// process that has it open, nor root.
type sqliteLedger struct {
	path    string
	workers func() []int // the process ids
}

func (l *sqliteLedger) setting() string { return "{sqlite: ledger.db}" }

func (l *sqliteLedger) open() (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+l.path+"?_pragma=busy_timeout(5000)")
}

func (l *sqliteLedger) rows(ctx context.Context) (map[string]int, error) {
	db, err := l.open()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return countRows(ctx, db)
}

func (l *sqliteLedger) begin(ctx context.Context, f Fault) (func(context.Context) error, error) {
	if f.Kind == ReadOnly {
		return l.lock(ctx)
	}
	return func(context.Context) error { return l.limit(unlimited) }, l.limit(0)
}

// limit bounds how large a file the workers may write. One that was started
// anew meanwhile has no limit.
func (l *sqliteLedger) limit(size uint64) error {
	var failed []error
	for _, worker := range l.workers() {
		failed = append(failed, limitFileSize(worker, size))
	}
	return errors.Join(failed...)
}

// lock takes the write lock until the fault ends.
func (l *sqliteLedger) lock(ctx context.Context) (func(context.Context) error, error) {
	db, err := l.open()
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if _, err := conn.ExecContext(ctx, "begin immediate"); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the ledger: %w", err), conn.Close(), db.Close())
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, err := conn.ExecContext(ctx, "rollback")
		return errors.Join(err, conn.Close(), db.Close())
	}, nil
}
