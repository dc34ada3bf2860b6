package operate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	updatepb "go.temporal.io/api/update/v1"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/eventrun/runstest"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// parkedForReset is a Temporal with the run stripe:a, parked at SendReceipt.
func parkedForReset(t *testing.T) (fake *runstest.Temporal, run eventrun.Run, third int64) {
	fake = runstest.New()
	fake.Park(t, "stripe:a", runstest.StepParked("SendReceipt", runstest.ParkedAt))
	h, _, _, third := parkedTwice(t)
	fake.Histories["stripe:a"] = h.events
	return fake, eventrun.New(fake.Runs["stripe:a"]), third
}

func TestReset(t *testing.T) {
	t.Parallel()
	fake, r, third := parkedForReset(t)
	said, err := reset{}.do(t.Context(), operatorOn(fake), r)
	require.NoError(t, err)
	require.Equal(t, "reset to before SendReceipt: run reset-1 took the place of run run-of-stripe:a", said)
	require.Len(t, fake.Resets, 1)
	request := fake.Resets[0]
	require.Equal(t, third, request.GetWorkflowTaskFinishEventId())
	require.Equal(t, "run-of-stripe:a", request.GetWorkflowExecution().GetRunId())
	require.Empty(t, cmp.Diff([]enumspb.ResetReapplyExcludeType{enumspb.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL}, request.GetResetReapplyExcludeTypes()))
	require.Equal(t, "ada@host: a test", request.GetReason())

	_, err = reset{}.do(t.Context(), operatorOn(fake), r)
	require.ErrorIs(t, err, errAlreadyDone)
	require.Len(t, fake.Resets, 1, "Temporal would have made another run")
}

func TestResetSaysWhatRunsAgain(t *testing.T) {
	t.Parallel()
	fake, r, _ := parkedForReset(t)
	h, _, _, _ := parkedTwice(t)
	h.signal(event.SignalResolve, parking.Resolve{Step: "SendReceipt"})
	fake.Histories["stripe:a"] = h.events
	said, err := reset{step: "RecordPayment"}.do(t.Context(), operatorOn(fake), r)
	require.NoError(t, err)
	require.Contains(t, said, "\n  note: SendReceipt was resolved by hand after that point, and runs now")
}

// TestResetWithoutAnswer looks what has become of it instead of asking again.
func TestResetWithoutAnswer(t *testing.T) {
	t.Parallel()
	fake, r, _ := parkedForReset(t)
	fake.OnReset = func() error {
		fake.NewRuns[r.RunID] = "done-all-the-same"
		return serviceerror.NewUnavailable("connection lost")
	}
	said, err := reset{}.do(t.Context(), operatorOn(fake), r)
	require.NoError(t, err)
	require.Contains(t, said, "run done-all-the-same took the place")
	require.Len(t, fake.Resets, 1)

	lost, r, _ := parkedForReset(t)
	lost.OnReset = func() error { return serviceerror.NewUnavailable("connection lost") }
	_, err = reset{}.do(t.Context(), operatorOn(lost), r)
	require.EqualError(t, err, `run "stripe:a": connection lost`)
	require.Len(t, lost.Resets, 1)
}

// TestResetAgain has a run that a Reset has made, and that goes on.
func TestResetAgain(t *testing.T) {
	t.Parallel()
	fake, r, _ := parkedForReset(t)
	h := newHistory(t)
	h.schedule(h.decide(), "SendReceipt")
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED,
		Attributes: &historypb.HistoryEvent_WorkflowTaskFailedEventAttributes{WorkflowTaskFailedEventAttributes: &historypb.WorkflowTaskFailedEventAttributes{
			Cause: enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW, BaseRunId: "base",
		}},
	})
	fake.Histories["stripe:a"] = h.events
	goesOn := r
	goesOn.Steps = nil
	completed := goesOn
	completed.Status = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	for _, made := range []eventrun.Run{goesOn, completed} {
		_, err := reset{step: "SendReceipt"}.do(t.Context(), operatorOn(fake), made)
		require.ErrorContains(t, err, "was reset already (from run base)")
	}
	require.Empty(t, fake.Resets)
	_, err := reset{step: "SendReceipt", again: true}.do(t.Context(), operatorOn(fake), goesOn)
	require.NoError(t, err)
	require.Len(t, fake.Resets, 1)
}

