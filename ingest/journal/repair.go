package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hookyard/hookyard/internal/store"
)

// Aside is a record that was set aside, and why.
type Aside struct {
	Record     // whose Seq is its id among those that were set aside
	Reason     string
	Error      string
	SetAsideAt time.Time
}

// The errors of Retry, Drop and Show.
var (
	ErrNoRecord = errors.New("no such record is set aside")
	ErrWaiting  = errors.New("the journal has an event of this Workflow Id already, which starts by itself")
)

// Some says which records a list has.
type Some struct {
	Source string // "" is all
	Reason string // of those that were set aside; "" is all
	After  int64  // those with a higher Seq than this
	Limit  int    // so many at most
}

// listed are the columns of a list, which has no payloads.
const listed = "source, workflow_id, appended_at, is_json, header, null, crc"

// Waiting lists the records that wait for the drain, in the order of arrival,
// without their payloads.
func (t *Tables) Waiting(ctx context.Context, some Some) ([]Record, error) {
	return t.records(ctx, "select seq, "+listed+" from journal where $1 in ('', source) and seq > $2 order by seq limit $3", some.Source, some.After, some.Limit)
}

// SetAside lists the records that were set aside, in that order, without their
// payloads.
func (t *Tables) SetAside(ctx context.Context, some Some) ([]Aside, error) {
	return t.asides(ctx, "select id, "+listed+", reason, error, set_aside_at from journal_set_aside where $1 in ('', source) and $2 in ('', reason) and id > $3 order by id limit $4",
		some.Source, some.Reason, some.After, some.Limit)
}

func (t *Tables) asides(ctx context.Context, query string, args ...any) (found []Aside, err error) {
	rows, err := t.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			a                Aside
			reason, text, at any // which damage may have given another type
		)
		a.cipher = t.cipher
		if err := a.scan(rows, &reason, &text, &at); err != nil {
			return nil, err
		}
		a.Reason, a.Error = string(bytesOf(reason)), string(bytesOf(text))
		if micros, ok := at.(int64); ok {
			a.SetAsideAt = time.UnixMicro(micros)
		}
		found = append(found, a)
	}
	return found, rows.Err()
}

// Find returns what is there of a Workflow Id: in the journal, at most one, and
// among those that were set aside, ten at most.
func (t *Tables) Find(ctx context.Context, workflowID string) (waiting []Record, aside []Aside, err error) {
	waiting, err = t.records(ctx, "select seq, "+columns+" from journal where workflow_id = $1", workflowID)
	if err == nil {
		aside, err = t.asides(ctx, "select id, "+columns+", reason, error, set_aside_at from journal_set_aside where workflow_id = $1 order by id limit 10", workflowID)
	}
	return waiting, aside, err
}

// Show returns one record that was set aside, whole.
func (t *Tables) Show(ctx context.Context, id int64) (Aside, error) {
	found, err := t.asides(ctx, "select id, "+columns+", reason, error, set_aside_at from journal_set_aside where id = $1", id)
	if err == nil && len(found) == 0 {
		err = ErrNoRecord
	}
	if err != nil {
		return Aside{}, err
	}
	return found[0], nil
}

// Retry puts a record back, as if it had just come. One that is damaged stays
// where it is.
func (t *Tables) Retry(ctx context.Context, id int64, now time.Time) error {
	aside, err := t.Show(ctx, id)
	if err != nil {
		return err
	}
	if err := aside.Check(); err != nil {
		return err
	}
	aside.AppendedAt = now.Truncate(time.Microsecond)
	aside.CRC = aside.sum()
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	removed, err := tx.ExecContext(ctx, "delete from journal_set_aside where id = $1", id)
	if err != nil {
		return err
	}
	if n, err := removed.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNoRecord)
	}
	added, err := tx.ExecContext(ctx, insertOne, aside.values()...)
	if err != nil {
		return err
	}
	if n, err := added.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrWaiting)
	}
	return tx.Commit()
}

const insertOne = "insert into journal (" + columns + ", size) values ($1,$2,$3,$4,$5,$6,$7,$8) on conflict (workflow_id) do nothing"

