package send_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/hookyard/hookyard/internal/send/api"
	"github.com/hookyard/hookyard/internal/send/attempt"
	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/store"
	"github.com/hookyard/hookyard/send"
)

// away is a Temporal that is away: publishing needs none.
type away struct{ client.Client }

func (away) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	return nil, serviceerror.NewUnavailable("away")
}

const key = "an operator's key"

func open(t *testing.T, o store.Options) (*store.DB, *endpoint.Book) {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	sealing, err := store.ParseKey(strings.Repeat("00", 32))
	require.NoError(t, err)
	book, err := endpoint.Open(t.Context(), db, sealing, nil)
	require.NoError(t, err)
	return db, book
}

// start returns a client of an API on a store of its own.
func start(t *testing.T) (*send.Client, *endpoint.Book) {
	t.Helper()
	_, book := open(t, store.Options{SQLite: filepath.Join(t.TempDir(), "send.db")})
	handler, err := api.New(api.Options{
		Book: book, Starter: &attempt.Starter{Client: away{}, Book: book}, Keys: []string{key}, HTTP: egress.New(egress.Options{}), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &send.Client{URL: server.URL + "/", Key: key}, book
}

func paid(id, data string) send.Event {
	return send.Event{ID: id, Tenant: "acme", Type: "invoice.paid", Data: json.RawMessage(data)}
}

// TestPublish stores what is published, once, and says what is wrong.
func TestPublish(t *testing.T) {
	t.Parallel()
	c, book := start(t)
	p, err := c.Publish(t.Context(), paid("m1", `{"a":"<&>"}`))
	require.NoError(t, err)
	require.Equal(t, send.Published{ID: "m1", Endpoints: []string{}}, p)
	p, err = c.Publish(t.Context(), paid("m1", `{"a":"<&>"}`))
	require.NoError(t, err)
	require.True(t, p.Duplicate)
	p, err = c.Publish(t.Context(), send.Event{Tenant: "acme", Type: "raw", Body: []byte{0, 255}, ContentType: "application/x-protobuf"})
	require.NoError(t, err)
	for id, want := range map[string]string{"m1": `{"a":"<&>"}`, p.ID: "\x00\xff"} {
		m, err := book.Message(t.Context(), "acme", id)
		require.NoError(t, err)
		require.Equal(t, want, string(m.Body))
	}

	refused := func(c *send.Client, e send.Event) *send.Error {
		_, err := c.Publish(t.Context(), e)
		answer, ok := errors.AsType[*send.Error](err)
		require.True(t, ok, "%v", err)
		require.False(t, answer.Temporary())
		return answer
	}
	require.Equal(t, http.StatusConflict, refused(c, paid("m1", `{"a":2}`)).Status)
	require.Equal(t, "id", refused(c, paid("m.1", `{}`)).Field)
	require.Equal(t, http.StatusUnauthorized, refused(&send.Client{URL: c.URL, Key: "another"}, paid("m2", `{}`)).Status)
	_, err = (&send.Client{URL: "http://127.0.0.1:1", Key: "hunter2"}).Publish(t.Context(), paid("m2", `{}`))
	require.ErrorContains(t, err, "does not answer")
	require.NotContains(t, err.Error(), "hunter2")
}

// TestOutbox publishes what a transaction commits, and nothing else.
func TestOutbox(t *testing.T) {
	t.Parallel()
	options := map[string]store.Options{"sqlite": {SQLite: filepath.Join(t.TempDir(), "send.db")}}
	if url := os.Getenv("HOOKYARD_TEST_POSTGRES"); url != "" {
		options["postgres"] = store.Options{Postgres: url}
	}
	for name, o := range options {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, book := open(t, o)
			var outbox send.Outbox
			tenant := endpoint.NewID("t")
			publish := func(id, data string, end func(*sql.Tx) error) error {
				tx, err := db.BeginTx(t.Context(), nil)
				require.NoError(t, err)
				defer tx.Rollback()
				e := paid(id, data)
				e.Tenant = tenant
				if _, err := outbox.PublishTx(t.Context(), tx, e); err != nil {
					return err
				}
				return end(tx)
			}
			require.NoError(t, publish("m1", `{ "a": 1 }`, (*sql.Tx).Rollback))
			_, err := book.Message(t.Context(), tenant, "m1")
			require.ErrorIs(t, err, endpoint.ErrNotFound)
			require.NoError(t, publish("m1", `{ "a": 1 }`, (*sql.Tx).Commit))
			require.NoError(t, publish("m1", `{ "a": 1 }`, (*sql.Tx).Commit), "it may be repeated")
			require.ErrorIs(t, publish("m1", `{ "a": 2 }`, (*sql.Tx).Commit), send.ErrConflict)
			m, err := book.Message(t.Context(), tenant, "m1")
			require.NoError(t, err)
			require.Equal(t, `{ "a": 1 }`, string(m.Body), "byte for byte")
			waiting, err := book.Waiting(t.Context(), time.Now().Add(time.Minute), 10_000)
			require.NoError(t, err)
			var mine int
			for _, w := range waiting {
				if w.Tenant == tenant {
					mine++
				}
			}
			require.Equal(t, 1, mine, "the relay takes it up")
			_, duplicate, err := book.Put(t.Context(), m)
			require.NoError(t, err)
			require.True(t, duplicate, "the API and the outbox share their ids")
			if o.Postgres == "" {
				return
			}
			conn, err := pgx.Connect(t.Context(), o.Postgres)
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
			e := paid("m2", `{}`)
			e.Tenant = tenant
			id, err := outbox.PublishPgx(t.Context(), conn, e)
			require.NoError(t, err)
			require.Equal(t, "m2", id)
			_, err = send.Outbox{Schema: `no"such`}.PublishPgx(t.Context(), conn, e)
			require.ErrorContains(t, err, `no"such.send_messages`)
		})
	}
}

