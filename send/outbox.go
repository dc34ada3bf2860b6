package send

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// ErrConflict is an event whose ID the tenant has published with another
// content.
var ErrConflict = errors.New("publish: the id was used for another event")

// Outbox publishes in transactions of PostgreSQL, in the database that
// `store.postgres` of the config names. The event is there if the transaction
// commits, and its deliveries start some seconds later. They need no network and
// no Hookyard that is up before.
type Outbox struct {
	// Schema is where Hookyard's tables are; "" for the search_path of the
	// connection.
	Schema string
}

// Transaction is a *sql.Tx; a *sql.DB or *sql.Conn publishes by itself.
type Transaction interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// PgxTransaction is a pgx.Tx; a pgx connection or pool publishes by itself.
type PgxTransaction interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// PublishTx writes an event in a transaction and returns its ID. It may be
// repeated in another transaction with that ID.
func (o Outbox) PublishTx(ctx context.Context, tx Transaction, e Event) (id string, err error) {
	m, err := e.message()
	if err != nil {
		return "", err
	}
	result, err := tx.ExecContext(ctx, endpoint.OutboxInsert(o.Schema), values(m)...)
	if err != nil {
		return "", err
	}
	n, err := result.RowsAffected()
	return written(m, n, err)
}

// PublishPgx is PublishTx for a transaction of pgx.
func (o Outbox) PublishPgx(ctx context.Context, tx PgxTransaction, e Event) (id string, err error) {
	m, err := e.message()
	if err != nil {
		return "", err
	}
	tag, err := tx.Exec(ctx, endpoint.OutboxInsert(o.Schema), values(m)...)
	return written(m, tag.RowsAffected(), err)
}

func values(m endpoint.Message) []any {
	m.CreatedAt = time.Now().UTC()
	return endpoint.MessageValues(m)
}

func written(m endpoint.Message, rows int64, err error) (string, error) {
	if err == nil && rows == 0 {
		err = ErrConflict
	}
	if err != nil {
		return "", err
	}
	return m.ID, nil
}
