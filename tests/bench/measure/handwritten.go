package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5/pgxpool"
)

// handwrittenConnections is the size of its pool: more do not make PostgreSQL
// commit faster on a machine of a few cores.
const handwrittenConnections = 32

// serveHandwritten runs the handler that teams write by hand: verify, insert into
// PostgreSQL, answer 200. What it stored, somebody else has to work off.
func (p Peer) serveHandwritten(ctx context.Context) error {
	options, err := pgxpool.ParseConfig(p.Database)
	if err != nil {
		return errors.New("the URL of PostgreSQL cannot be read") // the error may repeat the password
	}
	options.MaxConns = handwrittenConnections
	pool, err := pgxpool.NewWithConfig(ctx, options)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `create table if not exists webhooks (
		seq bigint generated always as identity primary key,
		id text not null unique, type text not null, received_at timestamptz not null default now(), payload bytea not null)`); err != nil {
		return fmt.Errorf("create the table: %w", err)
	}
	return serve(ctx, p.Listen, handwrittenHandler(pool, []byte(p.VerifySecret)))
}

func handwrittenHandler(pool *pgxpool.Pool, secret []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readAll(r)
		if err != nil || !verified(secret, r.Header.Get("Stripe-Signature"), body) {
			http.Error(w, "wrong signature", http.StatusUnauthorized)
			return
		}
		var ev struct {
			ID   string `json:"id"`
			Type string `json:"type"`
		}
		if err := json.Unmarshal(body, &ev); err != nil || ev.ID == "" {
			http.Error(w, "no event", http.StatusUnprocessableEntity)
			return
		}
		if _, err := pool.Exec(r.Context(), "insert into webhooks (id, type, payload) values ($1, $2, $3) on conflict (id) do nothing", ev.ID, ev.Type, body); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}
