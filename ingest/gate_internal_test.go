package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hookyard/hookyard/event"
)

// busy is a Starter that works on one start after the other, as a store with one
// lock does, and hangs or fails where it is told to.
type busy struct {
	takes   time.Duration
	turn    chan struct{} // a Mutex would stop the bubble's clock
	running atomic.Int64
	most    atomic.Int64
	away    atomic.Bool
	started sync.Map // source: *atomic.Int64
}

func (b *busy) Start(ctx context.Context, ev event.Event, _ converter.RawValue) error {
	b.most.Store(max(b.most.Load(), b.running.Add(1)))
	defer b.running.Add(-1)
	if b.away.Load() {
		// The SDK tries again and again.
		_ = RecordCause(ctx, "", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			return status.Error(codes.Unavailable, "connection refused")
		})
		<-ctx.Done()
		return ctx.Err()
	}
	b.turn <- struct{}{}
	<-time.After(b.takes) // of the bubble's clock
	<-b.turn
	counted, _ := b.started.LoadOrStore(ev.Source, &atomic.Int64{})
	counted.(*atomic.Int64).Add(1) //nolint:forcetypeassert // nothing else is stored
	return nil
}

func (b *busy) of(source string) int64 {
	if counted, ok := b.started.Load(source); ok {
		return counted.(*atomic.Int64).Load() //nolint:forcetypeassert // nothing else is stored
	}
	return 0
}

func (b *busy) health(context.Context) error {
	if b.away.Load() {
		return status.Error(codes.Unavailable, "connection refused")
	}
	return nil
}

// gateTo runs a gate in front of b until stop is called.
func gateTo(t *testing.T, b *busy) (g *gate, stop func()) {
	t.Helper()
	b.turn = make(chan struct{}, 1)
	return runGate(t, b, b.health)
}

func runGate(t *testing.T, next Starter, check func(context.Context) error) (g *gate, stop func()) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	g = newGate(Options{Starter: next, Check: check, Logger: logger}, &pauses{logger: logger})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.run(ctx) })
	return g, func() {
		cancel()
		running.Wait()
		g.mu.Lock()
		defer g.mu.Unlock()
		require.Zero(t, g.running.Len(), "every place is given back")
		require.Zero(t, g.waiting)
		require.Empty(t, g.queues)
		require.Empty(t, g.turns)
	}
}

// begin starts one event of the source, as receive does.
func (g *gate) begin(ctx context.Context, source string) error {
	const within = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return g.start(ctx, event.Event{Source: source}, Payload([]byte("{}"), true), time.Now().Add(within), false)
}

// tally is what senders were told.
type tally struct {
	mu            sync.Mutex
	taken, turned []time.Duration
	afters        map[time.Duration]int // seconds
	failed        []error
	least, most   time.Duration
}

func (c *tally) add(took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var away *turnedAway
	switch {
	case err == nil:
		c.taken = append(c.taken, took)
	case errors.As(err, &away):
		c.turned = append(c.turned, took)
		if c.afters == nil {
			c.afters, c.least = map[time.Duration]int{}, away.after
		}
		c.afters[away.after.Truncate(time.Second)]++
		c.least, c.most = min(c.least, away.after), max(c.most, away.after)
	default:
		c.failed = append(c.failed, err)
	}
}

// TestGateOverloaded offers ten times what can be started.
func TestGateOverloaded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock moves only while all wait
		const capacity, seconds = 100, 30
		b := &busy{takes: time.Second / capacity}
		g, stop := gateTo(t, b)
		var c tally
		flood(t, g, "a", 10*capacity, seconds*time.Second, &c)
		require.Empty(t, c.failed)
		require.GreaterOrEqual(t, len(c.taken), capacity*seconds*9/10, "goodput")
		require.LessOrEqual(t, b.most.Load(), int64(firstStarts+1), "it does not pile up inside")
		require.LessOrEqual(t, quantile(c.taken, 99), 2*time.Second)
		require.LessOrEqual(t, quantile(c.turned, 99), 100*time.Millisecond)
		require.GreaterOrEqual(t, c.least, leastAfter*3/4)
		require.LessOrEqual(t, c.most, mostAfter*5/4)
		require.Greater(t, c.most, time.Minute, "it grows with what has been turned away")
		for second, n := range c.afters {
			require.LessOrEqual(t, n, len(c.turned)/20, "they do not come together, %s later", second)
		}
		require.NoError(t, g.begin(t.Context(), "a"), "back to normal")
		stop()
	})
}

