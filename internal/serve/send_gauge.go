package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// sendGauge tells how many endpoints there are in each state, what is on its way
// to them, and what was published and is not started. Every worker tells the
// same. No series names an endpoint: there may be very many.
type sendGauge struct {
	client client.Client
	book   *endpoint.Book
	logger *slog.Logger
	seen   atomic.Pointer[sendSeen] // nil before the first look
}

type sendSeen struct {
	endpoints  map[endpoint.State]int64
	deliveries map[string]int64
	waiting    int64
	oldest     time.Time // of what waits; zero for none
}

// sendEvery is how often the store and Temporal are asked.
const sendEvery = 15 * time.Second

func (g *sendGauge) register(meter metric.Meter) error {
	endpoints, err := meter.Int64ObservableGauge("hookyard_send_endpoints",
		metric.WithDescription("Endpoints, by their state. Every worker tells the same: use max, not sum."))
	deliveries, err2 := meter.Int64ObservableGauge("hookyard_send_open_deliveries",
		metric.WithDescription("Deliveries that are under way, as Temporal counts them: pending, held or parked. Every worker tells the same."))
	waiting, err3 := meter.Int64ObservableGauge("hookyard_send_waiting_events",
		metric.WithDescription("Events that are stored and whose deliveries are not started. Every worker tells the same."))
	oldest, err4 := meter.Int64ObservableGauge("hookyard_send_waiting_oldest_timestamp_seconds", metric.WithUnit("s"),
		metric.WithDescription("Since when the oldest of them has waited, in Unix time. Absent where none does."))
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		seen := g.seen.Load()
		if seen == nil {
			return nil
		}
		for state, n := range seen.endpoints {
			o.ObserveInt64(endpoints, n, metric.WithAttributes(attribute.String("state", string(state))))
		}
		for state, n := range seen.deliveries {
			o.ObserveInt64(deliveries, n, metric.WithAttributes(attribute.String("state", state)))
		}
		o.ObserveInt64(waiting, seen.waiting)
		if !seen.oldest.IsZero() {
			o.ObserveInt64(oldest, seen.oldest.Unix())
		}
		return nil
	}, endpoints, deliveries, waiting, oldest)
	return err
}

// run looks again and again until ctx ends.
func (g *sendGauge) run(ctx context.Context) {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for {
		if err := g.look(ctx); err != nil && ctx.Err() == nil {
			g.logger.Warn("the sending side cannot be counted; the metrics say what was", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (g *sendGauge) look(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var seen sendSeen
	if seen.endpoints, err = g.book.Count(ctx); err != nil {
		return err
	}
	if seen.waiting, seen.oldest, err = g.book.Backlog(ctx); err != nil {
		return err
	}
	const open = `WorkflowType = "` + event.DeliveryWorkflow + `" AND ExecutionStatus = "Running" AND ` + event.StateAttribute
	seen.deliveries = map[string]int64{}
	for state, is := range map[string]string{
		"pending": ` IS NULL`, event.StateHeld: ` = "` + event.StateHeld + `"`, event.StateParked: ` = "` + event.StateParked + `"`,
	} {
		counted, err := g.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: open + is})
		if err != nil {
			return err
		}
		seen.deliveries[state] = counted.GetCount()
	}
	g.seen.Store(&seen)
	return nil
}
