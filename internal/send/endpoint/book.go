package endpoint

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/hookyard/hookyard/internal/send/sign"
	"github.com/hookyard/hookyard/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Book is the endpoints, secrets and messages in the store. It may be used by
// many goroutines and by several processes.
type Book struct {
	db  *store.DB
	key *store.Key
	now func() time.Time
}

// Open brings the tables up to date and returns the Book. The key seals secrets
// and custom headers. now may be nil for time.Now.
func Open(ctx context.Context, db *store.DB, key *store.Key, now func() time.Time) (*Book, error) {
	if now == nil {
		now = time.Now
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, store.Part{Name: "send", Migrations: files}); err != nil {
		return nil, err
	}
	return &Book{db: db, key: key, now: now}, nil
}

var (
	// ErrNotFound is an id that the book does not have.
	ErrNotFound = errors.New("there is no such entry")
	// ErrConflict is an id or a key that was used for something else.
	ErrConflict = errors.New("it was used for something else")
)

// failed names what did not work, without what the database says about itself.
func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", what, store.Describe(err))
}

const columns = `id, tenant, settings, headers, state, why, told, verified_at, failing_since, failures, created_at, updated_at`

// row is what scan reads from.
type row interface{ Scan(to ...any) error }

func (b *Book) scan(r row) (*Endpoint, error) {
	var (
		e                                     Endpoint
		settings                              string
		headers                               []byte
		verified, failingFrom, made, modified int64
	)
	err := r.Scan(&e.ID, &e.Tenant, &settings, &headers, &e.State, &e.Why, &e.Told, &verified, &failingFrom, &e.Failures, &made, &modified)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(settings), &e.Settings); err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", e.ID, err)
	}
	opened, err := b.key.Open(headers, "send_endpoints.headers:"+e.ID)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(opened, &e.Headers); err != nil {
		return nil, fmt.Errorf("endpoint %q: its headers cannot be read", e.ID)
	}
	e.VerifiedAt, e.FailingSince, e.CreatedAt, e.UpdatedAt = moment(verified), moment(failingFrom), moment(made), moment(modified)
	return &e, nil
}

// moment reads a time of the store, in which 0 is none.
func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// written returns the two columns of what the owner has set.
func (b *Book) written(e *Endpoint) (settings string, headers []byte, err error) {
	text, err := json.Marshal(e.Settings)
	if err != nil {
		return "", nil, err
	}
	plain, err := json.Marshal(e.Headers)
	if err != nil {
		return "", nil, err
	}
	return string(text), b.key.Seal(plain, "send_endpoints.headers:"+e.ID), nil
}