// TestGateFair sees that a source with much to say does not silence another.
func TestGateFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &busy{takes: 10 * time.Millisecond}
		g, stop := gateTo(t, b)
		var loud, quiet tally
		var both sync.WaitGroup
		both.Go(func() { flood(t, g, "loud", 1000, 20*time.Second, &loud) })
		both.Go(func() { flood(t, g, "quiet", 30, 20*time.Second, &quiet) })
		both.Wait()
		require.Empty(t, quiet.turned)
		require.Len(t, quiet.taken, 600)
		require.EqualValues(t, 600, b.of("quiet"))
		require.GreaterOrEqual(t, len(loud.taken), 1200, "it has the rest")
		stop()
	})
}

// TestGateManySources sees that a start is refused early however many sources
// have starts that wait: each of them takes its turn before.
func TestGateManySources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &busy{takes: 10 * time.Millisecond}
		g, stop := gateTo(t, b)
		const sources = 10
		var all sync.WaitGroup
		var c tally
		for i := range sources {
			all.Go(func() { flood(t, g, fmt.Sprint(i), 40, 20*time.Second, &c) })
		}
		all.Wait()
		require.Empty(t, c.failed)
		require.GreaterOrEqual(t, len(c.taken), 100*20*9/10)
		require.LessOrEqual(t, quantile(c.taken, 99), 2*time.Second)
		require.LessOrEqual(t, quantile(c.turned, 99), 100*time.Millisecond)
		stop()
	})
}

// TestGateAway sees that while Temporal is away everything is refused at once,
// what is under way too, and that all goes on when it is back.
func TestGateAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &busy{takes: 10 * time.Millisecond}
		g, stop := gateTo(t, b)
		var before, during, after tally
		flood(t, g, "a", 200, 10*time.Second, &before)
		b.away.Store(true)
		flood(t, g, "a", 200, 40*time.Second, &during)
		require.Empty(t, during.taken)
		require.Empty(t, during.failed)
		require.LessOrEqual(t, quantile(during.turned, 100), 100*time.Millisecond)
		err := g.begin(t.Context(), "a")
		require.ErrorIs(t, err, errAway)
		require.ErrorContains(t, err, "connection refused", "the log says why")
		require.ErrorIs(t, g.Start(t.Context(), event.Event{Source: "a"}, Payload(nil, true)), errAway, "patience does not help")

		b.away.Store(false)
		<-time.After(2 * checkEvery)
		flood(t, g, "a", 200, 10*time.Second, &after)
		require.GreaterOrEqual(t, len(after.taken), 900)
		stop()
	})
}

// TestGateStalled sees that a Temporal that does not answer at all is found out.
func TestGateStalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := runGate(t, &slow{}, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		began := time.Now()
		require.ErrorIs(t, g.begin(t.Context(), "a"), errAway)
		require.LessOrEqual(t, time.Since(began), stalledAfter+time.Second+2*checkWithin)
		require.ErrorIs(t, g.begin(t.Context(), "a"), errAway)
		stop()
	})
}

// TestGatePatient sees that the events of a delivery that has begun to be stored
// wait as long as it does.
func TestGatePatient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &busy{takes: 100 * time.Millisecond}
		g, stop := gateTo(t, b)
		var all sync.WaitGroup
		errs := make([]error, 50)
		for i := range errs {
			all.Go(func() { errs[i] = g.Start(t.Context(), event.Event{Source: "a"}, Payload(nil, true)) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		require.EqualValues(t, len(errs), b.of("a"))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 50 {
			all.Go(func() { _ = g.Start(ctx, event.Event{Source: "a"}, Payload(nil, true)) })
		}
		all.Wait()
		require.Less(t, b.of("a"), int64(len(errs)+20), "what its sender has given up is not begun")
		stop()
	})
}

