package journal_test

import (
	"cmp"
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
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
)

// temporal is a Starter that remembers, and starts an event once.
type temporal struct {
	mu      sync.Mutex
	err     error            // of every start, nil for none
	errOf   map[string]error // by event id
	tries   map[string]int   // by event id
	started []string         // event ids, in order
	held    map[string]bool
	bodies  map[string]string
}

func (s *temporal) Start(_ context.Context, ev event.Event, payload converter.RawValue) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[ev.ID]++
	if err := cmp.Or(s.err, s.errOf[ev.ID]); err != nil {
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
	return &temporal{held: map[string]bool{}, bodies: map[string]string{}, errOf: map[string]error{}, tries: map[string]int{}}
}

// said is a log that is searched.
type said struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (s *said) Handle(_ context.Context, r slog.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, r.Message)
	return nil
}

func (s *said) Enabled(context.Context, slog.Level) bool { return true }

func (s *said) count(part string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func newSaid() *said { return &said{Handler: slog.DiscardHandler} }

func file(t *testing.T) journal.Place {
	t.Helper()
	return journal.Place{SQLite: filepath.Join(t.TempDir(), "j.db"), MaxSize: 64 << 20}
}

// run runs a journal until stop is called or the test ends.
func run(t *testing.T, at journal.Place, starts *temporal, change func(*journal.Options)) (j *journal.Journal, stop func()) {
	t.Helper()
	o := journal.Options{
		Place: at, MaxAge: time.Hour, Live: starts, Backlog: starts,
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
	require.Eventually(t, func() bool { return j.Ready() == nil || errors.Is(j.Ready(), journal.ErrFull) }, time.Minute, time.Millisecond)
	return j, stop
}

func logTo(s *said) func(*journal.Options) {
	return func(o *journal.Options) { o.Logger = slog.New(s) }
}

func of(source, id string) event.Event {
	return event.Event{Source: source, Provider: "p", ID: id, Type: "t", ReceivedAt: time.Now()}
}

func put(t *testing.T, j *journal.Journal, source, id, body string) error {
	t.Helper()
	return j.Start(t.Context(), of(source, id), ingest.Payload([]byte(body), true))
}

func tables(t *testing.T, at journal.Place) *journal.Tables {
	t.Helper()
	opened, err := journal.OpenTables(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened
}

func depth(t *testing.T, at journal.Place) map[string]journal.Depth {
	t.Helper()
	opened, err := journal.OpenTables(t.Context(), at)
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	all, err := opened.Depths(t.Context())
	require.NoError(t, err)
	found := map[string]journal.Depth{}
	for _, d := range all {
		found[d.Source] = d
	}
	return found
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, 2*time.Millisecond)
}

// TestBothStores runs what holds for each store.
func TestBothStores(t *testing.T) {
	t.Parallel()
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("order", func(t *testing.T) { startsInOrder(t, at) })
			t.Run("once", func(t *testing.T) { storesOnce(t, at) })
			t.Run("aside", func(t *testing.T) { setsAside(t, at) })
			t.Run("old", func(t *testing.T) { startsNothingOld(t, at) })
		})
	}
}

// startsInOrder appends while Temporal is away, restarts, and lets it come back.
func startsInOrder(t *testing.T, at journal.Place) {
	starts := newTemporal()
	starts.set(errors.New("away"))
	one := func(o *journal.Options) { o.MaxInFlight = 1 }
	j, stop := run(t, at, starts, one)
	var want []string
	for i := range 300 {
		id := fmt.Sprintf("e%03d", i)
		want = append(want, id)
		require.NoError(t, put(t, j, "a", id, "{}"))
	}
	require.ErrorIs(t, put(t, j, "a", "e000", "{}"), ingest.ErrDuplicate)
	stop()
	require.ErrorIs(t, put(t, j, "a", "after", "{}"), journal.ErrNotOpen)
	d := depth(t, at)["a"]
	require.Equal(t, int64(300), d.Records, "what was acknowledged is there after a restart")
	require.WithinDuration(t, time.Now(), d.Oldest, time.Minute)

	starts.set(nil)
	j, stop = run(t, at, starts, one)
	eventually(t, func() bool { return len(starts.ids()) == 300 })
	require.Equal(t, want, starts.ids())
	require.NoError(t, put(t, j, "held", "h", `{"a":1}`))
	eventually(t, func() bool { return len(starts.ids()) == 301 })
	stop()
	require.Zero(t, depth(t, at)["a"].Records)
	require.True(t, starts.held["h"])
	require.False(t, starts.held["e000"])
	require.JSONEq(t, `{"a":1}`, starts.bodies["h"])
}

