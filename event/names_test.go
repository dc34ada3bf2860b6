package event_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

// TestNames holds the names that histories, saved views and other programs
// already use. A failure here means a rename that breaks them.
func TestNames(t *testing.T) {
	t.Parallel()
	require.Empty(t, cmp.Diff([]string{"HookSource", "HookEventType", "HookState", "HookParkReason", "HookMessage"}, event.SearchAttributes()))
	require.Empty(t, cmp.Diff([]event.ParkReason{"exhausted", "permanent", "timeout", "undecodable", "unhandled", "panic", "failed", "unregistered"}, event.ParkReasons()))
	require.Empty(t, cmp.Diff([]string{
		"parked", "held", "kept", "paused", "resume", "resolve", "discard", "amend",
		"ReportParked", "PauseOpen", "hookyard.alerts", "hookyard/alerts/stripe",
		"Discarded", "ParkExpired", "workflow", "HookParked", "HookPause", "hookyard.pause", "unpause", "hookyard/pause/stripe",
	}, []string{
		event.StateParked, event.StateHeld, event.StateKept, string(event.ReasonPaused),
		event.SignalResume, event.SignalResolve, event.SignalDiscard, event.UpdateAmend,
		event.ReportActivity, event.PauseActivity, event.AlertWorkflow, event.AlertID("stripe"),
		event.ErrorDiscarded, event.ErrorExpired, event.WholeWorkflow, event.ParkedMemo, event.PauseMemo, event.PauseWorkflow, event.SignalUnpause, event.PauseID("stripe"),
	}))
}

func TestParkedReportJSON(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(event.ParkedReport{Source: "s", EventType: "t", WorkflowID: "w", RunID: "r", Step: "p", Reason: event.ReasonPanic, Error: "e"})
	require.NoError(t, err)
	require.JSONEq(t, `{"source":"s","event_type":"t","workflow_id":"w","run_id":"r","step":"p","reason":"panic","error":"e"}`, string(data))
}
