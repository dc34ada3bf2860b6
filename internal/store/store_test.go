package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/internal/store"
)

// child is set where this binary is one of the processes that open a store at
// once. It holds the Options, as SQLITE or DSN.
const child = "HOOKYARD_TEST_STORE"

// TestOneOfTheProcesses is what those processes run.
func TestOneOfTheProcesses(t *testing.T) {
	t.Parallel()
	at := os.Getenv(child)
	if at == "" {
		t.Skip("TestProcessesThatStartAtOnce runs it")
	}
	require.NoError(t, open(t.Context(), at))
}

func options(at string) store.Options {
	if strings.HasPrefix(at, "postgres://") {
		return store.Options{Postgres: at}
	}
	return store.Options{SQLite: at}
}

func open(ctx context.Context, at string) error {
	db, err := store.Open(ctx, options(at))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, p := range []store.Part{part("one"), part("two")} {
		if err := db.Migrate(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// part has two migrations, of which the second fails where it is run twice.
func part(name string) store.Part {
	return store.Part{Name: name, Migrations: fstest.MapFS{
		"00001_a.sql": {Data: []byte("-- +goose Up\ncreate table " + name + " (id text not null primary key, at bigint not null);\n")},
		"00002_b.sql": {Data: []byte("-- +goose Up\nalter table " + name + " add column body bytea;\ninsert into " + name + " (id, at) values ('first', 1);\n")},
	}}
}

// places returns a new store of each kind.
func places(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{"sqlite": filepath.Join(t.TempDir(), "new folder", "a?b#c%.db")}
	if dsn := os.Getenv("HOOKYARD_TEST_POSTGRES"); dsn != "" {
		found["postgres"] = schema(t, dsn)
	} else {
		require.Empty(t, os.Getenv("CI"), "HOOKYARD_TEST_POSTGRES is not set; .ci/run sets it")
	}
	return found
}

// schema creates a schema for this test and returns a DSN that leads to it.
func schema(t *testing.T, dsn string) string {
	t.Helper()
	name := "store_" + strings.ToLower(rand.Text()[:12])
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "create schema "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := conn.Exec(ctx, "drop schema "+name+" cascade")
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}

func TestOneTextOfSQLServesBoth(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			require.NoError(t, open(ctx, at))
			require.NoError(t, open(ctx, at), "a second time changes nothing")
			db, err := store.Open(ctx, options(at))
			require.NoError(t, err)
			defer db.Close()
			require.Equal(t, name, string(db.Dialect))
			for want := range []int64{1, 0} {
				done, err := db.ExecContext(ctx, "insert into one (id, at, body) values ($1, $2, $3) on conflict (id) do nothing", "a", int64(7), []byte{0, 255})
				require.NoError(t, err)
				rows, err := done.RowsAffected()
				require.NoError(t, err)
				require.Equal(t, int64(1-want), rows)
			}
			var (
				body []byte
				sum  int64
			)
			require.NoError(t, db.QueryRowContext(ctx, "select body, at from one where id = $1 and at = $2", "a", 7).Scan(&body, &sum))
			require.Equal(t, []byte{0, 255}, body)
			require.Equal(t, int64(7), sum)
		})
	}
}

// TestProcessesThatStartAtOnce opens one store from eight processes and eight
// goroutines of this one.
func TestProcessesThatStartAtOnce(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := os.Executable()
			require.NoError(t, err)
			var all errgroup.Group
			for range 8 {
				all.Go(func() error {
					cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestOneOfTheProcesses$")
					cmd.Env = append(os.Environ(), child+"="+at)
					if out, err := cmd.CombinedOutput(); err != nil {
						return fmt.Errorf("%w: %s", err, out)
					}
					return nil
				})
				all.Go(func() error { return open(t.Context(), at) })
			}
			require.NoError(t, all.Wait())
			db, err := store.Open(t.Context(), options(at))
			require.NoError(t, err)
			defer db.Close()
			var n int
			require.NoError(t, db.QueryRowContext(t.Context(), "select count(*) from two").Scan(&n))
			require.Equal(t, 1, n)
		})
	}
}

// TestSQLiteIsDurable holds the settings by which a commit is on disk.
func TestSQLiteIsDurable(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), store.Options{SQLite: filepath.Join(t.TempDir(), "s.db")})
	require.NoError(t, err)
	defer db.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		require.NoError(t, db.QueryRowContext(t.Context(), "pragma "+pragma).Scan(&got))
		require.Equal(t, want, got, pragma)
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("no database ", 100)), 0o600))
	for _, tt := range []struct {
		o    store.Options
		want string
	}{
		{store.Options{}, "neither a SQLite file nor"},
		{store.Options{SQLite: "a", Postgres: "b"}, "keep one"},
		{store.Options{SQLite: filepath.Join(file, "x.db")}, "make its folder"},
		{store.Options{SQLite: file}, "not a database"},
		{store.Options{SQLite: filepath.Dir(file)}, "name a file that can be written"},
		{store.Options{Postgres: "postgres://u:hunter2@[/"}, "the PostgreSQL DSN cannot be read"},
		{store.Options{Postgres: "postgres://hunter1:hunter2@127.0.0.1:1/hunter3"}, "on PostgreSQL"},
	} {
		_, err := store.Open(t.Context(), tt.o)
		require.ErrorContains(t, err, tt.want)
		require.NotContains(t, err.Error(), "hunter")
	}
	_, err := store.Open(t.Context(), store.Options{SQLite: file})
	require.True(t, store.IsCorrupt(err))
	require.False(t, store.IsFull(err))
}

func TestTryLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "l")
	unlock, held, err := store.TryLock(t.Context(), path)
	require.NoError(t, err)
	require.False(t, held)
	_, held, err = store.TryLock(t.Context(), path)
	require.NoError(t, err)
	require.True(t, held)
	unlock()
	unlock, held, err = store.TryLock(t.Context(), path)
	require.NoError(t, err)
	require.False(t, held)
	unlock()
}