// TestMistakes finds what the outbox must not write.
func TestMistakes(t *testing.T) {
	t.Parallel()
	db, _ := open(t, store.Options{SQLite: filepath.Join(t.TempDir(), "send.db")})
	for want, e := range map[string]send.Event{
		"tenant":       {Type: "a", Data: json.RawMessage(`{}`)},
		"type":         {Tenant: "acme", Type: "endpoint.disabled", Data: json.RawMessage(`{}`)},
		"id":           {Tenant: "acme", Type: "a", ID: "a.b", Data: json.RawMessage(`{}`)},
		"content_type": {Tenant: "acme", Type: "a", Body: []byte{1}},
		"either Data":  {Tenant: "acme", Type: "a"},
		"not JSON":     {Tenant: "acme", Type: "a", Data: json.RawMessage(`{`)},
		"larger":       {Tenant: "acme", Type: "a", Body: make([]byte, endpoint.MaxBody+1), ContentType: "x/y"},
	} {
		_, err := send.Outbox{}.PublishTx(t.Context(), db, e)
		require.ErrorContains(t, err, want)
	}
}

// TestActivity publishes one event however often the step is attempted, and does
// not retry what cannot succeed.
func TestActivity(t *testing.T) {
	t.Parallel()
	var ids []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e send.Event
		_ = json.NewDecoder(r.Body).Decode(&e)
		ids = append(ids, e.ID)
		switch e.Type {
		case "away":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "wrong":
			w.WriteHeader(http.StatusUnprocessableEntity)
		default:
			_ = json.NewEncoder(w).Encode(send.Published{ID: e.ID})
		}
	}))
	t.Cleanup(server.Close)
	attemptOf := func(eventType string) *temporal.ApplicationError {
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestActivityEnvironment()
		a := &send.Activities{Client: &send.Client{URL: server.URL}}
		env.RegisterActivity(a)
		_, err := env.ExecuteActivity(a.PublishEvent, send.Event{Type: eventType, Data: json.RawMessage(`{}`)})
		failure, _ := errors.AsType[*temporal.ApplicationError](err)
		return failure
	}
	require.Nil(t, attemptOf("good"))
	failure := attemptOf("away")
	require.False(t, failure.NonRetryable())
	require.Equal(t, 7*time.Second, failure.NextRetryDelay())
	require.True(t, attemptOf("wrong").NonRetryable())
	require.Len(t, ids, 3)
	for _, id := range ids {
		require.True(t, endpoint.IsMessageID(id), id)
		require.True(t, strings.HasPrefix(id, "wf_"))
	}
	require.Equal(t, ids[0], ids[1], "another attempt of the same step")
}
