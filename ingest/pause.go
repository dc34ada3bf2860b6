package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/hookyard/hookyard/event"
)

// PauseLister is the part of client.Client that lists the paused sources.
type PauseLister interface {
	ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
}

// PauseEvery is how often an edge lists the paused sources. An edge notices a
// pause, or its end, at most this much later.
const PauseEvery = 5 * time.Second

// pauseQuery finds the open pauses.
const pauseQuery = `WorkflowType="` + event.PauseWorkflow + `" AND ExecutionStatus="Running"`

// pauses knows which sources are paused. While Temporal cannot be asked, the last
// answer holds.
type pauses struct {
	lister PauseLister // nil: none ever is
	logger *slog.Logger
	known  atomic.Pointer[map[string]bool] // nil until the first answer
}

// hold reports whether the events of a source are to be held. Before the first
// answer it asks Temporal itself: an edge that has just started must not start an
// event that another edge would hold.
func (p *pauses) hold(ctx context.Context, source string) (bool, error) {
	if p.lister == nil {
		return false, nil
	}
	if p.known.Load() == nil {
		if err := p.ask(ctx); err != nil {
			return false, fmt.Errorf("which sources are paused is not known: %w", err)
		}
	}
	return (*p.known.Load())[source], nil
}

// run asks every PauseEvery until ctx ends.
func (p *pauses) run(ctx context.Context) {
	if p.lister == nil {
		return
	}
	ticker := time.NewTicker(PauseEvery)
	defer ticker.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, PauseEvery)
		if err := p.ask(attempt); err != nil && ctx.Err() == nil {
			p.logger.Debug("which sources are paused cannot be asked; what was known holds", "err", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ask lists the open pauses. There are few, so one page has all of them.
func (p *pauses) ask(ctx context.Context) error {
	listed, err := p.lister.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: pauseQuery, PageSize: 1000})
	if err != nil {
		return err
	}
	now := map[string]bool{}
	for _, run := range listed.GetExecutions() {
		if source, ok := event.PausedSource(run.GetExecution().GetWorkflowId()); ok {
			now[source] = true
		}
	}
	var before map[string]bool
	if known := p.known.Swap(&now); known != nil {
		before = *known
	}
	p.tell(before, now)
	return nil
}

// tell logs the sources whose pause began or ended.
func (p *pauses) tell(before, now map[string]bool) {
	for source := range now {
		if !before[source] {
			p.logger.Warn("source paused: its events are stored and held", "source", source)
		}
	}
	for source := range before {
		if !now[source] {
			p.logger.Info("source no longer paused", "source", source)
		}
	}
}

// register adds a gauge of the paused sources to the meter.
func (p *pauses) register(meter metric.Meter, sources func() map[string]*Source) error {
	paused, err := meter.Int64ObservableGauge("hookyard_source_paused",
		metric.WithDescription("1 where the source is paused, as far as this edge knows, else 0."))
	if err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		known := p.known.Load()
		if known == nil {
			return nil
		}
		for source := range sources() {
			value := int64(0)
			if (*known)[source] {
				value = 1
			}
			o.ObserveInt64(paused, value, metric.WithAttributes(attribute.String("source", source)))
		}
		return nil
	}, paused)
	return err
}
