package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
)

// pauseList is a PauseLister.
type pauseList struct {
	mu    sync.Mutex
	ids   []string // Workflow Ids
	err   error
	asked int
}

func (l *pauseList) ListWorkflow(context.Context, *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.err != nil {
		return nil, l.err
	}
	listed := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, id := range l.ids {
		listed.Executions = append(listed.Executions, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id}})
	}
	return listed, nil
}

func TestHold(t *testing.T) {
	t.Parallel()
	list := &pauseList{ids: []string{event.PauseID("a"), "of another program"}}
	p := &pauses{lister: list, logger: slog.New(slog.DiscardHandler)}
	hold := func(source string) bool {
		held, err := p.hold(t.Context(), source)
		require.NoError(t, err)
		return held
	}
	require.True(t, hold("a"))
	require.False(t, hold("b"))
	require.Equal(t, 1, list.asked, "what is known is not asked for by each delivery")

	list.ids, list.err = []string{event.PauseID("b")}, errors.New("away")
	require.Error(t, p.ask(t.Context()))
	require.True(t, hold("a"), "what was known holds")

	list.err = nil
	require.NoError(t, p.ask(t.Context()))
	require.False(t, hold("a"))
	require.True(t, hold("b"))
}

func TestHoldUnknown(t *testing.T) {
	t.Parallel()
	p := &pauses{lister: &pauseList{err: errors.New("away")}, logger: slog.New(slog.DiscardHandler)}
	_, err := p.hold(t.Context(), "a")
	require.ErrorContains(t, err, "which sources are paused is not known: away")
	held, err := (&pauses{}).hold(t.Context(), "a")
	require.NoError(t, err)
	require.False(t, held)
}

// TestPausesRun sees that the first question is not a whole period late.
func TestPausesRun(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	list := &pauseList{ids: []string{event.PauseID("a")}}
	p := &pauses{lister: asker{list, stop}, logger: slog.New(slog.DiscardHandler)}
	p.run(ctx)
	require.Equal(t, 1, list.asked)
}

// asker calls stop once it was asked.
type asker struct {
	PauseLister
	stop context.CancelFunc
}

func (a asker) ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	defer a.stop()
	return a.PauseLister.ListWorkflow(ctx, r)
}

func TestPausedGauge(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	p := &pauses{lister: &pauseList{ids: []string{event.PauseID("a"), event.PauseID("gone")}}, logger: slog.New(slog.DiscardHandler)}
	require.NoError(t, p.register(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter(""),
		func() map[string]*Source { return map[string]*Source{"a": nil, "b": nil} }))
	require.NoError(t, p.ask(t.Context()))
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	got := map[string]int64{}
	gauge, ok := all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[int64])
	require.True(t, ok)
	for _, point := range gauge.DataPoints {
		source, _ := point.Attributes.Value("source")
		got[source.AsString()] = point.Value
	}
	require.Empty(t, cmp.Diff(map[string]int64{"a": 1, "b": 0}, got))
}

// heldStarts is a Starter that notes what was held.
type heldStarts struct{ held map[string]bool }

func (h *heldStarts) Start(_ context.Context, ev event.Event, _ converter.RawValue) error {
	h.held[ev.ID] = ev.Held
	return nil
}

// TestHeldDelivery follows a delivery through the edge before, in and after a
// pause.
func TestHeldDelivery(t *testing.T) {
	t.Parallel()
	list, starts := &pauseList{}, &heldStarts{held: map[string]bool{}}
	source := &Source{Provider: receiver(t, "github"), name: "a", maxBody: 100}
	s := New(Options{Sources: map[string]*Source{"a": source}, Starter: starts, Pauses: list, Logger: slog.New(slog.DiscardHandler)})
	deliver := func(id string) int { return postSigned(t, s, source, id).Code }
	require.Equal(t, 200, deliver("1"))
	list.ids = []string{event.PauseID("a")}
	require.NoError(t, s.pauses.ask(t.Context()))
	require.Equal(t, 200, deliver("2"))
	list.ids = nil
	require.NoError(t, s.pauses.ask(t.Context()))
	require.Equal(t, 200, deliver("3"))
	require.Empty(t, cmp.Diff(map[string]bool{"1": false, "2": true, "3": false}, starts.held))

	s = New(Options{Sources: map[string]*Source{"a": source}, Starter: starts, Pauses: &pauseList{err: errors.New("away")}, Logger: slog.New(slog.DiscardHandler)})
	require.Equal(t, 503, postSigned(t, s, source, "4").Code, "an edge that knows nothing yet must not run what is held")
	require.NotContains(t, starts.held, "4")
}
