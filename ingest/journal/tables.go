package journal

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookyard/hookyard/internal/store"
)

//go:embed migrations
var migrations embed.FS

// Tables are the journal's tables, for the edge and for the commands of an
// operator.
type Tables struct {
	db     *store.DB
	read   *store.DB         // SQLite: a connection that does not wait for the writer; else db
	insert map[int]*sql.Stmt // of SQLite, by the number of rows
	file   string            // of SQLite
	opened os.FileInfo       // of that file
	cipher Cipher
}

// pageSize is SQLite's, in bytes.
const pageSize = 4096

// maxWAL is how long the write-ahead log of SQLite stays, in bytes. A reader that
// lasts, such as a backup, may let it grow for so long.
const maxWAL = 8 << 20

// OpenTables opens the journal's tables and brings them up to date.
func OpenTables(ctx context.Context, at Place) (*Tables, error) {
	options := store.Options{Postgres: at.Postgres, SQLite: at.SQLite, Pragmas: []string{
		"page_size(" + strconv.Itoa(pageSize) + ")", "auto_vacuum(incremental)", "journal_size_limit(" + strconv.Itoa(maxWAL) + ")",
	}}
	folder := "postgres"
	if at.Postgres == "" {
		folder = "sqlite"
		if at.MaxSize > 0 {
			options.Pragmas = append(options.Pragmas, "max_page_count("+strconv.FormatInt(max((at.MaxSize-maxWAL)/pageSize, 64), 10)+")")
		}
	}
	db, err := store.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations/"+folder)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	t := &Tables{db: db, read: db, file: at.SQLite, cipher: at.Cipher, insert: map[int]*sql.Stmt{}}
	if err := db.Migrate(ctx, store.Part{Name: "journal", Migrations: files}); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if at.Postgres == "" {
		if t.read, err = store.Open(ctx, store.Options{SQLite: at.SQLite, Pragmas: []string{"query_only(1)"}}); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if at.Postgres == "" {
		if t.opened, err = os.Stat(at.SQLite); err != nil {
			return nil, errors.Join(err, t.Close())
		}
	}
	if err := t.prepare(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// LeftBehind reports whether a PostgreSQL has a journal with events in it. It
// makes no tables.
func LeftBehind(ctx context.Context, at Place) (left bool, err error) {
	db, err := store.Open(ctx, store.Options{Postgres: at.Postgres, Connections: 1})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, "select to_regclass('journal') is not null").Scan(&left); err != nil || !left {
		return false, store.Describe(err)
	}
	err = db.QueryRowContext(ctx, "select exists (select 1 from journal)").Scan(&left)
	return left, store.Describe(err)
}

// Close closes the tables.
func (t *Tables) Close() error {
	err := t.db.Close()
	if t.read != t.db && t.read != nil {
		err = errors.Join(err, t.read.Close())
	}
	return err
}

// trust sees that what was committed before is on disk and whole, and that
// something more can be written. After a failed sync the system may hold pages
// as written that are not: the checkpoint writes what the log has once more, and
// syncs that.
func (t *Tables) trust(ctx context.Context) error {
	if t.db.Dialect == store.Postgres {
		return t.db.PingContext(ctx)
	}
	var busy, frames, moved int
	if err := t.db.QueryRowContext(ctx, "pragma wal_checkpoint(truncate)").Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := t.check(ctx); err != nil {
		return err
	}
	// The version of the tables is written as it is: a write, and a sync.
	if _, err := t.db.ExecContext(ctx, "update hookyard_journal_migrations set is_applied = is_applied"); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// errReplaced is said of a file that was deleted or renamed while it was open.
var errReplaced = errors.New("another file is in the place of the one that is open, or none")

// inPlace sees that the file has the name that it was opened by: what is stored
// in a deleted one is lost.
func (t *Tables) inPlace() error {
	if t.opened == nil {
		return nil
	}
	if now, err := os.Stat(t.file); err != nil || !os.SameFile(now, t.opened) {
		return errReplaced
	}
	return nil
}

// errCorrupt is what SQLite's own check of a file found.
var errCorrupt = errors.New("the file is damaged")

// check has SQLite check the structure of the file.
func (t *Tables) check(ctx context.Context) error {
	var found string
	if err := t.db.QueryRowContext(ctx, "pragma integrity_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", errCorrupt, found)
	}
	return nil
}

// columns are those of a record, in the order of scan.
const columns = "source, workflow_id, appended_at, is_json, header, payload, crc"

func (r *Record) values() []any {
	return []any{r.Source, r.WorkflowID, r.AppendedAt.UnixMicro(), r.JSON, r.Header, r.Payload, int64(r.CRC), r.size()}
}

// scan reads the number of a row and the columns of a record. SQLite stores the
// type of a value beside it, so damage may turn a number into a text: the record
// is then read as far as it can be, and Event finds it damaged.
func (r *Record) scan(rows *sql.Rows, more ...any) error {
	var source, id, at, isJSON, header, payload, crc any
	if err := rows.Scan(append([]any{&r.Seq, &source, &id, &at, &isJSON, &header, &payload, &crc}, more...)...); err != nil {
		return err
	}
	micros, isTime := at.(int64)
	sum, isSum := crc.(int64)
	json, isBool := isJSON.(bool)
	if n, ok := isJSON.(int64); ok {
		json, isBool = n == 1, n == 0 || n == 1
	}
	r.Source, r.WorkflowID, r.Header, r.Payload = string(bytesOf(source)), string(bytesOf(id)), bytesOf(header), bytesOf(payload)
	r.AppendedAt, r.JSON, r.CRC = time.UnixMicro(micros), json, uint32(sum) //nolint:gosec // what does not fit is not the sum either
	if !isTime || !isSum || !isBool || int64(r.CRC) != sum {
		r.CRC = ^r.sum()
	}
	return nil
}

// bytesOf returns the bytes of a text or of a blob.
func bytesOf(value any) []byte {
	switch v := value.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return nil
}

// append stores records in one transaction, and tells for each whether its
// Workflow Id is new. After an error it is not known what is stored.
func (t *Tables) append(ctx context.Context, records []*Record) (fresh []bool, err error) {
	if t.db.Dialect == store.Postgres {
		return t.appendPostgres(ctx, records)
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	fresh = make([]bool, 0, len(records))
	for len(records) > 0 {
		n := rowsAtOnce()[slices.IndexFunc(rowsAtOnce(), func(n int) bool { return len(records) >= n })]
		added, err := t.appendRows(ctx, tx, records[:n])
		if err != nil {
			return nil, err
		}
		fresh, records = append(fresh, added...), records[n:]
	}
	return fresh, tx.Commit()
}

// rowsAtOnce are the numbers of rows that SQLite has a statement for.
func rowsAtOnce() []int { return []int{64, 16, 4, 1} }

// appendRows stores as many records as one statement has rows.
func (t *Tables) appendRows(ctx context.Context, tx *sql.Tx, records []*Record) ([]bool, error) {
	statement := tx.StmtContext(ctx, t.insert[len(records)])
	defer func() { _ = statement.Close() }()
	args := make([]any, 0, 8*len(records))
	for _, r := range records {
		args = append(args, r.values()...)
	}
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return freshOf(rows, records)
}

// freshOf reads the Workflow Ids that were inserted.
func freshOf(rows *sql.Rows, records []*Record) ([]bool, error) {
	inserted := make(map[string]bool, len(records))
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		inserted[id] = true
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	fresh := make([]bool, len(records))
	for i, r := range records {
		fresh[i] = inserted[r.WorkflowID]
		delete(inserted, r.WorkflowID) // an equal one further on is a duplicate of it
	}
	return fresh, nil
}

// prepare keeps the statements of SQLite that append.
func (t *Tables) prepare(ctx context.Context) error {
	if t.db.Dialect == store.Postgres {
		return nil
	}
	for _, n := range rowsAtOnce() {
		statement, err := t.db.PrepareContext(ctx, insertRows(n)) //nolint:sqlclosecheck // Close of the database closes it
		if err != nil {
			return err
		}
		t.insert[n] = statement
	}
	return nil
}

func insertRows(n int) string {
	return "insert into journal (" + columns + ", size) values " + strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?),", n), ",") +
		" on conflict (workflow_id) do nothing returning workflow_id"
}

func (t *Tables) appendPostgres(ctx context.Context, records []*Record) ([]bool, error) {
	n := len(records)
	var (
		sources, ids     = make([]string, n), make([]string, n)
		ats, crcs, sizes = make([]int64, n), make([]int64, n), make([]int64, n)
		jsons            = make([]bool, n)
		headers, bodies  = make([][]byte, n), make([][]byte, n)
	)
	for i, r := range records {
		sources[i], ids[i], ats[i], jsons[i], headers[i], bodies[i] = r.Source, r.WorkflowID, r.AppendedAt.UnixMicro(), r.JSON, r.Header, r.Payload
		crcs[i], sizes[i] = int64(r.CRC), r.size()
	}
	rows, err := t.db.QueryContext(ctx, "insert into journal ("+columns+`, size)
		select * from unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bigint[])
		on conflict (workflow_id) do nothing returning workflow_id`, sources, ids, ats, jsons, headers, bodies, crcs, sizes)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return freshOf(rows, records)
}

// maxPage bounds the records of a page, and maxPageBytes their bytes.
const (
	maxPage      = 256
	maxPageBytes = 4 << 20
)

// page returns the next records of a source in order, from behind a Seq.
func (t *Tables) page(ctx context.Context, source string, after int64) ([]Record, error) {
	last, err := t.pageEnd(ctx, source, after)
	if err != nil || last == 0 {
		return nil, err
	}
	return t.records(ctx, "select seq, "+columns+" from journal where source = $1 and seq > $2 and seq <= $3 order by seq", source, after, last)
}

// pageEnd returns the last Seq of the page, 0 where there is none.
func (t *Tables) pageEnd(ctx context.Context, source string, after int64) (last int64, err error) {
	rows, err := t.read.QueryContext(ctx, "select seq, size from journal where source = $1 and seq > $2 order by seq limit $3", source, after, maxPage)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for total := int64(0); rows.Next(); {
		var seq, size int64
		if err := rows.Scan(&seq, &size); err != nil {
			return 0, err
		}
		if total += size; total > maxPageBytes && last != 0 {
			break
		}
		last = seq
	}
	return last, rows.Err()
}

func (t *Tables) records(ctx context.Context, query string, args ...any) (found []Record, err error) {
	rows, err := t.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r := Record{cipher: t.cipher}
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// sources lists the sources that have records. Each is found by the index, so
// the time does not grow with the records.
func (t *Tables) sources(ctx context.Context) (found []string, err error) {
	for last := ""; ; {
		var next sql.NullString
		if err := t.read.QueryRowContext(ctx, "select min(source) from journal where source > $1", last).Scan(&next); err != nil {
			return nil, err
		}
		if !next.Valid {
			return found, nil
		}
		last = next.String
		found = append(found, last)
	}
}

// remove deletes records that Temporal has.
func (t *Tables) remove(ctx context.Context, seqs []int64) error {
	if len(seqs) == 0 {
		return nil
	}
	_, err := t.db.ExecContext(ctx, "delete from journal where seq in ("+list(seqs)+")")
	return err
}

// list writes numbers for a query.
func list(seqs []int64) string {
	var b strings.Builder
	for i, seq := range seqs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(seq, 10))
	}
	return b.String()
}

// setAside takes a record out of the way of the drain. One with the same bytes
// that is there already is replaced.
func (t *Tables) setAside(ctx context.Context, seq int64, reason, why string, now time.Time) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, statement := range []struct {
		query string
		args  []any
	}{
		{"delete from journal_set_aside where exists (select 1 from journal j where j.seq = $1 and j.workflow_id = journal_set_aside.workflow_id and j.payload = journal_set_aside.payload)", []any{seq}},
		{"insert into journal_set_aside (" + columns + ", size, reason, error, set_aside_at) select " + columns + ", size, $2, $3, $4 from journal where seq = $1", []any{seq, reason, why, now.UnixMicro()}},
		{"delete from journal where seq = $1", []any{seq}},
	} {
		if _, err := tx.ExecContext(ctx, statement.query, statement.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Depth is how much of a source is in the journal.
type Depth struct {
	Source   string
	Records  int64
	Bytes    int64
	Oldest   time.Time // when the first one was appended; zero where there is none
	SetAside int64
}

// Depths returns how much of each source is there. It reads the index, so it
// takes a tenth of a second for a million records.
func (t *Tables) Depths(ctx context.Context) ([]Depth, error) {
	found, first, err := t.counts(ctx)
	if err != nil {
		return nil, err
	}
	for i, seq := range first {
		if !seq.Valid {
			continue
		}
		var at sql.NullInt64
		if err := t.read.QueryRowContext(ctx, "select min(appended_at) from journal where seq = $1", seq.Int64).Scan(&at); err != nil {
			return nil, err
		}
		if at.Valid {
			found[i].Oldest = time.UnixMicro(at.Int64)
		}
	}
	return found, nil
}

// counts returns the depths without their ages, and the first Seq of each.
func (t *Tables) counts(ctx context.Context) (found []Depth, first []sql.NullInt64, err error) {
	rows, err := t.read.QueryContext(ctx, `select source, sum(n), sum(bytes), sum(aside), min(first) from (
			select source, count(*) as n, sum(size) as bytes, 0 as aside, min(seq) as first from journal group by source
			union all select source, 0, 0, count(*), null from journal_set_aside group by source) as depths
		group by source order by source`)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			d   Depth
			seq sql.NullInt64
		)
		if err := rows.Scan(&d.Source, &d.Records, &d.Bytes, &d.SetAside, &seq); err != nil {
			return nil, nil, err
		}
		found, first = append(found, d), append(first, seq)
	}
	return found, first, rows.Err()
}
