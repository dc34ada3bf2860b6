package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/reconcile"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

// reconciling is what a worker needs to ask providers for what never came.
type reconciling struct {
	now        func() *command.Setting
	starter    ingest.Starter
	pauses     worker.Pauses
	alerts     func() *alert.Config
	activities reconcile.Activities
}

func newReconciling(ctx context.Context, c client.Client, s *Service, alerts func() *alert.Config) (*reconciling, error) {
	meter := s.telemetry.Meter()
	events, err := meter.Int64Counter("hookyard_reconcile_events_total",
		metric.WithDescription("Events that a provider listed, by what became of them: known, ignored, started, redelivered, unread. Each sweep counts anew."))
	pages, err2 := meter.Int64Counter("hookyard_reconcile_pages_total",
		metric.WithDescription("Attempts to read a page of a provider's list, by result: ok or failed."))
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	r := &reconciling{
		now: s.current.get, pauses: worker.Pauses{Client: c}, alerts: alerts,
		starter: &ingest.WorkflowStarter{Client: c, TaskQueue: s.Started.Temporal.TaskQueue, Priority: backlogPriority, Logger: s.Logger},
	}
	r.activities = reconcile.Activities{Source: r.source, Client: c, HTTP: reconcile.NewClients(), Tell: r.tell, Events: events, Pages: pages}
	for name := range s.Started.Reconciled() { // so that the first find is seen as an increase
		for _, outcome := range []string{"started", "redelivered", "unread"} {
			events.Add(ctx, 0, metric.WithAttributes(attribute.String("source", name), attribute.String("outcome", outcome)))
		}
	}
	return r, nil
}

func (r *reconciling) register(to sdkworker.Worker) {
	sweep.Register(to)
	to.RegisterActivity(&r.activities)
}

// source returns a source as the config has it now.
func (r *reconciling) source(name string) (*reconcile.Source, error) {
	bound := r.now().Bound[name]
	if bound == nil || bound.Reconcile() == nil {
		return nil, fmt.Errorf("source %q is not reconciled: the config of this worker has no reconcile for it", name)
	}
	how := bound.Reconcile()
	if how.Key.Reveal() == "" {
		return nil, fmt.Errorf("source %q: reconcile.key is missing", name)
	}
	return &reconcile.Source{
		API: how.API, Window: how.Window, Settle: how.Settle, OwnURL: how.OwnURL, Key: how.Key.Reveal(),
		Event: bound.Listed,
		Start: func(ctx context.Context, ev event.Event, identity provider.Identity) (bool, error) {
			var err error
			if ev.Held, err = r.pauses.PauseOpen(ctx, name); err != nil {
				return false, err
			}
			err = r.starter.Start(ctx, ev, ingest.Payload(identity.Payload, identity.JSON))
			if errors.Is(err, ingest.ErrDuplicate) {
				return false, nil
			}
			return err == nil, err
		},
	}, nil
}

// tell has the channels told of a sweep.
func (r *reconciling) tell(ctx context.Context, n sweep.Notice) error {
	now := r.alerts()
	if now == nil || len(now.Channels) == 0 {
		return nil
	}
	var failures []error
	for i, err := range alert.SendAll(ctx, now.Channels, sweepMessage(n)) {
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", now.Channels[i].Name(), err))
		}
	}
	if len(failures) == len(now.Channels) { // to try again would tell those twice that know
		return errors.Join(failures...)
	}
	return nil
}

// sweepMessage says what a sweep has found.
func sweepMessage(n sweep.Notice) alert.Message {
	r := n.Result
	m := alert.Message{Source: n.Source, Key: event.ReconcileID(n.Source)}
	switch {
	case n.Failed != "":
		m.Title = n.Source + ": the provider cannot be asked for what never came"
		m.Text = n.Failed + "\nUntil it can, an event whose delivery is lost stays lost."
		return m
	case r.Missing == 0:
		m.Title, m.Over = n.Source+": the provider is asked for what never came again", true
		return m
	}
	m.Title = fmt.Sprintf("%s: %s never came", n.Source, command.Count(r.Missing, "event"))
	lines := []string{"Of " + command.Count(r.Listed, "event") + " that the provider lists between " + minute(r.From) + " and " + minute(r.To) + "."}
	if !r.First.IsZero() {
		lines = append(lines, "They happened between "+minute(r.First)+" and "+minute(r.Last)+".")
	}
	var types []string
	for _, name := range slices.Sorted(maps.Keys(r.Types)) {
		types = append(types, fmt.Sprintf("%s %d", name, r.Types[name]))
	}
	lines = append(lines, "By type: "+strings.Join(types, ", ")+".")
	switch {
	case r.Started > 0:
		lines = append(lines, fmt.Sprintf("%d were started from the list.", r.Started))
	case r.Redelivered > 0:
		lines = append(lines, fmt.Sprintf("The provider was asked to deliver %d again; %d have not come yet.", r.Redelivered, r.Waiting))
	}
	if r.Unread > 0 {
		lines = append(lines, fmt.Sprintf("%d could not be read: %s", r.Unread, r.Why))
	}
	m.Text = strings.Join(append(lines, "See why they did not come: the log and the answers of the edge at that time, and the provider's own log of deliveries."), "\n")
	return m
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// keepSchedules has the Schedules follow the config, until stop is called. A
// Temporal that is away is tried again.
func (s *Service) keepSchedules(ctx context.Context, c client.Client) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	changed := make(chan struct{}, 1)
	if err := s.current.follow(func(*command.Setting) error {
		select {
		case changed <- struct{}{}:
		default: // it is about to look
		}
		return nil
	}); err != nil {
		cancel()
		return nil, err
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			s.keepSchedulesOnce(ctx, c)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}, nil
}

// keepSchedulesOnce tries until the Schedules are those of the config of now.
func (s *Service) keepSchedulesOnce(ctx context.Context, c client.Client) {
	const pause = 10 * time.Second
	for {
		did, err := command.KeepSchedules(ctx, c, s.Started.Temporal.TaskQueue, s.current.get().Reconciled())
		for _, line := range did {
			s.Logger.Info("a schedule follows the config", "did", line)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "the schedules could not be brought up to date; trying again", slog.Any("err", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
