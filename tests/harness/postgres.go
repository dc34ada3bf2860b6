package harness

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Postgres makes Temporal servers on PostgreSQL.
type Postgres struct {
	// Server and SQLTool are the paths of temporal-server and
	// temporal-sql-tool, of one version.
	Server, SQLTool string
	// URL leads to PostgreSQL, "postgres://user:password@host:port/db". The
	// user must be allowed to create databases and the extension btree_gin.
	URL string
	// Through, if not nil, takes the address of PostgreSQL and returns that of
	// a proxy, which the server connects to instead.
	Through func(address string) (string, error)
	// Out takes what the server and the tool print.
	Out io.Writer
}

// shards is the number of history shards: enough to use the cores of a small
// machine, few enough that a restarted server takes them over at once.
const shards = "4"

// dynamicConfig lifts the limits of a shared cluster, and makes a Search
// Attribute known as soon as it was created.
const dynamicConfig = `system.forceSearchAttributesCacheRefreshOnRead: [{value: true}]
system.enableEagerWorkflowStart: [{value: true}]
frontend.rps: [{value: 100000}]
frontend.namespaceRPS: [{value: 100000}]
frontend.namespaceRPS.visibility: [{value: 100000}]
history.rps: [{value: 100000}]
matching.rps: [{value: 100000}]
frontend.persistenceMaxQPS: [{value: 100000}]
history.persistenceMaxQPS: [{value: 100000}]
matching.persistenceMaxQPS: [{value: 100000}]
frontend.enableServerVersionCheck: [{value: false}]
`

// NewServer creates two databases of its own for a server, with its schema,
// and returns the server, not yet started. Its dynamic config is in the
// folder. The caller calls Drop when it has stopped the server.
func (p Postgres) NewServer(ctx context.Context, folder string) (_ *Temporal, err error) {
	at, err := parsePostgres(p.URL)
	if err != nil {
		return nil, err
	}
	name := "hookyard_" + strings.ToLower(rand.Text()[:10])
	databases := []string{name, name + "_visibility"}
	drop := func(ctx context.Context) error { return p.drop(ctx, databases) }
	defer func() {
		if err != nil {
			err = errors.Join(err, drop(context.WithoutCancel(ctx)))
		}
	}()
	for i, schema := range []string{"temporal", "visibility"} {
		if err := p.create(ctx, at, databases[i], schema); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(folder, "dynamicconfig.yaml")
	if err := os.WriteFile(config, []byte(dynamicConfig), 0o600); err != nil {
		return nil, err
	}
	database := at.address
	if p.Through != nil {
		if database, err = p.Through(at.address); err != nil {
			return nil, err
		}
	}
	host, port, err := net.SplitHostPort(database)
	if err != nil {
		return nil, err
	}
	vars := []string{
		"DB=postgres12", "POSTGRES_SEEDS=" + host, "DB_PORT=" + port, "POSTGRES_USER=" + at.user, "POSTGRES_PWD=" + at.password,
		"DBNAME=" + databases[0], "VISIBILITY_DBNAME=" + databases[1],
		"BIND_ON_IP=" + Host, "NUM_HISTORY_SHARDS=" + shards, "DYNAMIC_CONFIG_FILE_PATH=" + config, "LOG_LEVEL=error",
	}
	ports, frontend, err := ServicePorts(ctx)
	if err != nil {
		return nil, err
	}
	return &Temporal{
		Supervised: Supervise(Command{Program: p.Server, Args: []string{"start"}, Vars: append(vars, ports...), Out: p.Out}),
		Address:    frontend,
		On:         "PostgreSQL",
		drop:       drop,
	}, nil
}

// ServicePorts gives each of the server's listeners a free port, as environment
// variables. It returns the frontend's address, too.
func ServicePorts(ctx context.Context) (vars []string, frontend string, err error) {
	names := []string{
		"FRONTEND_GRPC_PORT", "FRONTEND_HTTP_PORT", "FRONTEND_MEMBERSHIP_PORT", "HISTORY_GRPC_PORT", "HISTORY_MEMBERSHIP_PORT",
		"MATCHING_GRPC_PORT", "MATCHING_MEMBERSHIP_PORT", "WORKER_GRPC_PORT", "WORKER_MEMBERSHIP_PORT",
	}
	addresses, err := freeAddresses(ctx, len(names))
	if err != nil {
		return nil, "", err
	}
	for i, name := range names {
		vars = append(vars, name+"="+Port(addresses[i]))
	}
	return vars, addresses[0], nil
}

// place is the address of PostgreSQL and the user who connects.
type place struct{ address, user, password string }

// parsePostgres never repeats the URL in an error: it may hold a password.
func parsePostgres(raw string) (place, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" || u.User.Username() == "" {
		return place{}, errors.New("the URL of PostgreSQL cannot be read; want postgres://user:password@host:5432/postgres")
	}
	port := u.Port()
	if port == "" {
		port = "5432"
	}
	password, _ := u.User.Password()
	return place{net.JoinHostPort(u.Hostname(), port), u.User.Username(), password}, nil
}

// create creates a database with one of Temporal's schemas.
func (p Postgres) create(ctx context.Context, at place, database, schema string) error {
	if err := p.admin(ctx, "create database "+pgx.Identifier{database}.Sanitize()); err != nil {
		return fmt.Errorf("create database %q: %w", database, err)
	}
	for _, args := range [][]string{
		{"setup-schema", "-v", "0.0"},
		{"update-schema", "--schema-name", "postgresql/v12/" + schema},
	} {
		if err := p.tool(ctx, at, database, args...); err != nil {
			return fmt.Errorf("schema of database %q: %w", database, err)
		}
	}
	return nil
}

func (p Postgres) tool(ctx context.Context, at place, database string, args ...string) error {
	host, port, err := net.SplitHostPort(at.address)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, p.SQLTool, append([]string{ //nolint:gosec // the caller's own program
		"--plugin", "postgres12", "--ep", host, "-p", port, "-u", at.user, "--db", database,
	}, args...)...)
	// The password is in a variable, because every user of the machine can
	// read a command line.
	cmd.Env = append(os.Environ(), "SQL_PASSWORD="+at.password)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(p.SQLTool), args[0], err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// drop removes the databases, also while others are connected to them.
func (p Postgres) drop(ctx context.Context, databases []string) error {
	var failed []error
	for _, database := range databases {
		if err := p.admin(ctx, "drop database if exists "+pgx.Identifier{database}.Sanitize()+" with (force)"); err != nil {
			failed = append(failed, fmt.Errorf("drop database %q: %w", database, err))
		}
	}
	return errors.Join(failed...)
}

// admin runs one statement in the database of the URL.
func (p Postgres) admin(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, p.URL)
	if err != nil {
		return errors.New("PostgreSQL cannot be reached at the given URL; is it running, and does it take that user?")
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is lost
	_, err = conn.Exec(ctx, statement)
	return err
}
