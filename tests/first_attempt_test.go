package tests

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/tests/peers"
)

// local has both steps make their first attempt where the Workflow runs.
const (
	local = "timeout: 5s, first: local"
	quick = "retry: {default: {initial: 1s, backoff: 1, attempts: 3}, RecordPayment: {" + local + "}, SendReceipt: {" + local + "}}\n"
)

// TestFirstAttempt is an event whose steps all succeed at once.
func TestFirstAttempt(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource+quick)
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	s.completed("stripe:evt_1")
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
	require.Equal(t, 1, s.mails())
	require.Empty(t, s.scheduled("stripe:evt_1"))
	require.Empty(t, cmp.Diff(map[string]int{"RecordPayment": 1, "SendReceipt": 1}, s.attemptedLocally("stripe:evt_1")))
}

// TestFirstAttemptThenParked takes the mail server away: what fails locally
// goes on as a regular Activity, parks, and is resumed.
func TestFirstAttemptThenParked(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), mailedSource+quick)
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	step := s.parked("stripe:evt_1").Steps[0]
	require.Equal(t, "SendReceipt", step.Name)
	require.Equal(t, event.ReasonExhausted, step.Reason)
	require.Equal(t, 3, step.Attempts)
	require.Empty(t, cmp.Diff(map[string]int{"SendReceipt": 1, "ReportParked": 1}, s.scheduled("stripe:evt_1")))
	require.Contains(t, s.run("parked", "show", "stripe:evt_1"), "connection refused")

	taken := peers.NewMailServerAt(t, s.smtp, nil)
	s.run("resume", "stripe:evt_1")
	s.completed("stripe:evt_1")
	require.Len(t, taken.Mails(), 1)
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
	require.Empty(t, cmp.Diff(map[string]int{"RecordPayment": 1, "SendReceipt": 2}, s.attemptedLocally("stripe:evt_1")), "the step that is resumed begins as any other")
}

// TestFirstChanged has runs parked under one config resumed under another, in
// which their steps make their first attempts elsewhere.
func TestFirstChanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"local to queue": {local, "timeout: 30s"},
		"queue to local": {"timeout: 30s", local},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSystem(t, startTemporal(t, ""), mailedSource+strings.ReplaceAll(quick, local, change[0]))
			s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
			s.parked("stripe:evt_1")

			_ = s.Stop(syscall.SIGKILL)
			config, err := os.ReadFile(s.config())
			require.NoError(t, err)
			changed := strings.ReplaceAll(string(config), change[0], change[1])
			require.NotEqual(t, string(config), changed)
			require.NoError(t, os.WriteFile(s.config(), []byte(changed), 0o600))
			peers.NewMailServerAt(t, s.smtp, nil)
			s.serve()

			s.run("resume", "stripe:evt_1")
			s.completed("stripe:evt_1")
			require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
			require.Zero(t, s.brokenTasks("stripe:evt_1"))
		})
	}
}

// TestResetOfFirstAttempts goes back to a step that shares its Workflow Task
// with the one before it.
func TestResetOfFirstAttempts(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource+quick)
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	s.completed("stripe:evt_1")
	said := s.run("reset", "stripe:evt_1", "--step", "SendReceipt")
	require.Contains(t, said, "reset to before SendReceipt")
	require.Contains(t, said, "RecordPayment was made in the same Workflow Task")
	s.completed("stripe:evt_1")
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()), "under its key it is recorded once")
	require.Equal(t, 1, s.mails())
}

// attemptedLocally counts the attempts within Workflow Tasks by step.
func (s *system) attemptedLocally(workflowID string) map[string]int {
	attempted := map[string]int{}
	for _, event := range s.history(workflowID) {
		a := event.GetMarkerRecordedEventAttributes()
		if a.GetMarkerName() != "LocalActivity" {
			continue
		}
		for _, name := range []string{"RecordPayment", "SendReceipt"} {
			if strings.Contains(string(a.GetDetails()["data"].GetPayloads()[0].GetData()), `"`+name+`"`) {
				attempted[name]++
			}
		}
	}
	return attempted
}

// brokenTasks counts the Workflow Tasks that failed, as they do where code
// does not fit a history.
func (s *system) brokenTasks(workflowID string) int {
	broken := 0
	for _, event := range s.history(workflowID) {
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED {
			broken++
		}
	}
	return broken
}

// history returns the events of a Workflow's current run.
func (s *system) history(workflowID string) []*historypb.HistoryEvent {
	var events []*historypb.HistoryEvent
	history := s.client.GetWorkflowHistory(s.t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(s.t, err)
		events = append(events, event)
	}
	return events
}
