package telemetry

import (
	"context"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// keepTraces makes a tracer provider where spans go somewhere. Which of them
// are kept is what OTEL_TRACES_SAMPLER says; by default all, and of a trace
// that came in with a request, as its sender does.
func (t *Telemetry) keepTraces(ctx context.Context, o Options, described *resource.Resource) error {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(described)}
	if o.TraceFile != "" {
		file, err := os.OpenFile(o.TraceFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		t.file = file
		exporter, err := stdouttrace.New(stdouttrace.WithWriter(file))
		if err != nil {
			return err
		}
		// A file is looked into at once, and not one span is to be missing.
		options = append(options, sdktrace.WithSyncer(exporter))
	}
	if collected(o.LookupEnv) {
		exporter, err := otlptracehttp.New(ctx)
		if err != nil {
			return err
		}
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	if len(options) > 1 {
		t.traces = sdktrace.NewTracerProvider(options...)
	}
	return nil
}

// collected reports whether the standard variables name a collector for
// traces.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
func collected(lookup func(string) (string, bool)) bool {
	value := func(name string) string {
		v, _ := lookup(name)
		return strings.ToLower(strings.TrimSpace(v))
	}
	exporter := value("OTEL_TRACES_EXPORTER")
	if value("OTEL_SDK_DISABLED") == "true" || exporter == "none" {
		return false
	}
	return exporter == "otlp" || value("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// TracerProvider returns what makes spans, or nil where nobody takes them.
func (t *Telemetry) TracerProvider() trace.TracerProvider {
	if t.traces == nil {
		return nil
	}
	return t.traces
}

// propagator is W3C traceparent and tracestate. Baggage is left out: it comes
// from strangers, and would travel on into every Workflow.
func propagator() propagation.TextMapPropagator { return propagation.TraceContext{} }

// HTTP gives each request a span, below the one that its traceparent names.
// Where nobody takes traces, it returns next as it is.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	if t.traces == nil {
		return next
	}
	return otelhttp.NewHandler(next, "",
		otelhttp.WithTracerProvider(t.traces),
		otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()), // ours say more, and know which sources there are
		otelhttp.WithPropagators(propagator()),
		// The path is the sender's to choose, so it is an attribute and not
		// the name.
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " /webhooks/{source}" }),
	)
}
