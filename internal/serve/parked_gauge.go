package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/eventrun"
)

// parkedGauge tells how many runs of each source are parked and since when the
// oldest is, as Temporal lists them. Every worker tells the same.
//
// While Temporal cannot be asked it tells what it saw last, which is still so:
// without Temporal, no run parks or goes on.
type parkedGauge struct {
	client  client.Client
	sources func() []string // of the config, which count 0 where none is parked
	logger  *slog.Logger
	seen    atomic.Pointer[map[string]parkedRuns] // nil before the first look
}

// parkedRuns is what is parked, and held, of one source.
type parkedRuns struct {
	held   int64
	runs   int64
	oldest time.Time // zero where none is
}

// parkedQuery finds what waits for a person. Runs that are held because their
// source is paused wait for nobody, and are in another state.
const parkedQuery = event.StateAttribute + `="` + event.StateParked + `" AND ExecutionStatus="Running"`

// heldQuery finds the runs that are held.
const heldQuery = event.StateAttribute + `="` + event.StateHeld + `" AND ExecutionStatus="Running"`

const (
	// parkedEvery is how often Temporal is asked, at most.
	parkedEvery = 30 * time.Second
	// parkedShare bounds what the answers cost it where very many runs are
	// parked: the pause is so many times as long as they took.
	parkedShare = 10
)

// register has the meter ask for the numbers.
func (g *parkedGauge) register(meter metric.Meter) error {
	runs, err := meter.Int64ObservableGauge("hookyard_parked_runs",
		metric.WithDescription("Runs that wait for a person, as Temporal lists them. Every worker tells the same: use max, not sum."))
	oldest, err2 := meter.Int64ObservableGauge("hookyard_parked_oldest_timestamp_seconds", metric.WithUnit("s"),
		metric.WithDescription("Since when the oldest of them has waited, in Unix time. Absent where none is."))
	held, err3 := meter.Int64ObservableGauge("hookyard_held_runs",
		metric.WithDescription("Runs that wait for the end of a pause, as Temporal lists them. Where the source is not paused, they were forgotten. Every worker tells the same."))
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		seen := g.seen.Load()
		if seen == nil {
			return nil
		}
		for source, parked := range *seen {
			labels := metric.WithAttributes(attribute.String("source", source))
			o.ObserveInt64(runs, parked.runs, labels)
			o.ObserveInt64(held, parked.held, labels)
			if !parked.oldest.IsZero() {
				o.ObserveInt64(oldest, parked.oldest.Unix(), labels)
			}
		}
		return nil
	}, runs, oldest, held)
	return err
}

// run looks again and again until ctx ends.
func (g *parkedGauge) run(ctx context.Context) {
	for {
		started := time.Now()
		if err := g.look(ctx); err != nil && ctx.Err() == nil {
			g.logger.Warn("the parked runs cannot be counted; the metrics say what was", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(parkedEvery, parkedShare*time.Since(started))):
		}
	}
}

// countParked has the metrics tell what is parked, until stop is called.
func (s *Service) countParked(ctx context.Context, c client.Client) (stop func(), err error) {
	g := &parkedGauge{client: c, logger: s.Logger, sources: func() []string {
		var names []string
		for _, source := range s.current.get().Sources {
			names = append(names, source.Name)
		}
		return names
	}}
	if err := g.register(s.telemetry.Meter()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var counting sync.WaitGroup
	counting.Go(func() { g.run(ctx) })
	return func() {
		cancel()
		counting.Wait()
	}, nil
}

// look lists what is parked.
func (g *parkedGauge) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	seen := map[string]parkedRuns{}
	for _, source := range g.sources() {
		seen[source] = parkedRuns{}
	}
	for r, err := range eventrun.List(ctx, g.client, parkedQuery) {
		if err != nil {
			return err
		}
		seen[labelOf(r)] = seen[labelOf(r)].with(r)
	}
	for r, err := range eventrun.List(ctx, g.client, heldQuery) {
		if err != nil {
			return err
		}
		of := seen[labelOf(r)]
		of.held++
		seen[labelOf(r)] = of
	}
	g.seen.Store(&seen)
	return nil
}

// labelOf is the source that metrics name: one for all endpoints.
func labelOf(r eventrun.Run) string {
	if r.WorkflowType == event.DeliveryWorkflow {
		return event.EndpointsLabel
	}
	return r.Source
}

// with counts one more run.
func (p parkedRuns) with(r eventrun.Run) parkedRuns {
	since := r.Started
	if len(r.Steps) > 0 {
		since = r.StoppedAt()
	}
	p.runs++
	if p.oldest.IsZero() || since.Before(p.oldest) {
		p.oldest = since
	}
	return p
}
