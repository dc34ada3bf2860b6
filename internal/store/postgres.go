package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// migrationLock is the PostgreSQL advisory lock that migrating processes take.
// It is neither goose's default nor that of the examples' ledger: other programs
// may share the database.
const migrationLock = 0x73746f7265 // "store"

// defaultConnections bounds the connections of one process to PostgreSQL, which
// allows 100 in all by default. Statements wait for a free one.
const defaultConnections = 10

// openPostgres connects to PostgreSQL. The DSN has to lead to PostgreSQL itself,
// or to a pooler in session mode, since migrating processes take turns by a lock
// of the session. Tables are in the schema that search_path names first.
func openPostgres(ctx context.Context, o Options) (*DB, error) {
	config, err := pgx.ParseConfig(o.Postgres)
	if err != nil { // it repeats the DSN
		return nil, errors.New("open the store: the PostgreSQL DSN cannot be read; want postgres://user:password@host:5432/database")
	}
	// What is committed survives a loss of power, whatever the server's default is.
	config.RuntimeParams["synchronous_commit"] = "on"
	db := stdlib.OpenDB(*config)
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	db.SetMaxOpenConns(o.Connections)
	db.SetMaxIdleConns(o.Connections)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store on PostgreSQL: %w", Describe(err)), db.Close())
	}
	return &DB{DB: db, Dialect: Postgres}, nil
}
