package journal_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
)

// places returns a new journal of each kind.
func places(t *testing.T) map[string]journal.Place {
	t.Helper()
	found := map[string]journal.Place{"sqlite": file(t)}
	if dsn := os.Getenv("HOOKYARD_TEST_POSTGRES"); dsn != "" {
		found["postgres"] = journal.Place{Postgres: schema(t, dsn), MaxSize: 64 << 20}
	} else {
		require.Empty(t, os.Getenv("CI"), "HOOKYARD_TEST_POSTGRES is not set; .ci/run sets it")
	}
	return found
}

// schema creates a schema for this test and returns a DSN that leads to it.
func schema(t testing.TB, dsn string) string {
	t.Helper()
	name := "journal_" + strings.ToLower(rand.Text()[:12])
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

// child is set where this binary is an edge of its own that will be killed. It
// holds an edge in JSON.
const child = "HOOKYARD_TEST_JOURNAL"

// edge is a process with a journal. It prints the id of each event that it has
// acknowledged; its Temporal is away.
type edge struct {
	Place journal.Place
	First int  // the number of the first event
	Early bool // it acknowledges one event before it stores the one before that
}

// TestEdgeProcess is what such a process runs.
func TestEdgeProcess(t *testing.T) {
	t.Parallel()
	text := os.Getenv(child)
	if text == "" {
		t.Skip("a process that other tests start and kill runs it")
	}
	var e edge
	require.NoError(t, json.Unmarshal([]byte(text), &e))
	away := newTemporal()
	away.set(errors.New("away"))
	j, _ := run(t, e.Place, away, nil)
	var (
		senders errgroup.Group
		out     sync.Mutex
	)
	say := func(id string) error {
		out.Lock()
		defer out.Unlock()
		_, err := os.Stdout.WriteString("ack " + id + "\n")
		return err
	}
	for sender := range 8 {
		senders.Go(func() error {
			for n := 0; ; n++ {
				idOf := func(n int) string { return fmt.Sprint(e.First+n*8+sender, "-of-", sender) }
				id := idOf(n)
				if e.Early {
					if err := say(idOf(n + 1)); err != nil {
						return err
					}
				}
				if err := j.Start(t.Context(), of("s", id), ingest.Payload([]byte(strings.Repeat(id, 40)), false)); err != nil {
					return err
				}
				if !e.Early {
					if err := say(id); err != nil {
						return err
					}
				}
			}
		})
	}
	require.NoError(t, senders.Wait())
}

// killed runs an edge, kills it once it has acknowledged so many events and ready
// says so, and returns their ids.
func killed(t *testing.T, e edge, after int, ready func() bool) (acknowledged []string) {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	text, err := json.Marshal(e)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestEdgeProcess$")
	cmd.Env = append(os.Environ(), child+"="+string(text))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var (
		failed strings.Builder
		dead   bool
	)
	cmd.Stderr = &failed
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line without an end was not acknowledged in whole
			require.ErrorIs(t, err, io.EOF)
			break
		}
		if id, ok := strings.CutPrefix(line, "ack "); ok {
			acknowledged = append(acknowledged, strings.TrimSpace(id))
		} else {
			failed.WriteString(line)
		}
		if len(acknowledged) >= after && !dead && ready() {
			dead = true
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.Error(t, cmd.Wait())
	require.GreaterOrEqual(t, len(acknowledged), after, failed.String())
	return acknowledged
}

func atOnce() bool { return true }

// missing returns which of the events a journal does not start.
func missing(t *testing.T, at journal.Place, acknowledged []string) (lost []string) {
	t.Helper()
	starts := newTemporal()
	_, stop := run(t, at, starts, nil)
	eventually(t, func() bool { return depth(t, at)["s"].Records == 0 })
	stop()
	for _, id := range acknowledged {
		if starts.bodies[id] != strings.Repeat(id, 40) {
			lost = append(lost, id)
		}
	}
	return lost
}

// TestKilledEdges kills edges as they append. The control acknowledges an event
// before it is stored: if nothing were missing of its events either, this would
// say nothing.
func TestKilledEdges(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var acknowledged, early []string
			for i := range 4 {
				acknowledged = append(acknowledged, killed(t, edge{Place: at, First: i * 1e6}, 100+77*i, atOnce)...)
			}
			require.Empty(t, missing(t, at, acknowledged))
			for i := range 4 {
				early = append(early, killed(t, edge{Place: at, First: (10 + i) * 1e6, Early: true}, 100+77*i, atOnce)...)
			}
			require.NotEmpty(t, missing(t, at, early), "the control lost nothing")
		})
	}
}

