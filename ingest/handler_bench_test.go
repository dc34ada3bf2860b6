package ingest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
)

// BenchmarkHandler is a delivery's whole way through the edge up to the SDK's
// ExecuteWorkflow: what Hookyard adds to a bare start. Its line in the log is
// written as in production, and thrown away; its metrics are kept.
func BenchmarkHandler(b *testing.B) {
	for _, size := range []int{2 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			handler, delivery := benchmarkEdge(b, size)
			w := &discard{header: http.Header{}}
			body := &rewound{}
			r := &http.Request{
				Method: http.MethodPost, URL: &url.URL{Path: "/webhooks/stripe"}, RequestURI: "/webhooks/stripe",
				Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "192.0.2.1:4000",
				Header: delivery.Header, ContentLength: int64(len(delivery.Body)), Body: body,
			}
			r = r.WithContext(b.Context())
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(delivery.Body)
				clear(w.header)
				w.status = 0
				handler.ServeHTTP(w, r)
			}
			require.Equal(b, http.StatusOK, w.status)
		})
	}
}

// BenchmarkBareStart is what a caller of the SDK spends on the same start, up
// to ExecuteWorkflow. The difference to BenchmarkHandler is what Hookyard adds.
func BenchmarkBareStart(b *testing.B) {
	body := []byte(paddedInvoice(2 << 10))
	caller := ingest.WorkflowStarter{Client: instant{}} // behind the interface, as it is for the edge
	b.ReportAllocs()
	for b.Loop() {
		ev := event.Event{Source: "stripe", Provider: "stripe", ID: "evt_1", Type: "invoice.paid", ReceivedAt: clock, ContentType: "application/json"}
		_, err := caller.Client.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{
			ID:                                       ev.WorkflowID(),
			TaskQueue:                                "benchmark",
			WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
			WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
			WorkflowExecutionErrorWhenAlreadyStarted: true,
			StaticSummary:                            ev.Source + " " + ev.Type + " " + ev.ID,
			TypedSearchAttributes: temporal.NewSearchAttributes(
				temporal.NewSearchAttributeKeyKeyword(event.SourceAttribute).ValueSet(ev.Source), temporal.NewSearchAttributeKeyKeyword(event.TypeAttribute).ValueSet(ev.Type)),
		}, ev.WorkflowType(), ev, ingest.Payload(body, true))
		if err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkEdge returns an edge with one Stripe source, and a signed delivery
// for it with a body of the given size.
func benchmarkEdge(b *testing.B, size int) (http.Handler, *provider.Delivery) {
	cfg, err := config.Parse("hookyard.yaml", []byte(`sources: {stripe: {provider: stripe, secrets: [env:S], routes: [{type: "invoice.*"}, {type: "*", ignore: true}]}}`), config.Options{
		LookupEnv: func(string) (string, bool) { return testSecret, true },
	})
	require.NoError(b, err)
	builtin, err := provider.Builtin()
	require.NoError(b, err)
	catalog, mistakes := ingest.Providers(cfg, builtin)
	require.Empty(b, mistakes)
	sources, mistakes := ingest.Sources(cfg, catalog)
	require.Empty(b, mistakes)

	d := provider.SampleDelivery("", []byte(paddedInvoice(size)))
	d.ReceivedAt = clock
	require.NoError(b, sources["stripe"].Provider.Sign(d))
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // the line is to be written, as in production
	return ingest.New(ingest.Options{
		Sources: sources,
		Starter: &ingest.WorkflowStarter{Client: instant{}, TaskQueue: "benchmark", Logger: logger},
		Logger:  logger, Now: func() time.Time { return clock },
		Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())).Meter("benchmark"),
	}).Handler(), d
}

// paddedInvoice is an event of exactly so many bytes. Its id and type stand
// at the end, as in Stripe's own, so that finding them means reading it all.
func paddedInvoice(size int) string {
	const head, line, tail = `{"object":"event","data":{"object":{"id":"in_1","lines":[`, `{"amount":4900,"currency":"eur"},`, `0]}},"id":"evt_1","type":"invoice.paid"}`
	room := size - len(head) - len(tail)
	lines := strings.Repeat(line, room/len(line))
	return head + lines + strings.Repeat(" ", room-len(lines)) + tail
}

// instant is a Temporal client that starts nothing, at no cost.
type instant struct{ client.Client }

func (instant) ExecuteWorkflow(context.Context, client.StartWorkflowOptions, any, ...any) (client.WorkflowRun, error) {
	return nil, nil
}

// rewound is a request's body that is read again and again.
type rewound struct{ bytes.Reader }

func (*rewound) Close() error { return nil }

// discard is a ResponseWriter that keeps only the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header    { return d.header }
func (d *discard) WriteHeader(status int) { d.status = status }

func (d *discard) Write(p []byte) (int, error) {
	if d.status == 0 {
		d.status = http.StatusOK
	}
	return len(p), nil
}
