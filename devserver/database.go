package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	temporalsql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// prepareFile makes the file ready for the server: a new or empty one gets
// the schema, in one transaction, and any other must already have it. The
// server has no migrations for SQLite, so a file of another version is
// refused here, before the server would stumble over it.
func prepareFile(ctx context.Context, path string) (err error) {
	folder := filepath.Dir(path)
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--db-filename %q: there is no folder %q; create it first", path, folder)
	}
	db, err := open("file:" + escape(path) + "?mode=rwc")
	if err != nil {
		return fmt.Errorf("--db-filename %q: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	found, err := columns(ctx, db)
	switch {
	case code(err) == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("--db-filename %q is not a SQLite database; name another file", path)
	case code(err) == sqlite3.SQLITE_BUSY:
		return fmt.Errorf("--db-filename %q is in use by another process, perhaps a second devserver; stop it or name another file", path)
	case err != nil:
		return fmt.Errorf("--db-filename %q cannot be read: %w", path, err)
	case len(found) == 0:
		if err := createSchema(ctx, db); err != nil {
			return fmt.Errorf("--db-filename %q: %w", path, err)
		}
		return nil
	}
	wanted, err := wantedColumns(ctx)
	if err != nil {
		return err
	}
	if !hasTable(found, "namespaces") || !hasTable(found, "executions") {
		return fmt.Errorf("--db-filename %q is a SQLite database, but not one of Temporal's; name another file", path)
	}
	for _, c := range wanted {
		if !slices.Contains(found, c) {
			return fmt.Errorf("--db-filename %q was made by another version of the Temporal server: its table %q has no column %q; "+
				"run that version, or move the file away to start with an empty one", path, c.table, c.name)
		}
	}
	return nil
}

// column is a column of a table.
type column struct{ table, name string }

func columns(ctx context.Context, db *sql.DB) ([]column, error) {
	rows, err := db.QueryContext(ctx, `SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c `+
		`WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.table, &c.name); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// wantedColumns is what this version of the server needs, read from a
// database that it just set up in memory.
func wantedColumns(ctx context.Context) (_ []column, err error) {
	db, err := open("file::memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := createSchema(ctx, db); err != nil {
		return nil, err
	}
	return columns(ctx, db)
}

func hasTable(columns []column, table string) bool {
	return slices.ContainsFunc(columns, func(c column) bool { return c.table == table })
}

// createSchema is atomic: a process that is killed here leaves an empty file
// and not one with half of the tables.
func createSchema(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("create the schema: %w", err)
	}
	if err := sqliteschema.SetupSchemaOnDB(execer{ctx: ctx, tx: tx}); err != nil {
		return errors.Join(fmt.Errorf("create the schema: %w", err), tx.Rollback())
	}
	return tx.Commit()
}

// execer has of an AdminDB what setting up the schema calls.
type execer struct {
	sqlplugin.AdminDB
	ctx context.Context //nolint:containedctx // AdminDB.Exec takes none
	tx  *sql.Tx
}

func (e execer) Exec(statement string, args ...any) error {
	_, err := e.tx.ExecContext(e.ctx, statement, args...)
	return err
}

// open opens a SQLite database over one connection, because each connection
// to memory is a database of its own. The server's plugin is the driver.
func open(dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// code is SQLite's primary result code, or 0 when err is not SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// escape keeps a path with "?", "#" or "%" in it whole inside a file URI.
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// sqlConfig tells the server's SQLite plugin where its database is.
func sqlConfig(opts options, memoryName string) *config.SQL {
	cfg := &config.SQL{PluginName: "sqlite"}
	if opts.dbFilename == "" {
		// Each in-memory database of a process goes by its name.
		cfg.DatabaseName = memoryName
		cfg.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
		return cfg
	}
	cfg.DatabaseName = escape(opts.dbFilename)
	cfg.ConnectAttributes = map[string]string{
		"mode": "rwc",
		// A commit survives a killed process. Only a power cut may lose
		// the last ones, and never the database.
		"journal_mode": "wal",
		"synchronous":  "normal",
		// Two servers on one file would both believe to own its shard.
		"locking_mode": "exclusive",
	}
	return cfg
}

// foldFile writes the log of a stopped server's file into the file itself.
// The server never closes its connection, so without this every stop would
// leave "-wal" beside it, and a copy of the file alone would miss writes.
func foldFile(cfg *config.SQL) (err error) {
	db, err := temporalsql.NewSQLAdminDB(sqlplugin.DbKindUnknown, cfg, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, statement := range []string{
		"PRAGMA journal_mode = delete",
		// The lock, and a journal with it, goes at the next read.
		"PRAGMA locking_mode = normal",
		"SELECT count(*) FROM sqlite_master",
	} {
		if err := db.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}
