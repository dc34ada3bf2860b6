package journal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
)

// temporal is a Starter that remembers.
type temporal struct {
	mu      sync.Mutex
	err     error // of every start, nil for none
	errOf   map[string]error
	started []string // event ids, in order
	held    map[string]bool
	bodies  map[string]string
}

func (s *temporal) Start(_ context.Context, ev event.Event, payload converter.RawValue) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.err, s.errOf[ev.ID]); err != nil {
		return err
	}
	if _, again := s.bodies[ev.ID]; again {
		return ingest.ErrDuplicate
	}
	s.started = append(s.started, ev.ID)
	s.held[ev.ID] = ev.Held
	s.bodies[ev.ID] = string(payload.Payload().GetData())
	return nil
}

func (s *temporal) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *temporal) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.started...)
}

func newTemporal() *temporal {
	return &temporal{held: map[string]bool{}, bodies: map[string]string{}, errOf: map[string]error{}}
}

// run runs a journal until stop is called or the test ends.
func run(t *testing.T, file string, starts *temporal, change func(*journal.Options)) (j *journal.Journal, stop func()) {
	t.Helper()
	o := journal.Options{
		Place: journal.Place{SQLite: file, MaxSize: 64 << 20}, MaxAge: time.Hour, Live: starts, Backlog: starts,
		Hold:   func(_ context.Context, source string) (bool, error) { return source == "held", nil },
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	j, err := journal.New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx, ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	require.Eventually(t, func() bool { return j.Ready() == nil }, time.Minute, 5*time.Millisecond)
	return j, stop
}

func of(source, id string) event.Event {
	return event.Event{Source: source, Provider: "p", ID: id, Type: "t", ReceivedAt: time.Now()}
}

func put(t *testing.T, j *journal.Journal, source, id, body string) error {
	t.Helper()
	return j.Start(t.Context(), of(source, id), ingest.Payload([]byte(body), true))
}

func depth(t *testing.T, file string) map[string]journal.Depth {
	t.Helper()
	tables, err := journal.OpenTables(t.Context(), journal.Place{SQLite: file})
	require.NoError(t, err)
	defer func() { require.NoError(t, tables.Close()) }()
	all, err := tables.Depths(t.Context())
	require.NoError(t, err)
	found := map[string]journal.Depth{}
	for _, d := range all {
		found[d.Source] = d
	}
	return found
}

func TestDrainStartsInOrderOfArrival(t *testing.T) {
	t.Parallel()
	file, starts := filepath.Join(t.TempDir(), "j.db"), newTemporal()
	starts.set(errors.New("away"))
	j, stop := run(t, file, starts, func(o *journal.Options) { o.MaxInFlight = 1 })
	var want []string
	for i := range 300 {
		id := fmt.Sprintf("e%03d", i)
		want = append(want, id)
		require.NoError(t, put(t, j, "a", id, "{}"))
	}
	require.ErrorIs(t, put(t, j, "a", "e000", "{}"), ingest.ErrDuplicate)
	stop()
	require.Equal(t, int64(300), depth(t, file)["a"].Records, "what was acknowledged is there after a restart")

	starts.set(nil)
	j, stop = run(t, file, starts, func(o *journal.Options) { o.MaxInFlight = 1 })
	require.Eventually(t, func() bool { return len(starts.ids()) == 300 }, time.Minute, 5*time.Millisecond)
	require.Equal(t, want, starts.ids())
	require.NoError(t, put(t, j, "held", "h", `{"a":1}`))
	require.Eventually(t, func() bool { return len(starts.ids()) == 301 }, time.Minute, 5*time.Millisecond)
	stop()
	require.Zero(t, depth(t, file)["a"].Records)
	require.True(t, starts.held["h"])
	require.False(t, starts.held["e000"])
	require.JSONEq(t, `{"a":1}`, starts.bodies["h"])
}

func TestManyAppendAtOnce(t *testing.T) {
	t.Parallel()
	file, starts := filepath.Join(t.TempDir(), "j.db"), newTemporal()
	j, stop := run(t, file, starts, nil)
	var (
		wait       sync.WaitGroup
		mu         sync.Mutex
		stored     int
		duplicates int
	)
	for worker := range 32 {
		wait.Go(func() {
			for i := range 40 { // each id comes from two workers
				err := j.Start(t.Context(), of("s"+fmt.Sprint(worker%2), fmt.Sprintf("%d-%d", worker/4, i+40*(worker/2%2)*0)), ingest.Payload([]byte("x"), false))
				mu.Lock()
				switch {
				case err == nil:
					stored++
				case errors.Is(err, ingest.ErrDuplicate):
					duplicates++
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	require.Equal(t, 32*40, stored+duplicates)
	require.Eventually(t, func() bool { return len(starts.ids()) == 8*40 }, time.Minute, 5*time.Millisecond)
	stop()
	for _, d := range depth(t, file) {
		require.Zero(t, d.Records)
	}
}

func TestWhatCannotStartIsSetAside(t *testing.T) {
	t.Parallel()
	file, starts := filepath.Join(t.TempDir(), "j.db"), newTemporal()
	starts.errOf["large"] = ingest.ErrTooLarge
	j, stop := run(t, file, starts, nil)
	for _, id := range []string{"large", "fine"} {
		require.NoError(t, put(t, j, "a", id, "{}"))
	}
	require.ErrorIs(t, put(t, j, "a", "huge", strings.Repeat("x", 2<<20)), ingest.ErrTooLarge)
	require.Eventually(t, func() bool { return len(starts.ids()) == 1 }, time.Minute, 5*time.Millisecond)
	stop()
	require.Equal(t, int64(1), depth(t, file)["a"].SetAside)
	require.Zero(t, depth(t, file)["a"].Records)
}

func TestWhatIsTooOldIsNotStarted(t *testing.T) {
	t.Parallel()
	file, starts := filepath.Join(t.TempDir(), "j.db"), newTemporal()
	starts.set(errors.New("away"))
	j, stop := run(t, file, starts, nil)
	require.NoError(t, put(t, j, "a", "old", "{}"))
	stop()
	starts.set(nil)
	_, stop = run(t, file, starts, func(o *journal.Options) {
		o.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	})
	require.Eventually(t, func() bool { return depth(t, file)["a"].SetAside == 1 }, time.Minute, 20*time.Millisecond)
	stop()
	require.Empty(t, starts.ids())
}
