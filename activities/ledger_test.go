package activities_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/tests/peers"
)

const envPostgres = "HOOKYARD_TEST_POSTGRES"

func payment() activities.Payment {
	return activities.Payment{
		Key: "stripe:evt_1:RecordPayment", Source: "stripe", EventID: "evt_1",
		Invoice: "in_1", Customer: "cus_1", Email: "ada@example.com",
		Amount: 1250, Currency: "eur",
		PaidAt: time.Date(2026, 3, 1, 12, 30, 0, 123456789, time.FixedZone("", 3600)),
	}
}

func order() activities.Order {
	return activities.Order{
		Key: "shopify:1:RecordOrder", Source: "shopify", EventID: "1", Shop: "acme.myshopify.com",
		OrderID: "820982911946154508", Number: "#1001", Email: "ada@example.com",
		Total: "199.00", Currency: "USD", CreatedAt: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC),
	}
}

// database names a ledger that no other test sees.
type database struct {
	name string
	// prepare returns how to open it, which may be done more than once.
	prepare func(t *testing.T) func(context.Context) (*activities.Ledger, error)
}

var databases = []database{
	{"SQLite", func(t *testing.T) func(context.Context) (*activities.Ledger, error) {
		// The name has everything that means something in a file: URI.
		path := filepath.Join(t.TempDir(), "new folder", "led?ger#1%20.db")
		return func(ctx context.Context) (*activities.Ledger, error) { return activities.OpenSQLite(ctx, path) }
	}},
	{"PostgreSQL", func(t *testing.T) func(context.Context) (*activities.Ledger, error) {
		dsn := newSchema(t)
		return func(ctx context.Context) (*activities.Ledger, error) { return activities.OpenPostgres(ctx, dsn) }
	}},
}

// open opens a new ledger until the end of the test.
func (d database) open(t *testing.T) *activities.Ledger {
	t.Helper()
	l, err := d.prepare(t)(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.DB.Close()) })
	return l
}

// newSchema makes a schema that is dropped with the test, and returns the DSN
// that leads to it.
func newSchema(t *testing.T) string {
	t.Helper()
	dsn := os.Getenv(envPostgres)
	if dsn == "" {
		t.Skipf("%s is not set to the DSN of a PostgreSQL to test against", envPostgres)
	}
	admin, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	schema := "ledger_" + strings.ToLower(rand.Text())
	_, err = admin.ExecContext(t.Context(), "create schema "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.Background(), "drop schema "+schema+" cascade")
		require.NoError(t, err)
	})
	if !strings.Contains(dsn, "://") {
		return dsn + " search_path=" + schema
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}

func TestRecordIsExactlyOnce(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			open := database.prepare(t)

			// Four workers start at once on a database that is not there yet.
			ledgers, errs := make([]*activities.Ledger, 4), make([]error, 50)
			var starting sync.WaitGroup
			for i := range ledgers {
				starting.Go(func() { ledgers[i], errs[i] = open(t.Context()) })
			}
			starting.Wait()
			for i, l := range ledgers {
				require.NoError(t, errs[i])
				t.Cleanup(func() { require.NoError(t, l.DB.Close()) })
			}

			var recording sync.WaitGroup
			for i := range errs {
				recording.Go(func() { errs[i] = peers.RunActivity(t, ledgers[i%len(ledgers)].RecordPayment, payment()) })
			}
			recording.Wait()
			for _, err := range errs {
				require.NoError(t, err)
			}
			require.Equal(t, 1, count(t, ledgers[0], "ledger_payments"))

			for range 2 {
				require.NoError(t, peers.RunActivity(t, ledgers[0].RecordOrder, order()))
			}
			require.Equal(t, 1, count(t, ledgers[0], "ledger_orders"))
		})
	}
}

func count(t *testing.T, l *activities.Ledger, table string) (n int) {
	t.Helper()
	require.NoError(t, l.DB.QueryRowContext(t.Context(), "select count(*) from "+table).Scan(&n))
	return n
}

// Workers of every version agree on the number of the lock.
func TestPostgresMigrationsTakeTurns(t *testing.T) {
	t.Parallel()
	dsn := newSchema(t)
	other, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	defer other.Close()
	migrating, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = migrating.ExecContext(t.Context(), "select pg_advisory_xact_lock($1)", int64(0x686f6f6b79617264))
	require.NoError(t, err)

	waiting, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = activities.OpenPostgres(waiting, dsn)
	require.ErrorContains(t, err, "open the ledger on PostgreSQL")

	require.NoError(t, migrating.Rollback())
	l, err := activities.OpenPostgres(t.Context(), dsn)
	require.NoError(t, err)
	require.NoError(t, l.DB.Close())
}

