package endpoint

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

const insertMessage = `send_messages (tenant, id, type, content_type, body, hash, created_at, started)
	values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (tenant, id) do `

// OutboxInsert is the statement that stores a message in a transaction of
// somebody else's, with the values of MessageValues. It changes no row where the
// tenant has a message with that id and another content.
func OutboxInsert(schema string) string {
	if schema != "" {
		schema = `"` + strings.ReplaceAll(schema, `"`, `""`) + `".`
	}
	return `insert into ` + schema + insertMessage + `update set id = excluded.id where send_messages.hash = excluded.hash`
}

// MessageValues are the values of a message whose deliveries are yet to be
// started.
func MessageValues(m Message) []any {
	return []any{m.Tenant, m.ID, m.Type, m.ContentType, m.Body, m.Hash(), m.CreatedAt.UnixMicro(), false}
}

// Put stores a message. Where the tenant has published one with that id and the
// same content before, duplicate is true, and the message is as it was then.
// The error is ErrConflict where the content differs.
func (b *Book) Put(ctx context.Context, m Message) (stored Message, duplicate bool, err error) {
	m.CreatedAt = b.now().UTC().Truncate(time.Microsecond)
	if m.Body == nil {
		m.Body = []byte{}
	}
	result, err := b.db.ExecContext(ctx, `insert into `+insertMessage+`nothing`, MessageValues(m)...)
	if err != nil {
		return Message{}, false, failed("store a message", err)
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return m, false, failed("store a message", err)
	}
	before, err := b.Message(ctx, m.Tenant, m.ID)
	switch {
	case err != nil:
		return Message{}, false, err
	case before.Hash() != m.Hash():
		return Message{}, false, ErrConflict
	default:
		return before, true, nil
	}
}

const messageColumns = `tenant, id, type, content_type, body, created_at`

func scanMessage(r row) (Message, error) {
	var m Message
	var made int64
	err := r.Scan(&m.Tenant, &m.ID, &m.Type, &m.ContentType, &m.Body, &made)
	m.CreatedAt = moment(made)
	return m, err
}

// Message returns a message, or ErrNotFound.
func (b *Book) Message(ctx context.Context, tenant, id string) (Message, error) {
	m, err := scanMessage(b.db.QueryRowContext(ctx, `select `+messageColumns+` from send_messages where tenant = $1 and id = $2`, tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Message{}, ErrNotFound
	}
	return m, failed("read a message", err)
}

// Started notes that the deliveries of a message are started, or that a
// Workflow is that starts them.
func (b *Book) Started(ctx context.Context, tenant, id string) error {
	_, err := b.db.ExecContext(ctx, `update send_messages set started = true where tenant = $1 and id = $2`, tenant, id)
	return failed("note that a message is started", err)
}

// Waiting returns messages that were stored before the given time and are not
// started, the oldest first, without their bodies.
func (b *Book) Waiting(ctx context.Context, before time.Time, limit int) ([]Message, error) {
	rows, err := b.db.QueryContext(ctx, `select tenant, id, type, content_type, created_at from send_messages
		where started = false and created_at < $1 order by created_at limit $2`, before.UnixMicro(), limit)
	return withoutBodies(rows, err)
}

// Backlog returns how many messages are not started, and when the oldest of them
// was stored; zero where there is none.
func (b *Book) Backlog(ctx context.Context) (n int64, oldest time.Time, err error) {
	var first int64
	err = b.db.QueryRowContext(ctx, `select count(*), coalesce(min(created_at), 0) from send_messages where started = false`).Scan(&n, &first)
	return n, moment(first), failed("count messages", err)
}

// Since returns messages of the tenant that were published in the time, by time
// and id, after the given ones, without their bodies.
func (b *Book) Since(ctx context.Context, tenant string, since, until time.Time, afterID string, limit int) ([]Message, error) {
	rows, err := b.db.QueryContext(ctx, `select tenant, id, type, content_type, created_at from send_messages
		where tenant = $1 and (created_at > $2 or created_at = $2 and id > $3) and created_at < $4 order by created_at, id limit $5`,
		tenant, since.UnixMicro(), afterID, until.UnixMicro(), limit)
	return withoutBodies(rows, err)
}

func withoutBodies(rows *sql.Rows, err error) ([]Message, error) {
	if err != nil {
		return nil, failed("list messages", err)
	}
	defer rows.Close()
	var list []Message
	for rows.Next() {
		var m Message
		var made int64
		if err := rows.Scan(&m.Tenant, &m.ID, &m.Type, &m.ContentType, &made); err != nil {
			return nil, failed("list messages", err)
		}
		m.CreatedAt = moment(made)
		list = append(list, m)
	}
	return list, failed("list messages", rows.Err())
}

// Expire removes messages that were published before the given time and whose
// deliveries are started, and returns how many.
func (b *Book) Expire(ctx context.Context, before time.Time) (int64, error) {
	result, err := b.db.ExecContext(ctx, `delete from send_messages where started = true and created_at < $1`, before.UnixMicro())
	if err != nil {
		return 0, failed("remove old messages", err)
	}
	n, err := result.RowsAffected()
	return n, failed("remove old messages", err)
}
