package journal

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/hookyard/hookyard/internal/store"
)

const (
	// leaseFor is how long a holder that is gone keeps a source from being
	// drained. It is renewed three times as often.
	leaseFor   = 6 * time.Second
	renewEvery = leaseFor / 3
)

// lease says which sources this process drains: of PostgreSQL, those that no
// other edge does; of SQLite, all or none, as only one process drains a file.
//
// It keeps order and saves work. Two that drain one source, because one was
// stopped for longer than its lease, do no harm: Temporal starts an event once.
type lease struct {
	j       *Journal
	holder  string
	held    []string
	until   time.Time
	renewed time.Time
	unlock  func() // of SQLite's lock file; nil while another process has it
}

func newLease(j *Journal) *lease { return &lease{j: j, holder: rand.Text()} }

// holds reports whether this process may start records of the source.
func (l *lease) holds(source string) bool {
	if l.j.o.Postgres == "" {
		return l.unlock != nil
	}
	return time.Now().Before(l.until) && slices.Contains(l.held, source)
}

// renew takes what is free, and keeps what is held.
func (l *lease) renew(ctx context.Context, t *Tables, sources []string) {
	if t.db.Dialect == store.SQLite {
		if l.unlock == nil {
			unlock, held, err := store.TryLock(ctx, t.file+".drain")
			if err == nil && !held {
				l.unlock = unlock
			}
		}
		return
	}
	missing := slices.ContainsFunc(sources, func(s string) bool { return !slices.Contains(l.held, s) })
	if !missing && time.Since(l.renewed) < renewEvery {
		return
	}
	asked := time.Now()
	held, err := t.lease(ctx, l.holder, sources)
	if err != nil {
		l.j.o.Logger.Debug("journal: the leases cannot be renewed", "err", store.Describe(err))
		return
	}
	l.held, l.renewed, l.until = held, asked, asked.Add(leaseFor)
}

// release lets others take over at once.
func (l *lease) release(ctx context.Context) {
	if l.unlock != nil {
		l.unlock()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if t := l.j.tables.Load(); t != nil && t.db.Dialect == store.Postgres {
		_, _ = t.db.ExecContext(ctx, "delete from journal_leases where holder = $1", l.holder) // else they run out
	}
}

// lease takes the sources that are free, for the holder, and returns all that it
// then has. A row that another edge is taking at this moment is skipped.
func (t *Tables) lease(ctx context.Context, holder string, sources []string) (held []string, err error) {
	if _, err := t.db.ExecContext(ctx, "insert into journal_leases (source, holder, until) select s, '', 0 from unnest($1::text[]) as s on conflict do nothing", sources); err != nil {
		return nil, err
	}
	rows, err := t.db.QueryContext(ctx, `update journal_leases set holder = $1, until = (extract(epoch from clock_timestamp()) * 1e6)::bigint + $2
		where source in (select source from journal_leases
			where (holder = $1 or until < (extract(epoch from clock_timestamp()) * 1e6)::bigint) for update skip locked)
		returning source`, holder, leaseFor.Microseconds())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var source string
		if err := rows.Scan(&source); err != nil {
			return nil, err
		}
		held = append(held, source)
	}
	return held, rows.Err()
}