func TestRecordTakesEveryColumn(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			l := database.open(t)
			require.NoError(t, peers.RunActivity(t, l.RecordPayment, payment()))
			require.NoError(t, peers.RunActivity(t, l.RecordOrder, order()))

			var got [7]string
			var amount int64
			require.NoError(t, l.DB.QueryRowContext(t.Context(),
				`select key, source, event_id, invoice, customer, email, currency, amount from ledger_payments`).
				Scan(&got[0], &got[1], &got[2], &got[3], &got[4], &got[5], &got[6], &amount))
			require.Empty(t, cmp.Diff([7]string{"stripe:evt_1:RecordPayment", "stripe", "evt_1", "in_1", "cus_1", "ada@example.com", "eur"}, got))
			require.EqualValues(t, 1250, amount)

			require.NoError(t, l.DB.QueryRowContext(t.Context(),
				`select key, source, event_id || ' ' || shop, order_id, number, email, total || ' ' || currency from ledger_orders`).
				Scan(&got[0], &got[1], &got[2], &got[3], &got[4], &got[5], &got[6]))
			require.Empty(t, cmp.Diff([7]string{"shopify:1:RecordOrder", "shopify", "1 acme.myshopify.com", "820982911946154508", "#1001", "ada@example.com", "199.00 USD"}, got))

			// Text that sorts in SQLite, an instant in PostgreSQL: both compare.
			var n int
			require.NoError(t, l.DB.QueryRowContext(t.Context(), `select count(*) from ledger_payments
				where paid_at >= '2026-03-01 11:30:00+00:00' and paid_at < '2026-03-01 11:30:01+00:00'
				and recorded_at > '2026-01-01'`).Scan(&n))
			require.Equal(t, 1, n)
		})
	}
}

func TestRecordConflict(t *testing.T) {
	t.Parallel()
	payments := map[string]func(*activities.Payment){
		"source":           func(p *activities.Payment) { p.Source = "stripe-eu" },
		"event_id":         func(p *activities.Payment) { p.EventID = "evt_2" },
		"invoice":          func(p *activities.Payment) { p.Invoice = "in_2" },
		"customer":         func(p *activities.Payment) { p.Customer = "" },
		"email":            func(p *activities.Payment) { p.Email = "eve@example.com" },
		"amount":           func(p *activities.Payment) { p.Amount++ },
		"currency":         func(p *activities.Payment) { p.Currency = "EUR" },
		"paid_at":          func(p *activities.Payment) { p.PaidAt = p.PaidAt.Add(time.Microsecond) },
		"amount, currency": func(p *activities.Payment) { p.Amount, p.Currency = 1, "usd" },
	}
	orders := map[string]func(*activities.Order){
		"source":     func(o *activities.Order) { o.Source = "shop-2" },
		"event_id":   func(o *activities.Order) { o.EventID = "2" },
		"order_id":   func(o *activities.Order) { o.OrderID = "2" },
		"number":     func(o *activities.Order) { o.Number = "#1002" },
		"email":      func(o *activities.Order) { o.Email = "" },
		"total":      func(o *activities.Order) { o.Total = "199.0" },
		"currency":   func(o *activities.Order) { o.Currency = "CAD" },
		"created_at": func(o *activities.Order) { o.CreatedAt = o.CreatedAt.Add(time.Second) },
	}
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			l := database.open(t)
			require.NoError(t, peers.RunActivity(t, l.RecordPayment, payment()))
			require.NoError(t, peers.RunActivity(t, l.RecordOrder, order()))
			for columns, change := range payments {
				changed := payment()
				change(&changed)
				failure := peers.RequireFailure(t, peers.RunActivity(t, l.RecordPayment, changed), activities.LedgerConflict)
				require.Contains(t, failure.Message(), "with another "+columns+";")
				require.NotContains(t, failure.Message(), "@")
			}
			for columns, change := range orders {
				changed := order()
				change(&changed)
				failure := peers.RequireFailure(t, peers.RunActivity(t, l.RecordOrder, changed), activities.LedgerConflict)
				require.Contains(t, failure.Message(), "with another "+columns+";")
			}
			// What was there is untouched, and a time that differs by less
			// than is kept, or by its zone alone, is the same time.
			again := payment()
			again.PaidAt = again.PaidAt.Truncate(time.Microsecond).In(time.UTC)
			require.NoError(t, peers.RunActivity(t, l.RecordPayment, again))
			require.NoError(t, peers.RunActivity(t, l.RecordOrder, order()))
		})
	}
}

