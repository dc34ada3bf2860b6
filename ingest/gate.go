package ingest

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hookyard/hookyard/event"
)

const (
	// small is up to which size, in bytes, a payload is not limited on its way
	// to Temporal.
	small = 64 << 10
	// maxSending is how many bytes of larger payloads are on their way to
	// Temporal at once. On that way a payload is copied and compressed, which
	// takes three times its size, and more at once would not be faster.
	maxSending = 4 << 20

	// queueFor is the longest expected wait: a start that would wait longer is
	// refused at once. The estimate may be wrong, so a start that has waited for
	// maxQueued is refused too.
	queueFor  = 700 * time.Millisecond
	maxQueued = 1600 * time.Millisecond
	// guess is the duration of a start, before one has been measured.
	guess = 50 * time.Millisecond

	// A start that takes longer than stalledAfter makes the gate check Temporal's
	// health. checkEvery is the time between two checks while Temporal is away,
	// and checkWithin is the time limit of one check.
	stalledAfter = 2 * time.Second
	checkEvery   = 250 * time.Millisecond
	checkWithin  = 2 * time.Second
)

var (
	errOverloaded = errors.New("more events come than can be started")
	errAway       = errors.New("temporal is away")
)

// turnedAway is the error of a start that was not tried, or was given up. after
// is the Retry-After for its sender.
type turnedAway struct {
	cause error
	after time.Duration
}

func (t *turnedAway) Error() string { return t.cause.Error() }
func (t *turnedAway) Unwrap() error { return t.cause }

// gate is the Starter in front of Temporal's. It runs as many starts at once as
// Temporal can do without becoming slower. Sources take turns. A start that would
// wait too long is refused at once, and so is every start while Temporal is away:
// a start that ends after its sender has gone is work for nobody, and the sender
// comes again.
type gate struct {
	next   Starter
	pauses *pauses
	check  func(context.Context) error // Temporal's health; nil where it is not known
	logger *slog.Logger
	now    func() time.Time
	bytes  *semaphore.Weighted
	doubt  chan struct{} // makes run check

	mu      sync.Mutex
	limit   limit
	running *list.List // of *ticket, the oldest in front
	queues  map[string]*list.List
	turns   []string // the sources with a queue, the next one first
	waiting int
	latency time.Duration // of a start, on average
	away    error         // the reason while Temporal is away; else nil
	visit   time.Time     // the latest time that a refused sender was told to come again
	refused int           // since the last line in the log
}

// ticket is one start. Its fields belong to the gate, under its lock.
type ticket struct {
	source  string
	granted chan error // of one that waited: nil once it may start
	queued  bool       // its place is in its source's queue
	place   *list.Element
	started time.Time
	cancel  context.CancelCauseFunc
}

func newGate(o Options, p *pauses) *gate {
	return &gate{
		next: o.Starter, pauses: p, check: o.Check, logger: o.Logger, now: time.Now, bytes: semaphore.NewWeighted(maxSending),
		doubt: make(chan struct{}, 1), limit: newLimit(time.Now()), latency: guess, running: list.New(), queues: map[string]*list.List{},
	}
}

// Start implements Starter. It waits for its turn as long as ctx does.
func (g *gate) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	latest, _ := ctx.Deadline()
	return g.start(ctx, ev, payload, latest, true)
}

// start starts an event. After latest its sender has gone, and the start is of no
// use. A patient event is not refused because others wait: it belongs to a
// delivery with other events that have been started already.
func (g *gate) start(ctx context.Context, ev event.Event, payload converter.RawValue, latest time.Time, patient bool) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if size := len(payload.Payload().GetData()); size > small {
		weight := min(int64(size), maxSending)
		if err := g.room(ctx, weight); err != nil {
			return err
		}
		defer g.bytes.Release(weight)
	}
	t, err := g.enter(ctx, ev.Source, latest, patient, cancel)
	if err != nil {
		return err
	}
	defer func() {
		err = g.leave(ctx, t, err)
	}()
	ctx = context.WithValue(ctx, doubtKey{}, g.doubtful)
	if ev.Held, err = g.pauses.hold(ctx, ev.Source); err != nil {
		return err
	}
	return g.next.Start(ctx, ev, payload)
}

// room takes room for a large payload.
func (g *gate) room(ctx context.Context, weight int64) error {
	ctx, cancel := context.WithTimeout(ctx, maxQueued)
	defer cancel()
	if g.bytes.Acquire(ctx, weight) == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.turnAway(errOverloaded)
}