func TestResetOfWhatGoesOn(t *testing.T) {
	t.Parallel()
	fake, r, _ := parkedForReset(t)
	r.Steps = nil
	_, err := reset{}.do(t.Context(), operatorOn(fake), r)
	require.EqualError(t, err, `run "stripe:a": it is open and nothing in it is parked; say from where it is to run again, with --start or --step; known: RecordPayment, SendReceipt`)
}

// TestResetLeavesDiscardedAlone resets a discarded run only by its name.
func TestResetLeavesDiscardedAlone(t *testing.T) {
	t.Parallel()
	fake, r, third := parkedForReset(t)
	h, _, _, _ := parkedTwice(t)
	h.close(h.decide(), event.ErrorDiscarded)
	fake.Histories["stripe:a"] = h.events
	r.Status = enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	_, err := reset{bulk: true}.do(t.Context(), operatorOn(fake), r)
	require.ErrorIs(t, err, errAlreadyDone)
	_, err = reset{}.do(t.Context(), operatorOn(fake), r)
	require.NoError(t, err)
	require.Equal(t, third, fake.Resets[0].GetWorkflowTaskFinishEventId())
}

// continuing returns the history of a run that begins where another one ended, in
// which the steps ran.
func continuing(t *testing.T, earlier string, steps ...string) (h *historyOf, decisions []int64) {
	h = newHistory(t)
	h.events[0].Attributes = &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{ContinuedExecutionRunId: earlier},
	}
	for _, step := range steps {
		d := h.decide()
		h.schedule(d, step)
		decisions = append(decisions, d)
	}
	return h, decisions
}

// TestResetOfAnEarlierRun goes back to steps of the runs that a run continues.
func TestResetOfAnEarlierRun(t *testing.T) {
	t.Parallel()
	fake, r, _ := parkedForReset(t)
	now, _ := continuing(t, "second", "SendReceipt")
	second, at := continuing(t, "first", "RecordPayment", "Ship")
	first, oldest := continuing(t, "", "RecordPayment", "Reserve")
	fake.Histories[r.RunID], fake.Histories["second"], fake.Histories["first"] = now.events, second.events, first.events

	said, err := reset{step: "RecordPayment"}.do(t.Context(), operatorOn(fake), r)
	require.NoError(t, err)
	require.Equal(t, "reset to before RecordPayment: run reset-1 took the place of run second", said)
	require.Equal(t, at[0], fake.Resets[0].GetWorkflowTaskFinishEventId(), "where it ran last")
	_, err = reset{step: "Reserve"}.do(t.Context(), operatorOn(fake), r)
	require.NoError(t, err)
	require.Equal(t, "first", fake.Resets[1].GetWorkflowExecution().GetRunId())
	require.Equal(t, oldest[1], fake.Resets[1].GetWorkflowTaskFinishEventId())

	_, err = reset{step: "Refund"}.do(t.Context(), operatorOn(fake), r)
	require.EqualError(t, err, `run "stripe:a": step "Refund" did not run in it; known: SendReceipt`)

	second.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionUpdateAcceptedEventAttributes{
			WorkflowExecutionUpdateAcceptedEventAttributes: &historypb.WorkflowExecutionUpdateAcceptedEventAttributes{
				AcceptedRequest: &updatepb.Request{Input: &updatepb.Input{Name: event.UpdateAmend}},
			},
		},
	})
	fake.Histories["second"] = second.events
	_, err = reset{step: "Ship"}.do(t.Context(), operatorOn(fake), r)
	require.ErrorContains(t, err, `step "Ship" ran before the payload was amended`)
	_, err = reset{step: "Reserve"}.do(t.Context(), operatorOn(fake), r)
	require.ErrorContains(t, err, `step "Reserve" did not run in it`, "what ran before the payload was amended counts no more")
	require.Len(t, fake.Resets, 2)
}