func TestRecordRejects(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			l := database.open(t)
			for says, change := range map[string]func(*activities.Payment){
				"ledger_payments_has_key":      func(p *activities.Payment) { p.Key = "" },
				"ledger_payments_has_source":   func(p *activities.Payment) { p.Source = "" },
				"ledger_payments_has_event_id": func(p *activities.Payment) { p.EventID = "" },
				"ledger_payments_has_currency": func(p *activities.Payment) { p.Currency = "" },
				"ledger_payments_has_paid_at":  func(p *activities.Payment) { p.PaidAt = time.Time{} },
			} {
				changed := payment()
				change(&changed)
				failure := peers.RequireFailure(t, peers.RunActivity(t, l.RecordPayment, changed), activities.LedgerRejected)
				require.Contains(t, failure.Message(), says)
			}
			for says, change := range map[string]func(*activities.Order){
				"ledger_orders_has_key":        func(o *activities.Order) { o.Key = "" },
				"ledger_orders_has_source":     func(o *activities.Order) { o.Source = "" },
				"ledger_orders_has_event_id":   func(o *activities.Order) { o.EventID = "" },
				"ledger_orders_has_order_id":   func(o *activities.Order) { o.OrderID = "" },
				"ledger_orders_has_currency":   func(o *activities.Order) { o.Currency = "" },
				"ledger_orders_has_created_at": func(o *activities.Order) { o.CreatedAt = time.Time{} },
				`is ""; want a decimal`:        func(o *activities.Order) { o.Total = "" },
				`is "1e3"; want a decimal`:     func(o *activities.Order) { o.Total = "1e3" },
				`is "1,99"; want a decimal`:    func(o *activities.Order) { o.Total = "1,99" },
			} {
				changed := order()
				change(&changed)
				failure := peers.RequireFailure(t, peers.RunActivity(t, l.RecordOrder, changed), activities.LedgerRejected)
				require.Contains(t, failure.Message(), says)
			}
			require.Zero(t, count(t, l, "ledger_payments")+count(t, l, "ledger_orders"))
		})
	}
}

// Only PostgreSQL checks its text: class 22 of its codes.
func TestPostgresRejectsBadText(t *testing.T) {
	t.Parallel()
	l := databases[1].open(t)
	p := payment()
	p.Invoice = "in\x00"
	peers.RequireFailure(t, peers.RunActivity(t, l.RecordPayment, p), activities.LedgerRejected)
}

func TestRecordIsRetriedWhereTheDatabaseFails(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			l := database.open(t)
			_, err := l.DB.ExecContext(t.Context(), "alter table ledger_payments rename to elsewhere")
			require.NoError(t, err)
			failure := peers.RequireFailure(t, peers.RunActivity(t, l.RecordPayment, payment()), activities.Unavailable)
			require.Contains(t, failure.Message(), "ledger_payments")
			_, err = l.DB.ExecContext(t.Context(), "alter table elsewhere rename to ledger_payments")
			require.NoError(t, err)
			require.NoError(t, peers.RunActivity(t, l.RecordPayment, payment()))

			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, l.RecordPayment(canceled, payment()), context.Canceled)
		})
	}
}

func TestSQLitePragmas(t *testing.T) {
	t.Parallel()
	l := databases[0].open(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "busy_timeout": "10000", "foreign_keys": "1"} {
		var got string
		require.NoError(t, l.DB.QueryRowContext(t.Context(), "pragma "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
}

func TestOpenSQLiteErrors(t *testing.T) {
	t.Parallel()
	_, err := activities.OpenSQLite(t.Context(), "")
	require.ErrorContains(t, err, "the path of the SQLite file is empty")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("not a database, and longer than its header would be"), 0o600))
	_, err = activities.OpenSQLite(t.Context(), file)
	require.ErrorContains(t, err, fmt.Sprintf("open the ledger %q", file))
	_, err = activities.OpenSQLite(t.Context(), filepath.Join(file, "ledger.db"))
	require.ErrorContains(t, err, "make its folder")
}

func TestOpenPostgresErrorsHoldNoDSN(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"cannot be read":     "postgres://hugo:pass%zzword@db.example.com/books",
		"connection refused": "postgres://hugo:password@127.0.0.1:1/books?sslmode=disable",
	} {
		_, err := activities.OpenPostgres(t.Context(), dsn)
		require.ErrorContains(t, err, name)
		for _, part := range []string{"hugo", "pass", "books", "postgres://h"} {
			// The example of a good DSN may be shown, ours may not.
			text := strings.ReplaceAll(err.Error(), "postgres://user:password@host", "")
			require.NotContains(t, text, part)
		}
	}
}
