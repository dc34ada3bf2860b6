package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/internal/telemetry"
)

// open returns a Telemetry with just these variables.
func open(t *testing.T, file string, vars map[string]string) *telemetry.Telemetry {
	tel, err := telemetry.New(t.Context(), telemetry.Options{
		Version: "v1.2.3", TraceFile: file, Logger: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Close(context.Background())) })
	return tel
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	var missing error
	admin := open(t, "", nil).Admin(func(context.Context) error { return missing })
	for path, contains := range map[string]string{
		"/healthz": "alive", "/readyz": "ready", "/metrics": `service_version="v1.2.3"`, "/debug/pprof/": "goroutine", "/": "/metrics",
	} {
		w := get(t, admin, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Contains(t, w.Body.String(), contains)
	}
	require.Equal(t, http.StatusNotFound, get(t, admin, "/webhooks/stripe").Code)

	missing = errors.New("there is no namespace")
	require.Equal(t, http.StatusOK, get(t, admin, "/healthz").Code)
	w := get(t, admin, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var problem telemetry.Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
	require.Empty(t, cmp.Diff(telemetry.Problem{Type: "urn:hookyard:problem:not-ready", Title: "not ready", Status: 503, Detail: "there is no namespace"}, problem))
}

// TestNames sees that what is scraped has the names that it was made with,
// once, and bounds that fit seconds.
func TestNames(t *testing.T) {
	t.Parallel()
	tel := open(t, "", nil)
	var o client.Options
	require.NoError(t, tel.Observe(&o))
	require.Empty(t, o.Interceptors, "nobody takes traces")
	handler := o.MetricsHandler.WithTags(map[string]string{"source": "stripe"})
	handler.Counter("hookyard_steps_parked_total").Inc(2)
	handler.Timer("hookyard_event_seconds").Record(90 * time.Minute)
	handler.Timer("temporal_request_latency").Record(3 * time.Millisecond)
	counter, err := tel.Meter().Int64Counter("hookyard_deliveries_total")
	require.NoError(t, err)
	counter.Add(t.Context(), 1)

	scraped := get(t, tel.Metrics(), "/metrics").Body.String()
	for _, line := range []string{
		"hookyard_steps_parked_total{source=\"stripe\"} 2\n", "hookyard_deliveries_total 1\n",
		`hookyard_event_seconds_bucket{source="stripe",le="3600"} 0`, `hookyard_event_seconds_bucket{source="stripe",le="21600"} 1`,
		`temporal_request_latency_seconds_bucket{source="stripe",le="0.002"} 0`, `temporal_request_latency_seconds_bucket{source="stripe",le="0.005"} 1`,
		"\ngo_goroutines ", "\nprocess_resident_memory_bytes ",
	} {
		require.Contains(t, scraped, line)
	}
}

// TestTracesAreWanted sees that nothing is kept for a collector that nobody
// named.
func TestTracesAreWanted(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, tt := range map[string]struct {
		vars map[string]string
		want bool
	}{
		"nothing said":          {nil, false},
		"an endpoint":           {map[string]string{endpoint: "http://127.0.0.1:1"}, true},
		"one of traces":         {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, true},
		"an exporter":           {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		"none in spite of one":  {map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"}, false},
		"all of it off":         {map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"}, false},
		"an empty one, as none": {map[string]string{endpoint: ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tel := open(t, "", tt.vars)
			require.Equal(t, tt.want, tel.TracerProvider() != nil)
			var o client.Options
			require.NoError(t, tel.Observe(&o))
			require.Equal(t, tt.want, len(o.Interceptors) == 1)
		})
	}
}

// TestTraceFile sees a request's span below the one that it names, without
// baggage, which is a stranger's.
func TestTraceFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "trace.json")
	tel := open(t, file, nil)
	var seen trace.SpanContext
	h := tel.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = trace.SpanContextFromContext(r.Context()) }))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/stripe?token=s3cret", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", seen.TraceID().String())

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(text, []byte("\n")), "a span is a line")
	var span struct {
		Name        string
		Parent      struct{ SpanID string }
		SpanContext struct{ SpanID string }
	}
	require.NoError(t, json.Unmarshal(text, &span))
	require.Equal(t, "POST /webhooks/{source}", span.Name)
	require.Equal(t, "b7ad6b7169203331", span.Parent.SpanID)
	require.Equal(t, seen.SpanID().String(), span.SpanContext.SpanID)
	require.NotContains(t, string(text), "s3cret", "queries hold tokens")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestTraceFileThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := telemetry.New(t.Context(), telemetry.Options{TraceFile: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "telemetry: traces: ")
}

// TestServeEnds sees that a profile which takes long does not hold up the end.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	entered := make(chan struct{})
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	ended := make(chan error, 1)
	go func() { ended <- telemetry.Serve(ctx, l, slow, slog.New(slog.DiscardHandler)) }()
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	<-entered
	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(60 * time.Second):
		require.Fail(t, "Serve did not end")
	}
}