// Drop deletes a record that was set aside, for ever.
func (t *Tables) Drop(ctx context.Context, id int64) error {
	removed, err := t.db.ExecContext(ctx, "delete from journal_set_aside where id = $1", id)
	if err != nil {
		return err
	}
	if n, err := removed.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrNoRecord)
	}
	return nil
}

// atOnce is how many records Verify and Recover hold in memory. Each may be 2 MiB,
// and 32 where large payloads have a store.
const atOnce = 8

// Verify has SQLite check the file, and checks each record. It returns how many
// there are, and those that are damaged.
func (t *Tables) Verify(ctx context.Context) (records int64, damaged []Record, err error) {
	if t.db.Dialect == store.SQLite {
		if err := t.check(ctx); err != nil {
			return 0, nil, err
		}
	}
	for after := int64(0); ; {
		page, err := t.records(ctx, "select seq, "+columns+" from journal where seq > $1 order by seq limit $2", after, atOnce)
		if err != nil || len(page) == 0 {
			return records, damaged, err
		}
		records, after = records+int64(len(page)), page[len(page)-1].Seq
		for _, r := range page {
			if err := r.Check(); err != nil {
				damaged = append(damaged, r)
			}
		}
	}
}

// Recovered is what Recover found.
type Recovered struct {
	Added     int64 // to the journal, to be started
	Known     int64 // by Workflow Id, in the journal already
	Damaged   int64 // whose bytes are not those that were appended
	Unread    int64 // rows, at most, that SQLite could not read; -1 where it is not known how many
	SetAside  int64 // that had been set aside in the damaged file; they are not added
	FirstLoss error // why the first of those could not be read
}

// Recover adds the records of a damaged file, whose records stay as they are, to
// the journal. Each keeps the time at which it was appended. Temporal refuses those
// that were started before.
func (t *Tables) Recover(ctx context.Context, damaged string) (r Recovered, err error) {
	file, err := openDamaged(ctx, damaged)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	from := file.DB
	last := int64(0)
	for {
		page, err := (&Tables{read: from}).records(ctx, "select seq, "+columns+" from journal not indexed where seq > $1 order by seq limit $2", last, atOnce)
		if err != nil {
			r.FirstLoss = err
			break
		}
		if len(page) == 0 {
			break
		}
		last = page[len(page)-1].Seq
		if err := t.take(ctx, &r, page); err != nil {
			return r, err
		}
	}
	if r.FirstLoss != nil {
		if err := t.recoverEach(ctx, &r, from, last); err != nil {
			return r, err
		}
	}
	_ = from.QueryRowContext(ctx, "select count(*) from journal_set_aside").Scan(&r.SetAside) // as far as it can be read
	return r, nil
}

// recoverEach looks each record up by itself: the pages that are not damaged can
// still be reached.
func (t *Tables) recoverEach(ctx context.Context, r *Recovered, from *store.DB, last int64) error {
	var highest sql.NullInt64
	if err := from.QueryRowContext(ctx, "select seq from sqlite_sequence where name = 'journal'").Scan(&highest); err != nil {
		r.Unread = -1
		return ctx.Err()
	}
	for seq := last + 1; seq <= highest.Int64; seq++ {
		one, err := (&Tables{read: from}).records(ctx, "select seq, "+columns+" from journal not indexed where seq = $1", seq)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.Unread++
			continue
		}
		if err := t.take(ctx, r, one); err != nil {
			return err
		}
	}
	return nil
}

// take adds those of the records that are intact.
func (t *Tables) take(ctx context.Context, r *Recovered, records []Record) error {
	var intact []*Record
	for i := range records {
		if err := records[i].Check(); err != nil {
			r.Damaged++
			continue
		}
		intact = append(intact, &records[i])
	}
	if len(intact) == 0 {
		return nil
	}
	fresh, err := t.append(ctx, intact)
	if err != nil {
		return fmt.Errorf("add recovered records to the journal: %w", store.Describe(err))
	}
	for _, isNew := range fresh {
		if isNew {
			r.Added++
		} else {
			r.Known++
		}
	}
	return nil
}