// enter waits until a start may begin.
func (g *gate) enter(ctx context.Context, source string, latest time.Time, patient bool, cancel context.CancelCauseFunc) (*ticket, error) {
	t := &ticket{source: source, granted: make(chan error, 1), cancel: cancel}
	if begun, err := g.join(t, patient); begun || err != nil {
		return t, err
	}
	wait := maxQueued
	if patient {
		wait = time.Hour // ctx ends before
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var err error
	select {
	case err = <-t.granted:
		if err == nil && !latest.IsZero() && g.now().Add(g.typical()).After(latest) {
			// It would end too late. One that did not wait begins all the same: it
			// finds out whether starts still take so long.
			err = g.giveUp(t, errOverloaded)
		}
	case <-timer.C:
		err = g.giveUp(t, errOverloaded)
	case <-ctx.Done():
		err = g.giveUp(t, ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// join lets t begin, or puts it in its source's queue, or refuses it. It reports
// whether t has begun.
func (g *gate) join(t *ticket, patient bool) (begun bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away != nil {
		return false, g.turnAway(fmt.Errorf("%w: %w", errAway, g.away))
	}
	if g.waiting == 0 && g.running.Len() < g.limit.starts() {
		g.grant(t)
		return true, nil
	}
	if !patient && g.wait(t.source) > queueFor {
		return false, g.turnAway(errOverloaded)
	}
	q := g.queues[t.source]
	if q == nil {
		q = list.New()
		g.queues[t.source] = q
		g.turns = append(g.turns, t.source)
	}
	t.place, t.queued = q.PushBack(t), true
	g.waiting++
	return false, nil
}

// wait is how long one more start of the source would wait.
func (g *gate) wait(source string) time.Duration {
	ahead, sources := 1, len(g.turns)
	if q := g.queues[source]; q != nil {
		ahead += q.Len()
	} else {
		sources++
	}
	return time.Duration(ahead*sources) * g.lasts() / time.Duration(g.limit.starts())
}

// lasts is the duration of a start now: the average of the last ones, or the age
// of the oldest one that is still running, whichever is longer.
func (g *gate) lasts() time.Duration {
	lasts := g.latency
	if oldest, ok := frontOf(g.running); ok {
		lasts = max(lasts, g.now().Sub(oldest.started))
	}
	return lasts
}

func (g *gate) typical() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.latency
}

func frontOf(l *list.List) (*ticket, bool) {
	if l.Len() == 0 {
		return nil, false
	}
	t, ok := l.Front().Value.(*ticket)
	return t, ok
}

// grant lets t begin.
func (g *gate) grant(t *ticket) {
	t.started, t.queued = g.now(), false
	t.place = g.running.PushBack(t)
	g.limit.running(g.running.Len())
	t.granted <- nil
}

// grantAll lets waiting tickets begin, as many as the limit allows.
func (g *gate) grantAll() {
	for g.waiting > 0 && g.running.Len() < g.limit.starts() {
		source := g.turns[0]
		q := g.queues[source]
		t, _ := frontOf(q)
		q.Remove(q.Front())
		g.waiting--
		g.turns = append(g.turns[1:], source)
		g.tidy(source)
		g.grant(t)
	}
}

// tidy removes the queue of a source if it is empty.
func (g *gate) tidy(source string) {
	if g.queues[source].Len() > 0 {
		return
	}
	delete(g.queues, source)
	for i, s := range g.turns {
		if s == source {
			g.turns = append(g.turns[:i:i], g.turns[i+1:]...)
			return
		}
	}
}

// giveUp ends a ticket before its start is tried.
func (g *gate) giveUp(t *ticket, why error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case t.queued:
		g.queues[t.source].Remove(t.place)
		g.waiting--
		g.tidy(t.source)
	case t.started.IsZero(): // all were turned away just now
		return <-t.granted
	default:
		g.running.Remove(t.place)
		g.grantAll()
	}
	return g.turnAway(why)
}

// leave notes the end of a start.
func (g *gate) leave(ctx context.Context, t *ticket, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.running.Remove(t.place)
	took := now.Sub(t.started)
	g.latency += (took - g.latency) / 8
	if g.away == nil {
		g.limit.done(now, t.started, tooMuch(err))
	}
	g.grantAll()
	switch {
	case err == nil || errors.Is(err, ErrDuplicate) || errors.Is(err, ErrTooLarge):
		return err
	case errors.Is(context.Cause(ctx), errAway):
		return g.turnAway(context.Cause(ctx))
	default:
		return g.turnAway(err)
	}
}

// tooMuch reports whether Temporal took too long, or has too much to do.
func tooMuch(err error) bool {
	if err == nil || errors.Is(err, ErrDuplicate) || errors.Is(err, ErrTooLarge) {
		return false
	}
	_, exhausted := errors.AsType[*serviceerror.ResourceExhausted](err)
	_, late := errors.AsType[*serviceerror.DeadlineExceeded](err)
	_, canceled := errors.AsType[*serviceerror.Canceled](err)
	return exhausted || late || canceled || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// The bounds of what a sender is asked to wait.
const (
	leastAfter = 2 * time.Second
	mostAfter  = 2 * time.Minute
)

// turnAway returns the error for a refused sender. Each sender is told a later
// time than the one before, by the time that one start takes, so that they do not
// all come again at once.
func (g *gate) turnAway(why error) error {
	g.refused++
	now := g.now()
	if earliest := now.Add(leastAfter); g.visit.Before(earliest) {
		g.visit = earliest
	}
	if g.visit = g.visit.Add(g.latency / time.Duration(g.limit.starts())); g.visit.After(now.Add(mostAfter)) {
		g.visit = now.Add(mostAfter)
	}
	return &turnedAway{why, spread(g.visit.Sub(now))}
}

// spread returns between three quarters and five quarters of d.
func spread(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1) //nolint:gosec // no secret
}

// doubtKey is the context key of a function. It is called when an attempt of a
// call is answered Unavailable, as when nobody listens at Temporal's address.
type doubtKey struct{}

// noteAttempt calls that function for the error of one attempt, if it has to.
func noteAttempt(ctx context.Context, err error) {
	if doubtful, ok := ctx.Value(doubtKey{}).(func()); ok && status.Code(err) == codes.Unavailable {
		doubtful()
	}
}

// doubtful makes run check Temporal's health.
func (g *gate) doubtful() {
	select {
	case g.doubt <- struct{}{}:
	default:
	}
}

// run watches Temporal until ctx ends: it notices that Temporal is away, and that
// it is back.
func (g *gate) run(ctx context.Context) {
	if g.check == nil {
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			g.report()
			if !g.stalled() {
				continue
			}
		case <-g.doubt:
		}
		if err := g.isAway(ctx); err != nil && ctx.Err() == nil {
			g.leaveAlone(err)
			g.awaitReturn(ctx)
		}
	}
}

// stalled reports whether a start has been running for long.
func (g *gate) stalled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	oldest, ok := frontOf(g.running)
	return ok && g.now().Sub(oldest.started) > stalledAfter
}

