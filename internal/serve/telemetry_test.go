package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun/runstest"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// namespaceFake is as much of a Temporal as readiness asks of it.
type namespaceFake struct {
	client.Client
	err        error
	attributes []string
}

func (f *namespaceFake) WorkflowService() workflowservice.WorkflowServiceClient {
	return workflowServiceFake{fake: f}
}

func (f *namespaceFake) OperatorService() operatorservice.OperatorServiceClient {
	return operatorServiceFake{fake: f}
}

type workflowServiceFake struct {
	workflowservice.WorkflowServiceClient
	fake *namespaceFake
}

type operatorServiceFake struct {
	operatorservice.OperatorServiceClient
	fake *namespaceFake
}

func (f workflowServiceFake) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest, ...grpc.CallOption) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{
		Config: &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(time.Hour)},
	}, f.fake.err
}

func (f operatorServiceFake) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.ListSearchAttributesResponse, error) {
	listed := &operatorservice.ListSearchAttributesResponse{CustomAttributes: map[string]enumspb.IndexedValueType{}}
	for _, name := range f.fake.attributes {
		listed.CustomAttributes[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	return listed, nil
}

func TestReady(t *testing.T) {
	t.Parallel()
	all := []string{"HookSource", "HookEventType", "HookState", "HookParkReason", "HookMessage"}
	for name, tt := range map[string]struct {
		fake    namespaceFake
		missing string // "" where it is ready
	}{
		"all there":                       {namespaceFake{attributes: all}, ""},
		"away":                            {namespaceFake{err: serviceerror.NewUnavailable("connection refused")}, "temporal at here:7233 cannot be asked: connection refused"},
		"no namespace":                    {namespaceFake{err: serviceerror.NewNamespaceNotFound("shop")}, `there is no namespace "shop"; run ` + "`hookyard setup`"},
		"a Search Attribute that is away": {namespaceFake{attributes: all[:4]}, "no Search Attribute HookMessage"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkReady(t.Context(), &tt.fake, client.Options{HostPort: "here:7233", Namespace: "shop"})
			if tt.missing == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.missing)
		})
	}
}

// TestListenAdmin sees two processes share a machine, unless an operator has
// said where each of them is to be found.
func TestListenAdmin(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	none, err := listenAdmin(t.Context(), config.AdminOff, false, quiet)
	require.NoError(t, err)
	require.Nil(t, none)

	var log bytes.Buffer
	first, err := listenAdmin(t.Context(), "", true, quiet)
	require.NoError(t, err)
	defer first.Close()
	second, err := listenAdmin(t.Context(), "", true, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	defer second.Close()
	require.NotEqual(t, first.Addr().String(), second.Addr().String())
	require.True(t, second.Addr().(*net.TCPAddr).IP.IsLoopback())
	require.Contains(t, log.String(), config.DefaultAdmin)
	if first.Addr().String() == config.DefaultAdmin { // unless another program has it
		_, err = listenAdmin(t.Context(), "", false, quiet)
		require.ErrorContains(t, err, config.DefaultAdmin+" is taken", "a service does not move its metrics in silence")
	}

	_, err = listenAdmin(t.Context(), second.Addr().String(), true, quiet)
	require.ErrorContains(t, err, "is taken by another program; stop it, or choose another address with admin in the config, or --admin")
}

func TestReachableAdmin(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"127.0.0.1:8081": "127.0.0.1:8081", ":8081": "127.0.0.1:8081", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "edge:8081": "edge:8081",
		"8081": "", "edge:": "",
	} {
		got, err := reachableAdmin(given)
		require.Equal(t, want, got)
		require.Equal(t, want == "", errors.As(err, &command.UsageError{}), given)
	}
}

func TestAskHealth(t *testing.T) {
	t.Parallel()
	answer := func(code int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		_, err := askHealth(t.Context(), s.URL)
		if err == nil {
			return ""
		}
		return err.Error()
	}
	require.Empty(t, answer(200, "ready\n"))
	require.Equal(t, "not ready: no namespace", answer(503, `{"title":"not ready","detail":"no namespace"}`))
	require.Contains(t, answer(404, "page not found"), "answered 404 Not Found; is this the admin address of hookyard?")
	_, err := askHealth(t.Context(), "http://127.0.0.1:1/readyz")
	require.ErrorContains(t, err, "nothing answers there")
	require.NotContains(t, err.Error(), "http://", "the address is said once, by who asks")
}

// TestParkedGauge counts over several pages, and keeps what it saw while
// Temporal cannot be asked.
func TestParkedGauge(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	for i, id := range []string{"stripe:1", "stripe:2", "stripe:3", "stripe:4", "stripe:5"} {
		fake.Park(t, id, parking.Step{Name: "SendReceipt", Since: runstest.ParkedAt.Add(-time.Duration(i) * time.Hour)})
	}
	reader := sdkmetric.NewManualReader()
	g := &parkedGauge{client: fake, sources: func() []string { return []string{"stripe", "github"} }, logger: slog.New(slog.DiscardHandler)}
	require.NoError(t, g.register(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("")))
	told := func() map[string]int64 {
		var all metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &all))
		values := map[string]int64{}
		for _, scope := range all.ScopeMetrics {
			for _, metric := range scope.Metrics {
				gauge, ok := metric.Data.(metricdata.Gauge[int64])
				require.True(t, ok)
				for _, point := range gauge.DataPoints {
					source, _ := point.Attributes.Value("source")
					values[strings.TrimPrefix(metric.Name, "hookyard_parked_")+" "+source.AsString()] = point.Value
				}
			}
		}
		return values
	}
	require.Empty(t, told(), "before the first look nothing is known, not even that there is none")
	fake.Park(t, "github:1", parking.Step{Name: event.WholeWorkflow, Reason: event.ReasonPaused, Since: runstest.ParkedAt})
	want := map[string]int64{"runs stripe": 5, "runs github": 0, "hookyard_held_runs stripe": 0, "hookyard_held_runs github": 1, "oldest_timestamp_seconds stripe": runstest.ParkedAt.Add(-4 * time.Hour).Unix()}
	require.NoError(t, g.look(t.Context()))
	require.Empty(t, cmp.Diff(want, told()))

	away, cancel := context.WithCancel(t.Context())
	cancel()
	g.client = unreachable{}
	require.Error(t, g.look(away))
	require.Empty(t, cmp.Diff(want, told()))
}

// unreachable is a Temporal that is away.
type unreachable struct{ client.Client }

func (unreachable) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	return nil, serviceerror.NewUnavailable("connection refused")
}
