package operate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/eventrun/runstest"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// historyOf builds a history as a server writes it.
type historyOf struct {
	t      *testing.T
	events []*historypb.HistoryEvent
}

func newHistory(t *testing.T) *historyOf {
	h := &historyOf{t: t}
	h.add(&historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED})
	return h
}

func (h *historyOf) add(e *historypb.HistoryEvent) int64 {
	e.EventId = int64(len(h.events) + 1)
	e.EventTime = timestamppb.New(runstest.ParkedAt.Add(time.Duration(e.EventId) * time.Second))
	h.events = append(h.events, e)
	return e.EventId
}

// decide is a whole Workflow Task; it returns the event that a Reset goes to.
func (h *historyOf) decide() int64 {
	h.add(&historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED})
	h.add(&historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED})
	return h.add(&historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED})
}

func (h *historyOf) schedule(decision int64, step string) int64 {
	return h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
		Attributes: &historypb.HistoryEvent_ActivityTaskScheduledEventAttributes{ActivityTaskScheduledEventAttributes: &historypb.ActivityTaskScheduledEventAttributes{
			ActivityType: &commonpb.ActivityType{Name: step}, WorkflowTaskCompletedEventId: decision,
		}},
	})
}

func (h *historyOf) fail(scheduled int64, message string) {
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED,
		Attributes: &historypb.HistoryEvent_ActivityTaskFailedEventAttributes{ActivityTaskFailedEventAttributes: &historypb.ActivityTaskFailedEventAttributes{
			ScheduledEventId: scheduled, Failure: applicationFailure(message, "Refused"),
		}},
	})
}

// attempt is a first attempt within the Workflow Task of the decision.
func (h *historyOf) attempt(decision int64, step string, failure *failurepb.Failure) {
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_MARKER_RECORDED,
		Attributes: &historypb.HistoryEvent_MarkerRecordedEventAttributes{MarkerRecordedEventAttributes: &historypb.MarkerRecordedEventAttributes{
			MarkerName: "LocalActivity", WorkflowTaskCompletedEventId: decision, Failure: failure,
			Details: map[string]*commonpb.Payloads{"data": {Payloads: []*commonpb.Payload{
				runstest.Encoded(h.t, map[string]string{"ActivityID": "1", "ActivityType": step}),
			}}},
		}},
	})
}

func applicationFailure(message, kind string) *failurepb.Failure {
	return &failurepb.Failure{Message: message, FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
		ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Type: kind},
	}}
}

// park writes what is parked; nothing, where the run goes on.
func (h *historyOf) park(decision int64, steps ...parking.Step) {
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
		Attributes: &historypb.HistoryEvent_WorkflowPropertiesModifiedEventAttributes{WorkflowPropertiesModifiedEventAttributes: &historypb.WorkflowPropertiesModifiedEventAttributes{
			WorkflowTaskCompletedEventId: decision,
			UpsertedMemo:                 &commonpb.Memo{Fields: map[string]*commonpb.Payload{event.ParkedMemo: runstest.Encoded(h.t, parking.Parked{Steps: steps})}},
		}},
	})
}

func (h *historyOf) signal(name string, input any) {
	attributes := &historypb.WorkflowExecutionSignaledEventAttributes{SignalName: name, Identity: "the Web UI"}
	if input != nil {
		attributes.Input = &commonpb.Payloads{Payloads: []*commonpb.Payload{runstest.Encoded(h.t, input)}}
	}
	h.add(&historypb.HistoryEvent{
		EventType:  enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes{WorkflowExecutionSignaledEventAttributes: attributes},
	})
}

func (h *historyOf) close(decision int64, kind string) {
	if kind == "" {
		h.add(&historypb.HistoryEvent{EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED})
		return
	}
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionFailedEventAttributes{WorkflowExecutionFailedEventAttributes: &historypb.WorkflowExecutionFailedEventAttributes{
			WorkflowTaskCompletedEventId: decision, Failure: applicationFailure("closed", kind),
		}},
	})
}

// parkedTwice is a payment that is recorded, and a receipt that parked, was
// resumed and has parked again.
func parkedTwice(t *testing.T) (h *historyOf, first, second, third int64) {
	h = newHistory(t)
	first = h.decide()
	h.schedule(first, "RecordPayment")
	second = h.decide()
	h.fail(h.schedule(second, "SendReceipt"), "the first time")
	d := h.decide()
	h.park(d, runstest.StepParked("SendReceipt", runstest.ParkedAt))
	h.fail(h.schedule(d, "ReportParked"), "nobody to tell")
	h.signal(event.SignalResume, parking.Resume{By: "ada", Why: "try"})
	third = h.decide()
	h.park(third)
	h.fail(h.schedule(third, "SendReceipt"), "the second time")
	d = h.decide()
	h.park(d, runstest.StepParked("SendReceipt", runstest.ParkedAt.Add(time.Hour)))
	h.fail(h.schedule(d, "ReportParked"), "nobody to tell")
	return h, first, second, third
}