// isAway returns why Temporal is away, or nil. A check that is not answered in
// time is repeated once, as a machine may stand still for a moment.
func (g *gate) isAway(ctx context.Context) error {
	err := g.ask(ctx)
	if err != nil && status.Code(err) != codes.Unavailable {
		err = g.ask(ctx)
	}
	return err
}

func (g *gate) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	return g.check(ctx)
}

// leaveAlone ends all starts, those that wait included.
func (g *gate) leaveAlone(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.logger.Error("temporal is away: deliveries are refused until it is back", "err", why)
	g.away = why
	cause := fmt.Errorf("%w: %w", errAway, why)
	for e := g.running.Front(); e != nil; e = e.Next() {
		if t, ok := e.Value.(*ticket); ok {
			t.cancel(cause)
		}
	}
	for _, q := range g.queues {
		for t, ok := frontOf(q); ok; t, ok = frontOf(q) {
			q.Remove(q.Front())
			t.queued = false
			t.granted <- g.turnAway(cause)
		}
	}
	clear(g.queues)
	g.turns, g.waiting = nil, 0
}

// awaitReturn checks Temporal's health until it is back.
func (g *gate) awaitReturn(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for began := g.now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if g.ask(ctx) == nil {
			g.comeBack(g.now().Sub(began))
			return
		}
	}
}

// comeBack takes starts again. Nothing is known of a Temporal that comes back, so
// the limit begins anew.
func (g *gate) comeBack(after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away, g.latency, g.limit = nil, guess, newLimit(g.now())
	select {
	case <-g.doubt: // from before
	default:
	}
	g.logger.Info("temporal is back", "after", after)
}

// report logs how many deliveries were turned away since the last line: a line
// for each of them would cost more than the refusal itself.
func (g *gate) report() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused > 0 {
		g.logger.Warn("more events come than can be started: refused, to be sent again", "events", g.refused, "starts_at_once", g.limit.starts(), "start_takes", g.latency)
		g.refused = 0
	}
}

// register adds what the gate does to the meter.
func (g *gate) register(meter metric.Meter) error {
	var errs [4]error
	var limits, waiting, away metric.Int64ObservableGauge
	limits, errs[0] = meter.Int64ObservableGauge("hookyard_starts_limit",
		metric.WithDescription("How many starts this edge has under way at once at most, as Temporal takes them now."))
	waiting, errs[1] = meter.Int64ObservableGauge("hookyard_starts_waiting",
		metric.WithDescription("Starts that wait for their turn."))
	away, errs[2] = meter.Int64ObservableGauge("hookyard_temporal_away",
		metric.WithDescription("1 while this edge takes Temporal to be away and refuses deliveries at once, else 0."))
	_, errs[3] = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		gone := int64(0)
		if g.away != nil {
			gone = 1
		}
		o.ObserveInt64(limits, int64(g.limit.starts()))
		o.ObserveInt64(waiting, int64(g.waiting))
		o.ObserveInt64(away, gone)
		return nil
	}, limits, waiting, away)
	return errors.Join(errs[:]...)
}
