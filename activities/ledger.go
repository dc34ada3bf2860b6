package activities

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Ledger keeps what was paid and ordered in a database, each event once.
type Ledger struct {
	// DB is what OpenSQLite or OpenPostgres connected to. Whoever opened it
	// closes it: a Close method here would be registered as an Activity.
	DB *sql.DB
}

// Payment is a payment that a provider reported. Histories hold it: its JSON
// names may be added to and not changed.
type Payment struct {
	// Key is Event.Key("RecordPayment").
	Key string `json:"key"`
	// Source and EventID say which event reported it.
	Source  string `json:"source"`
	EventID string `json:"event_id"`
	// Invoice and Customer are the provider's ids. Either may be empty.
	Invoice  string `json:"invoice"`
	Customer string `json:"customer"`
	// Email is the customer's; empty where it is not known.
	Email string `json:"email,omitempty"`
	// Amount counts the currency's minor unit, as the provider does.
	Amount int64 `json:"amount"`
	// Currency is an ISO 4217 code in the provider's case.
	Currency string `json:"currency"`
	// PaidAt is when it was paid. It is kept to the microsecond.
	PaidAt time.Time `json:"paid_at"`
}

// Order is an order that a provider reported. Histories hold it: its JSON
// names may be added to and not changed.
type Order struct {
	// Key is Event.Key("RecordOrder").
	Key string `json:"key"`
	// Source and EventID say which event reported it.
	Source  string `json:"source"`
	EventID string `json:"event_id"`
	// Shop is the shop that the order was placed in
	// ("acme.myshopify.com"); empty where the provider does not say.
	Shop string `json:"shop,omitempty"`
	// OrderID is the provider's id of the order.
	OrderID string `json:"order_id"`
	// Number is what people call the order ("#1001"). It may be empty.
	Number string `json:"number,omitempty"`
	// Email is the buyer's; empty where it is not known.
	Email string `json:"email,omitempty"`
	// Total is a decimal in major units, with the digits that were sent:
	// "199.00". It is never a float on its way.
	Total string `json:"total"`
	// Currency is an ISO 4217 code in the provider's case.
	Currency string `json:"currency"`
	// CreatedAt is when it was placed. It is kept to the microsecond.
	CreatedAt time.Time `json:"created_at"`
}

// RecordPayment writes the payment to the ledger.
//
// It is idempotent under Payment.Key, which is the primary key: however often
// and by however many workers it runs, there is one row.
//
// Permanent are NotConfigured, LedgerRejected (the database's rules do not
// allow the entry: no key, no currency, no time), and LedgerConflict (the key
// is there with other contents; the error names the columns, and nothing is
// changed). Everything else is Unavailable.
func (l *Ledger) RecordPayment(ctx context.Context, p Payment) error {
	return l.record(ctx, "ledger_payments", p.Key, []column{
		{"source", p.Source},
		{"event_id", p.EventID},
		{"invoice", p.Invoice},
		{"customer", p.Customer},
		{"email", p.Email},
		{"amount", p.Amount},
		{"currency", p.Currency},
		{"paid_at", instant(p.PaidAt)},
	})
}

var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// RecordOrder writes the order to the ledger.
//
// It is idempotent under Order.Key, which is the primary key: however often
// and by however many workers it runs, there is one row.
//
// Permanent are NotConfigured, LedgerRejected (the total is not a decimal, or
// the database's rules do not allow the entry), and LedgerConflict (the key is
// there with other contents; the error names the columns, and nothing is
// changed). Everything else is Unavailable.
func (l *Ledger) RecordOrder(ctx context.Context, o Order) error {
	if !decimal.MatchString(o.Total) {
		return permanent(LedgerRejected, "the total of order %q is %q; want a decimal such as \"199.00\"", o.OrderID, o.Total)
	}
	return l.record(ctx, "ledger_orders", o.Key, []column{
		{"source", o.Source},
		{"event_id", o.EventID},
		{"shop", o.Shop},
		{"order_id", o.OrderID},
		{"number", o.Number},
		{"email", o.Email},
		{"total", o.Total},
		{"currency", o.Currency},
		{"created_at", instant(o.CreatedAt)},
	})
}

// column is one column of a row besides its key.
type column struct {
	name  string
	value any
}

// record inserts the row, or makes sure that the one under its key says the
// same. The insert alone decides who was first, so it needs no transaction.
func (l *Ledger) record(ctx context.Context, table, key string, columns []column) error {
	if l == nil || l.DB == nil {
		return permanent(NotConfigured, "no ledger is configured: set ledger.sqlite or ledger.postgres")
	}
	names, marks, equals := []string{"key"}, []string{"$1"}, []string{}
	values := []any{key}
	for i, c := range columns {
		mark := fmt.Sprintf("$%d", i+2)
		names, marks = append(names, c.name), append(marks, mark)
		equals = append(equals, c.name+" = "+mark)
		values = append(values, c.value)
	}

	inserted, err := l.DB.ExecContext(ctx, fmt.Sprintf("insert into %s (%s) values (%s) on conflict (key) do nothing",
		table, strings.Join(names, ", "), strings.Join(marks, ", ")), values...)
	if err != nil {
		return ledgerError(ctx, table, err)
	}
	rows, err := inserted.RowsAffected()
	if err != nil {
		return ledgerError(ctx, table, err)
	}
	if rows == 1 {
		return nil
	}

	// The database compares, so that a value counts as it was stored.
	same, into := make([]bool, len(columns)), make([]any, len(columns))
	for i := range same {
		into[i] = &same[i]
	}
	err = l.DB.QueryRowContext(ctx, fmt.Sprintf("select %s from %s where key = $1",
		strings.Join(equals, ", "), table), values...).Scan(into...)
	if err != nil {
		return ledgerError(ctx, table, err)
	}
	var differ []string
	for i, c := range columns {
		if !same[i] {
			differ = append(differ, c.name)
		}
	}
	if len(differ) > 0 {
		return permanent(LedgerConflict, "%s holds key %q with another %s; the row was left as it is",
			table, key, strings.Join(differ, ", "))
	}
	return nil
}

// instant is the time as both databases keep it: PostgreSQL to the
// microsecond, SQLite as text that is only comparable in one zone.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// ledgerError tells entries that the database will never take from a database
// that cannot be used now. A missing table or a wrong password counts as the
// latter: a person can put it right between two attempts.
func ledgerError(ctx context.Context, table string, err error) error {
	if rejected(err) {
		return permanent(LedgerRejected, "%s does not take the entry: %s", table, databaseError(err))
	}
	return unavailable(ctx, "%s: %s", table, databaseError(err))
}

func rejected(err error) bool {
	if postgres, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Class 22 is a data exception, class 23 a broken constraint.
		return strings.HasPrefix(postgres.Code, "22") || strings.HasPrefix(postgres.Code, "23")
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff { // without the extended part
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
			return true
		}
	}
	return false
}

// databaseError says what went wrong without saying how we connect: pgx names
// the user and the database of the DSN in an error about connecting.
func databaseError(err error) string {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) && connecting.Unwrap() != nil {
		err = connecting.Unwrap()
	}
	return printable(err.Error(), 512)
}