// Create stores a new endpoint and its keys. Where the tenant has made one under
// the same request key before, that one is returned and created is false; the
// error is ErrConflict where the request hash differs. An empty request key is
// never the same.
func (b *Book) Create(ctx context.Context, e *Endpoint, keys []sign.Key, requestKey, requestHash string) (there *Endpoint, created bool, err error) {
	settings, headers, err := b.written(e)
	if err != nil {
		return nil, false, err
	}
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, false, failed("create an endpoint", err)
	}
	defer tx.Rollback()
	now := b.now().UnixMicro()
	result, err := tx.ExecContext(ctx, `insert into send_endpoints (`+columns+`, request_key, request_hash)
		values ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, $8, $8, $9, $10) on conflict (tenant, request_key) do nothing`,
		e.ID, e.Tenant, settings, headers, e.State, e.Why, Active, now, sql.NullString{String: requestKey, Valid: requestKey != ""}, requestHash)
	if err != nil {
		return nil, false, failed("create an endpoint", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		if err != nil {
			return nil, false, failed("create an endpoint", err)
		}
		there, err := b.requested(ctx, tx, e.Tenant, requestKey, requestHash)
		return there, false, err
	}
	for _, k := range keys {
		if err := b.addKey(ctx, tx, e.ID, k, 1); err != nil {
			return nil, false, err
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, false, failed("create an endpoint", err)
	}
	made := *e
	made.Told = Active
	made.CreatedAt, made.UpdatedAt = moment(now), moment(now)
	return &made, true, nil
}

func (b *Book) requested(ctx context.Context, tx *sql.Tx, tenant, key, hash string) (*Endpoint, error) {
	var id, before string
	err := tx.QueryRowContext(ctx, `select id, request_hash from send_endpoints where tenant = $1 and request_key = $2`, tenant, key).Scan(&id, &before)
	if err != nil {
		return nil, failed("look up a request", err)
	}
	if before != hash {
		return nil, ErrConflict
	}
	e, err := b.scan(tx.QueryRowContext(ctx, `select `+columns+` from send_endpoints where id = $1`, id))
	return e, failed("look up a request", err)
}

// Get returns an endpoint, or ErrNotFound.
func (b *Book) Get(ctx context.Context, id string) (*Endpoint, error) {
	e, err := b.scan(b.db.QueryRowContext(ctx, `select `+columns+` from send_endpoints where id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return e, failed("read an endpoint", err)
}

// List returns at most limit endpoints by id, after the given one. An empty
// tenant means all of them.
func (b *Book) List(ctx context.Context, tenant, after string, limit int) ([]*Endpoint, error) {
	rows, err := b.db.QueryContext(ctx, `select `+columns+` from send_endpoints where ($1 = '' or tenant = $1) and id > $2 order by id limit $3`, tenant, after, limit)
	if err != nil {
		return nil, failed("list endpoints", err)
	}
	defer rows.Close()
	var list []*Endpoint
	for rows.Next() {
		e, err := b.scan(rows)
		if err != nil {
			return nil, failed("list endpoints", err)
		}
		list = append(list, e)
	}
	return list, failed("list endpoints", rows.Err())
}

// Matching returns endpoints that a message goes to, by id, after the given
// one. It looks at no more than limit endpoints; next is where to go on, ""
// at the end. One that was made after the message does not get it.
func (b *Book) Matching(ctx context.Context, m Message, after string, limit int) (matching []*Endpoint, next string, err error) {
	list, err := b.List(ctx, m.Tenant, after, limit)
	if err != nil {
		return nil, "", err
	}
	for _, e := range list {
		if e.Receives() && e.Takes(m.Type) && !e.CreatedAt.After(m.CreatedAt) {
			matching = append(matching, e)
		}
	}
	if len(list) == limit {
		next = list[limit-1].ID
	}
	return matching, next, nil
}

// Change has change edit an endpoint, in one transaction, and returns what it
// then is. An error of change is returned as it is, and nothing is stored.
func (b *Book) Change(ctx context.Context, id string, change func(e *Endpoint) error) (*Endpoint, error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, failed("change an endpoint", err)
	}
	defer tx.Rollback()
	lock := ""
	if b.db.Dialect == store.Postgres {
		lock = " for update"
	}
	e, err := b.scan(tx.QueryRowContext(ctx, `select `+columns+` from send_endpoints where id = $1`+lock, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, failed("change an endpoint", err)
	}
	if err := change(e); err != nil {
		return nil, err
	}
	settings, headers, err := b.written(e)
	if err != nil {
		return nil, err
	}
	e.UpdatedAt = b.now().UTC().Truncate(time.Microsecond)
	_, err = tx.ExecContext(ctx, `update send_endpoints set settings = $2, headers = $3, state = $4, why = $5, verified_at = $6, failing_since = $7, failures = $8, updated_at = $9 where id = $1`,
		id, settings, headers, e.State, e.Why, micros(e.VerifiedAt), micros(e.FailingSince), e.Failures, micros(e.UpdatedAt))
	if err != nil {
		return nil, failed("change an endpoint", err)
	}
	return e, failed("change an endpoint", tx.Commit())
}

// Delete removes an endpoint and its secrets.
func (b *Book) Delete(ctx context.Context, id string) error {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return failed("delete an endpoint", err)
	}
	defer tx.Rollback()
	for _, statement := range []string{`delete from send_secrets where endpoint = $1`, `delete from send_endpoints where id = $1`} {
		if _, err := tx.ExecContext(ctx, statement, id); err != nil {
			return failed("delete an endpoint", err)
		}
	}
	return failed("delete an endpoint", tx.Commit())
}

// Counts returns how many endpoints there are in each state.
func (b *Book) Counts(ctx context.Context) (map[State]int, error) {
	rows, err := b.db.QueryContext(ctx, `select state, count(*) from send_endpoints group by state`)
	if err != nil {
		return nil, failed("count endpoints", err)
	}
	defer rows.Close()
	counts := map[State]int{Pending: 0, Active: 0, Failing: 0, Disabled: 0}
	for rows.Next() {
		var s State
		var n int
		if err := rows.Scan(&s, &n); err != nil {
			return nil, failed("count endpoints", err)
		}
		counts[s] = n
	}
	return counts, failed("count endpoints", rows.Err())
}
