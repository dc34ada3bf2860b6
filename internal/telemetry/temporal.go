package telemetry

import (
	"fmt"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// Observe has a Temporal client, and the workers on it, keep their metrics and
// spans here. A trace goes on from the caller's span to the Workflow, and from
// there to each of its Activities.
func (t *Telemetry) Observe(o *client.Options) error {
	o.MetricsHandler = opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter:                t.Meter(),
		UseMonotonicCounters: true,
		// A metric that cannot be kept is no reason to end a Workflow.
		OnError: func(err error) { t.logger.Error("a metric cannot be kept", "err", err) },
	})
	if t.traces == nil {
		return nil
	}
	tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer:            t.traces.Tracer(scope),
		TextMapPropagator: propagator(),
		DisableBaggage:    true,
		// Nor is a trace that cannot be read.
		AllowInvalidParentSpans: true,
	})
	if err != nil {
		return fmt.Errorf("telemetry: traces: %w", err)
	}
	o.Interceptors = append(o.Interceptors, tracing)
	return nil
}