// TestAnotherEdgeTakesOver kills the edge that drains a source.
func TestAnotherEdgeTakesOver(t *testing.T) {
	t.Parallel()
	at, ok := places(t)["postgres"]
	if !ok {
		t.Skip("HOOKYARD_TEST_POSTGRES is not set")
	}
	conn, err := pgx.Connect(t.Context(), at.Postgres)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	acknowledged := killed(t, edge{Place: at}, 200, func() (drains bool) {
		require.NoError(t, conn.QueryRow(t.Context(), "select exists (select 1 from journal_leases where holder <> '')").Scan(&drains))
		return drains
	})
	starts := newTemporal()
	_, stop := run(t, at, starts, nil)
	require.Empty(t, starts.ids(), "the lease of the killed one has not run out")
	eventually(t, func() bool { return depth(t, at)["s"].Records == 0 })
	require.Subset(t, starts.ids(), acknowledged)
	stop()
}

// TestEdgesShareTheWork runs two edges on one PostgreSQL, stops one under load,
// and sees that each event is started once and by somebody.
func TestEdgesShareTheWork(t *testing.T) {
	t.Parallel()
	at, ok := places(t)["postgres"]
	if !ok {
		t.Skip("HOOKYARD_TEST_POSTGRES is not set")
	}
	first, second := newTemporal(), newTemporal()
	one, stopOne := run(t, at, first, nil)
	two, stopTwo := run(t, at, second, nil)
	const each = 300
	appendAll := func(j *journal.Journal, name string) error {
		for i := range each {
			if err := j.Start(t.Context(), of(fmt.Sprint("s", i%3), fmt.Sprint(name, i)), ingest.Payload([]byte("{}"), true)); err != nil {
				return err
			}
		}
		return nil
	}
	var senders errgroup.Group
	senders.Go(func() error { return appendAll(one, "a") })
	senders.Go(func() error { return appendAll(two, "b") })
	require.NoError(t, senders.Wait())
	stopOne()
	require.NoError(t, appendAll(two, "c"))
	eventually(t, func() bool {
		all := map[string]bool{}
		for _, id := range append(first.ids(), second.ids()...) {
			all[id] = true
		}
		return len(all) == 3*each
	})
	stopTwo()
	require.Len(t, append(first.ids(), second.ids()...), 3*each, "a source has one drain at a time")
}

// TestLeftBehind asks a PostgreSQL without a journal, with an empty one and with
// one that has an event.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	at, ok := places(t)["postgres"]
	if !ok {
		t.Skip("HOOKYARD_TEST_POSTGRES is not set")
	}
	asks := func(want bool) {
		left, err := journal.LeftBehind(t.Context(), at)
		require.NoError(t, err)
		require.Equal(t, want, left)
	}
	asks(false)
	starts := newTemporal()
	starts.set(errors.New("away"))
	j, stop := run(t, at, starts, nil)
	asks(false)
	require.NoError(t, put(t, j, "s", "waits", "{}"))
	stop()
	asks(true)
	_, err := journal.LeftBehind(t.Context(), journal.Place{Postgres: "postgres://u:hunter2@127.0.0.1:1/db"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// TestALateCommitIsStarted commits a record whose Seq is lower than those that
// were started already, while its source does not come to rest.
func TestALateCommitIsStarted(t *testing.T) {
	t.Parallel()
	at, ok := places(t)["postgres"]
	if !ok {
		t.Skip("HOOKYARD_TEST_POSTGRES is not set")
	}
	starts := newTemporal()
	j, stop := run(t, at, starts, nil)
	conn, err := pgx.Connect(t.Context(), at.Postgres)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	require.NoError(t, put(t, j, "s", "first", "{}"))
	eventually(t, func() bool { return len(starts.ids()) == 1 && depth(t, at)["s"].Records == 0 })
	starts.set(errors.New("away"))
	require.NoError(t, put(t, j, "s", "late", "{}"))
	// It gets the Seq that another edge's transaction would have taken before.
	_, err = conn.Exec(t.Context(), "create table late as select 1::bigint as low, * from journal where workflow_id = 's:late'")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "delete from journal")
	require.NoError(t, err)
	starts.set(nil)
	for i := range 3 {
		require.NoError(t, put(t, j, "s", fmt.Sprint("more", i), "{}"))
	}
	eventually(t, func() bool { return len(starts.ids()) >= 4 })
	_, err = conn.Exec(t.Context(), `insert into journal overriding system value
		select low, source, 's:lower', appended_at, is_json, header, payload, crc, size from late`)
	require.NoError(t, err)
	n := 0
	eventually(t, func() bool {
		n++
		require.NoError(t, put(t, j, "s", fmt.Sprint("still", n), "{}"))
		return depth(t, at)["s"].SetAside == 1 // found, and found damaged: its Workflow Id is not that of the sum
	})
	stop()
}
