// Package telemetry is what a process tells those who run it: metrics that
// Prometheus scrapes, traces, and whether it is alive and ready.
//
// It knows nothing of webhooks. Whoever does is given its Meter, and is wrapped
// in its HTTP and Temporal tracing.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	prometheusexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// scope is what instruments and spans of ours say they come from.
const scope = "github.com/hookyard/hookyard"

// Options are what New needs.
type Options struct {
	// Version is this program's, for target_info and for traces.
	Version string
	// TraceFile is a file that each span is appended to as a line of JSON;
	// "" for none. The file is made where it is missing.
	TraceFile string
	// LookupEnv finds OTEL_* variables, to see whether traces are wanted;
	// default os.LookupEnv. What they say is read by OpenTelemetry itself.
	LookupEnv func(name string) (value string, ok bool)
	// Logger is told what goes wrong on the way to a collector.
	Logger *slog.Logger
}

// Telemetry is the metrics of a process and, where somebody takes them, its
// traces.
type Telemetry struct {
	registry *prometheus.Registry
	meters   *sdkmetric.MeterProvider
	traces   *sdktrace.TracerProvider // nil where nobody takes them
	file     *os.File                 // nil where none is written
	logger   *slog.Logger
}

// New starts to keep metrics. Traces are kept only where they go somewhere: to
// Options.TraceFile or, as OpenTelemetry's own OTEL_* variables say, to a
// collector. A collector that is not there delays nothing and ends nothing: its
// spans are dropped. The caller calls Close.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	t := &Telemetry{registry: prometheus.NewRegistry(), logger: o.Logger}
	described, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "hookyard"), attribute.String("service.version", o.Version)),
		resource.WithFromEnv(), // the last word is the operator's
	)
	if err != nil {
		return nil, fmt.Errorf("telemetry: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	if err := t.keepMetrics(described); err != nil {
		return nil, fmt.Errorf("telemetry: metrics: %w", err)
	}
	if err := t.keepTraces(ctx, o, described); err != nil {
		return nil, fmt.Errorf("telemetry: traces: %w", err)
	}
	return t, nil
}

func (t *Telemetry) keepMetrics(described *resource.Resource) error {
	reader, err := prometheusexporter.New(prometheusexporter.WithRegisterer(t.registry), prometheusexporter.WithoutScopeInfo())
	if err != nil {
		return err
	}
	t.meters = sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(reader), sdkmetric.WithResource(described), sdkmetric.WithView(views()...))
	return errors.Join(
		t.registry.Register(collectors.NewGoCollector()),
		t.registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
}

// Meter makes instruments. Their names are those that are scraped.
func (t *Telemetry) Meter() metric.Meter { return t.meters.Meter(scope) }

// Metrics answers a scrape.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		// Half of the metrics are better than none.
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      slog.NewLogLogger(t.logger.Handler(), slog.LevelError),
		Registry:      t.registry,
	})
}

// ReportErrors has OpenTelemetry tell the logger what goes wrong inside of it,
// such as a collector that is not there. OpenTelemetry has one place for that
// per process, and without this it writes to standard error as it likes.
func (t *Telemetry) ReportErrors() {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		t.logger.Warn("telemetry", "err", err)
	}))
}

// closeWithin is how long Close waits for a collector to take the last spans.
const closeWithin = 5 * time.Second

// Close hands the last spans over, for at most 5 s, even where ctx has ended.
func (t *Telemetry) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if t.traces != nil {
		// What a collector did not take is no failure of this program's.
		if err := t.traces.Shutdown(ctx); err != nil {
			t.logger.Warn("the last spans were not handed over", "err", err)
		}
	}
	err := t.meters.Shutdown(ctx)
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	return err
}
