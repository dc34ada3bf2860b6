package trial

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// postgresLedger is a database of its own.
//
// Its disk is full when a trigger says so, in the words and with the SQLSTATE
// that PostgreSQL has for it (53100). It is read-only when its
// default_transaction_read_only is on and its connections were ended, as after
// a failover to a standby.
type postgresLedger struct {
	url, name string
}

// ledgerDSN is the variable that the config takes the DSN from.
const ledgerDSN = "CHAOS_LEDGER"

// newPostgresLedger creates the database. The caller calls drop.
func newPostgresLedger(ctx context.Context, url string) (*postgresLedger, error) {
	l := &postgresLedger{url: url, name: "hookyard_" + strings.ToLower(rand.Text()[:10]) + "_ledger"}
	return l, l.admin(ctx, "create database "+l.name)
}

func (l *postgresLedger) drop(ctx context.Context) error {
	return l.admin(ctx, "drop database if exists "+l.name+" with (force)")
}

func (l *postgresLedger) setting() string { return "{postgres: env:" + ledgerDSN + "}" }

// dsn is how to reach the database at an address, a proxy's perhaps.
func (l *postgresLedger) dsn(address string) (string, error) {
	u, err := url.Parse(l.url)
	if err != nil {
		return "", errors.New("the URL of PostgreSQL cannot be read")
	}
	u.Path = "/" + l.name
	if address != "" {
		u.Host = address
	}
	return u.String(), nil
}

// admin runs statements in the database of the URL.
func (l *postgresLedger) admin(ctx context.Context, statements ...string) error {
	return execute(ctx, l.url, statements...)
}

// execute keeps the DSN out of errors: it may hold a password.
func execute(ctx context.Context, dsn string, statements ...string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return errors.New("the URL of PostgreSQL cannot be read")
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("PostgreSQL: %q: %w", statement, err)
		}
	}
	return nil
}

func (l *postgresLedger) rows(ctx context.Context) (map[string]int, error) {
	dsn, err := l.dsn("")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, errors.New("the URL of PostgreSQL cannot be read")
	}
	defer db.Close()
	return countRows(ctx, db)
}

func (l *postgresLedger) begin(ctx context.Context, f Fault) (func(context.Context) error, error) {
	if f.Kind == ReadOnly {
		end := "select pg_terminate_backend(pid) from pg_stat_activity where datname = '" + l.name + "'"
		err := l.admin(ctx, "alter database "+l.name+" set default_transaction_read_only = on", end)
		return func(ctx context.Context) error {
			return l.admin(ctx, "alter database "+l.name+" reset default_transaction_read_only", end)
		}, err
	}
	dsn, err := l.dsn("")
	if err != nil {
		return nil, err
	}
	err = execute(ctx, dsn, `create or replace function chaos_disk_full() returns trigger language plpgsql as $$
begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`,
		"create or replace trigger chaos_disk_full before insert on ledger_payments for each row execute function chaos_disk_full()")
	return func(ctx context.Context) error {
		return execute(ctx, dsn, "drop trigger if exists chaos_disk_full on ledger_payments")
	}, err
}