// TestGateTooLate sees that a start that has waited is not begun when its sender
// would be gone before its end.
func TestGateTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &busy{takes: time.Second}
		g, stop := gateTo(t, b)
		for range 20 {
			require.NoError(t, g.Start(t.Context(), event.Event{Source: "a"}, Payload(nil, true)), "it learns what a start takes")
		}
		var all sync.WaitGroup
		for range g.limit.starts() {
			all.Go(func() { _ = g.Start(t.Context(), event.Event{Source: "a"}, Payload(nil, true)) })
		}
		synctest.Wait()
		err := g.start(t.Context(), event.Event{Source: "late"}, Payload(nil, true), time.Now().Add(1500*time.Millisecond), true)
		require.ErrorIs(t, err, errOverloaded)
		all.Wait()
		require.Zero(t, b.of("late"))
		stop()
	})
}

// TestGateGivesUp sees that a start whose sender has gone leaves nothing behind in
// the queue.
func TestGateGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := gateTo(t, &busy{takes: time.Second})
		var all sync.WaitGroup
		for range g.limit.starts() {
			all.Go(func() { _ = g.Start(t.Context(), event.Event{Source: "a"}, Payload(nil, true)) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, g.Start(ctx, event.Event{Source: "b"}, Payload(nil, true)), context.DeadlineExceeded)
		g.mu.Lock()
		require.Empty(t, g.queues)
		require.Empty(t, g.turns)
		g.mu.Unlock()
		all.Wait()
		stop()
	})
}

// TestGateSlowCheck sees that one check that is not answered in time is not taken
// for an outage.
func TestGateSlowCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var checks atomic.Int64
		g, stop := runGate(t, &busy{turn: make(chan struct{}, 1)}, func(context.Context) error {
			if checks.Add(1) == 1 {
				return context.DeadlineExceeded
			}
			return nil
		})
		g.doubtful()
		synctest.Wait()
		require.EqualValues(t, 2, checks.Load())
		require.NoError(t, g.begin(t.Context(), "a"))
		stop()
	})
}

// TestGateLarge bounds the large payloads on their way, and lets small ones pass.
func TestGateLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, stop := gateTo(t, &busy{})
		require.NoError(t, g.bytes.Acquire(t.Context(), maxSending))
		large := Payload(make([]byte, small+1), false)
		err := g.start(t.Context(), event.Event{Source: "a"}, large, time.Time{}, false)
		require.ErrorIs(t, err, errOverloaded)
		require.NoError(t, g.start(t.Context(), event.Event{Source: "a"}, Payload(make([]byte, small), false), time.Time{}, false))
		g.bytes.Release(maxSending)
		require.NoError(t, g.start(t.Context(), event.Event{Source: "a"}, Payload(make([]byte, 2*maxSending), false), time.Time{}, false), "more than there is room for goes alone")
		require.True(t, g.bytes.TryAcquire(maxSending), "everything is given back")
		stop()
	})
}

// flood offers so many events of a source a second, for so long, and waits for
// the last answer.
func flood(t *testing.T, g *gate, source string, perSecond int, length time.Duration, c *tally) {
	t.Helper()
	var sending sync.WaitGroup
	for range int(length.Seconds() * float64(perSecond)) {
		sending.Go(func() {
			began := time.Now()
			err := g.begin(t.Context(), source)
			c.add(time.Since(began), err)
		})
		<-time.After(time.Second / time.Duration(perSecond))
	}
	sending.Wait()
}

// quantile is the least that so many in a hundred do not exceed.
func quantile(all []time.Duration, hundredths int) time.Duration {
	if len(all) == 0 {
		panic(fmt.Sprintf("no %d in a hundred of none", hundredths))
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)*hundredths+99)/100-1]
}

// TestGateSlowThenFast sees that a time in which starts took longer than a sender
// waits does not keep its events out for ever.
func TestGateSlowThenFast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &busy{takes: time.Minute}
		g, stop := gateTo(t, b)
		for range 20 {
			require.NoError(t, g.Start(t.Context(), event.Event{Source: "patient"}, Payload(nil, true)))
		}
		b.takes = 10 * time.Millisecond
		var c tally
		flood(t, g, "a", 200, 30*time.Second, &c) // its senders wait for 10 s
		require.Empty(t, c.failed)
		require.GreaterOrEqual(t, len(c.taken), 100*30*8/10)
		stop()
	})
}