// storesOnce has each id come from four senders at once.
func storesOnce(t *testing.T, at journal.Place) {
	starts := newTemporal()
	starts.set(errors.New("away")) // so that nothing leaves the journal
	j, stop := run(t, at, starts, nil)
	var (
		senders errgroup.Group
		mu      sync.Mutex
		stored  = map[string]int{}
		again   int
	)
	for sender := range 32 {
		senders.Go(func() error {
			for i := range 40 {
				id := fmt.Sprintf("%d-%d", sender/4, i)
				err := j.Start(t.Context(), of("s", id), ingest.Payload([]byte("x"), false))
				mu.Lock()
				switch {
				case err == nil:
					stored[id]++
				case errors.Is(err, ingest.ErrDuplicate):
					again++
				default:
					mu.Unlock()
					return err
				}
				mu.Unlock()
			}
			return nil
		})
	}
	require.NoError(t, senders.Wait())
	require.Len(t, stored, 8*40)
	require.Equal(t, 3*8*40, again)
	starts.set(nil)
	eventually(t, func() bool { return len(starts.ids()) == 8*40 })
	stop()
	require.Zero(t, depth(t, at)["s"].Records)
}

// setsAside starts what can start, keeps the rest, and lets a person decide.
func setsAside(t *testing.T, at journal.Place) {
	starts := newTemporal()
	starts.errOf["large"] = ingest.ErrTooLarge
	starts.errOf["refused"] = serviceerror.NewInvalidArgument("no")
	starts.errOf["failing"] = errors.New("a codec that cannot")
	j, stop := run(t, at, starts, nil)
	require.ErrorIs(t, put(t, j, "b", "huge", strings.Repeat("x", 2<<20)), ingest.ErrTooLarge, "refused before it is stored")
	for _, id := range []string{"large", "refused", "failing", "fine"} {
		require.NoError(t, put(t, j, "b", id, "{}"))
	}
	eventually(t, func() bool { return len(starts.ids()) == 1 })
	db := tables(t, at)
	n := 0
	eventually(t, func() bool { // others have to start for "failing" to be the one to blame
		n++
		require.NoError(t, put(t, j, "b", fmt.Sprint("other", n), "{}"))
		found, err := db.SetAside(t.Context(), journal.Some{Source: "b", Limit: 10})
		require.NoError(t, err)
		return len(found) == 3
	})
	eventually(t, func() bool { return len(starts.ids()) == 1+n })
	found, err := db.SetAside(t.Context(), journal.Some{Limit: 10})
	require.NoError(t, err)
	ids := map[string]int64{}
	for _, a := range found {
		ids[a.Reason] = a.Seq
		require.Empty(t, a.Payload)
		require.NotEmpty(t, a.Error)
	}
	require.Len(t, ids, 3)

	shown, err := db.Show(t.Context(), ids["failing"])
	require.NoError(t, err)
	require.Equal(t, "b:failing", shown.WorkflowID)
	require.Equal(t, "{}", string(shown.Payload))
	require.NoError(t, db.Drop(t.Context(), ids["too-large"]))
	require.ErrorIs(t, db.Drop(t.Context(), ids["too-large"]), journal.ErrNoRecord)
	starts.mu.Lock()
	delete(starts.errOf, "failing")
	starts.mu.Unlock()
	require.NoError(t, db.Retry(t.Context(), ids["failing"], time.Now()))
	require.ErrorIs(t, db.Retry(t.Context(), ids["failing"], time.Now()), journal.ErrNoRecord)
	eventually(t, func() bool { return len(starts.ids()) == 2+n })
	require.Contains(t, starts.ids(), "failing")

	starts.set(errors.New("away"))
	require.NoError(t, put(t, j, "b", "refused", "{}"))
	require.ErrorIs(t, db.Retry(t.Context(), ids["refused"], time.Now()), journal.ErrWaiting)
	eventually(t, func() bool { // what was started is deleted a moment later
		waiting, err := db.Waiting(t.Context(), journal.Some{Source: "b", Limit: 10})
		require.NoError(t, err)
		return len(waiting) == 1 && waiting[0].WorkflowID == "b:refused"
	})
	records, damaged, err := db.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), records)
	require.Empty(t, damaged)
	starts.mu.Lock()
	delete(starts.errOf, "refused")
	starts.mu.Unlock()
	starts.set(nil)
	eventually(t, func() bool { return len(starts.ids()) == 3+n })
	eventually(t, func() bool { return depth(t, at)["b"].Records == 0 })
	stop()
	require.Equal(t, int64(1), depth(t, at)["b"].SetAside, "a record that waits for a person stays, whatever is redelivered")
}