func TestResetPoint(t *testing.T) {
	t.Parallel()
	h, first, second, third := parkedTwice(t)
	require.NotEqual(t, second, third)

	p, err := startPoint(h.events)
	require.NoError(t, err)
	require.Equal(t, first, p.id)

	p, err = stepPoint(h.events, "RecordPayment")
	require.NoError(t, err)
	require.Equal(t, first, p.id)

	p, err = stepPoint(h.events, "SendReceipt")
	require.NoError(t, err)
	require.Equal(t, third, p.id, "the last time that it was scheduled")
	p, err = stepPoint(h.events, "SendReceipt#2")
	require.NoError(t, err)
	require.Equal(t, third, p.id)

	p, err = stoppedPoint(h.events)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(point{id: third, what: "SendReceipt"}, p, cmp.AllowUnexported(point{})))

	_, err = stepPoint(h.events, "SendRecipt")
	require.EqualError(t, err, `step "SendRecipt" did not run in it; did you mean "SendReceipt"?`)
	_, err = stepPoint(h.events, "Refund")
	require.EqualError(t, err, `step "Refund" did not run in it; known: RecordPayment, SendReceipt`)
}

func TestResetPointOfClosedRuns(t *testing.T) {
	t.Parallel()
	t.Run("discarded", func(t *testing.T) {
		t.Parallel()
		h, _, _, third := parkedTwice(t)
		h.signal(event.SignalDiscard, parking.Discard{Why: "no"})
		h.close(h.decide(), event.ErrorDiscarded)
		p, err := stoppedPoint(h.events)
		require.NoError(t, err)
		require.Equal(t, third, p.id, "the step, not the decision to close")
		require.Equal(t, event.ErrorDiscarded, closedAs(h.events))
	})
	t.Run("completed", func(t *testing.T) {
		t.Parallel()
		h, _, _, _ := parkedTwice(t)
		h.close(h.decide(), "")
		_, err := stoppedPoint(h.events)
		require.EqualError(t, err, "it has completed, so no step stands out; say from where it is to run again, with --start or --step; known: RecordPayment, SendReceipt")
		require.Empty(t, closedAs(h.events))
	})
	t.Run("failed of a step, without parking", func(t *testing.T) {
		t.Parallel()
		h := newHistory(t)
		d := h.decide()
		h.fail(h.schedule(d, "RecordPayment"), "no")
		h.close(h.decide(), "Refused")
		p, err := stoppedPoint(h.events)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(point{id: d, what: "RecordPayment"}, p, cmp.AllowUnexported(point{})))
	})
	t.Run("failed by itself", func(t *testing.T) {
		t.Parallel()
		h := newHistory(t)
		h.schedule(h.decide(), "RecordPayment")
		d := h.decide()
		h.close(d, "Broken")
		p, err := stoppedPoint(h.events)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(point{id: d, what: "its failure"}, p, cmp.AllowUnexported(point{})))
	})
	t.Run("not begun", func(t *testing.T) {
		t.Parallel()
		_, err := startPoint(newHistory(t).events)
		require.ErrorContains(t, err, "no worker has taken it up yet")
	})
}

// TestResetPointOfFirstAttempts goes back to steps that were made within
// Workflow Tasks.
func TestResetPointOfFirstAttempts(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	d := h.decide()
	h.attempt(d, "RecordPayment", nil)
	h.attempt(d, "SendReceipt", applicationFailure("no such customer", "Gone"))
	h.park(d, runstest.StepParked("SendReceipt", runstest.ParkedAt))

	p, err := stoppedPoint(h.events)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(point{id: d, what: "SendReceipt", also: []string{"RecordPayment"}}, p, cmp.AllowUnexported(point{})))
	require.Contains(t, lastError(h.events, "SendReceipt"), "no such customer")

	p, err = stepPoint(h.events, "RecordPayment")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(point{id: d, what: "RecordPayment"}, p, cmp.AllowUnexported(point{})))

	later := h.decide()
	h.fail(h.schedule(later, "SendReceipt"), "still no such customer")
	p, err = stepPoint(h.events, "SendReceipt")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(point{id: later, what: "SendReceipt"}, p, cmp.AllowUnexported(point{})), "its regular Activity, which came last")
	_, err = stepPoint(h.events, "Refund")
	require.EqualError(t, err, `step "Refund" did not run in it; known: RecordPayment, SendReceipt`)
}

// TestResetPointOfWholeWorkflow goes back to the decision in which the
// Workflow broke, with its finished steps behind it.
func TestResetPointOfWholeWorkflow(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.schedule(h.decide(), "RecordPayment")
	broke := h.decide()
	h.park(broke, runstest.StepParked(event.WholeWorkflow, runstest.ParkedAt))
	p, err := stoppedPoint(h.events)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(point{id: broke, what: event.WholeWorkflow}, p, cmp.AllowUnexported(point{})))
	p, err = stepPoint(h.events, event.WholeWorkflow)
	require.NoError(t, err)
	require.Equal(t, broke, p.id)
}

// TestResetPointOfSeveral chooses the step that parked last.
func TestResetPointOfSeveral(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	first := h.decide()
	a := h.schedule(first, "A")
	second := h.decide()
	h.fail(h.schedule(second, "B"), "no")
	h.park(h.decide(), runstest.StepParked("B", runstest.ParkedAt))
	h.fail(a, "no")
	h.park(h.decide(), runstest.StepParked("B", runstest.ParkedAt), runstest.StepParked("A", runstest.ParkedAt.Add(time.Minute)))
	p, err := stoppedPoint(h.events)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(point{id: first, what: "A"}, p, cmp.AllowUnexported(point{})))
}

func TestResolvedAfter(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	d := h.decide()
	h.signal(event.SignalResume, nil)
	h.signal(event.SignalResolve, parking.Resolve{Step: "SendReceipt"})
	require.Empty(t, cmp.Diff([]string{"SendReceipt"}, resolvedAfter(h.events, d)))
	require.Empty(t, resolvedAfter(h.events, h.decide()))
}