// TestATemporalThatStaggers has the starts of one event time out while others
// succeed now and then, as a Temporal does that has too much to do. The event is
// not to blame, so it is not set aside.
func TestATemporalThatStaggers(t *testing.T) {
	t.Parallel()
	at, starts := file(t), newTemporal()
	starts.errOf["unlucky"] = fmt.Errorf("start: %w", serviceerror.NewDeadlineExceeded("late"))
	j, _ := run(t, at, starts, nil)
	require.NoError(t, put(t, j, "s", "unlucky", "{}"))
	tries := func() int {
		starts.mu.Lock()
		defer starts.mu.Unlock()
		return starts.tries["unlucky"]
	}
	n := 0
	for tried := 1; tried <= 8; tried++ {
		eventually(t, func() bool { return tries() >= tried })
		n++
		require.NoError(t, put(t, j, "s", fmt.Sprint("other", n), "{}"))
		eventually(t, func() bool { return len(starts.ids()) == n })
	}
	require.Zero(t, depth(t, at)["s"].SetAside)
}

func startsNothingOld(t *testing.T, at journal.Place) {
	starts := newTemporal()
	starts.set(errors.New("away"))
	j, stop := run(t, at, starts, nil)
	require.NoError(t, put(t, j, "c", "old", "{}"))
	stop()
	starts.set(nil)
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	for name, change := range map[string]func(*journal.Options){
		"the retention is not known": func(o *journal.Options) {
			o.Retention = func(context.Context) (time.Duration, error) { return 0, nil }
		},
		"two thirds of 3 h are not over": func(o *journal.Options) {
			starts.errOf["old"] = errors.New("young enough to be tried")
			o.Retention = func(context.Context) (time.Duration, error) { return 3*time.Hour + time.Minute, nil }
		},
	} {
		log := newSaid()
		_, stop = run(t, at, starts, func(o *journal.Options) {
			o.MaxAge, o.Now, o.Logger = 0, later, slog.New(log)
			change(o)
		})
		eventually(t, func() bool { return log.count("starts fail") == 1 })
		stop()
		require.Zero(t, depth(t, at)["c"].SetAside, name)
	}
	delete(starts.errOf, "old")
	_, stop = run(t, at, starts, func(o *journal.Options) {
		o.MaxAge, o.Now = 0, later
		o.Retention = func(context.Context) (time.Duration, error) { return 2*time.Hour + time.Minute, nil }
	})
	eventually(t, func() bool { return depth(t, at)["c"].SetAside == 1 })
	stop()
	require.Empty(t, starts.ids())
}

// TestAnEventWaitsForTheOpening appends as soon as the journal is made: an edge
// that restarts listens before it has opened its file.
func TestAnEventWaitsForTheOpening(t *testing.T) {
	t.Parallel()
	starts := newTemporal()
	j, err := journal.New(journal.Options{
		Place: file(t), MaxAge: time.Hour, Live: starts, Backlog: starts, Logger: slog.New(slog.DiscardHandler),
		Hold: func(context.Context, string) (bool, error) { return false, nil },
	})
	require.NoError(t, err)
	require.ErrorIs(t, j.Ready(), journal.ErrNotOpen)
	answer := make(chan error, 1)
	go func() { answer <- put(t, j, "s", "early", "{}") }()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx, ctx) })
	require.NoError(t, <-answer)
	stop()
	running.Wait()
	require.ErrorIs(t, put(t, j, "s", "late", "{}"), journal.ErrNotOpen)
}
