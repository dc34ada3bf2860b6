package tests

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
)

// fails runs a hookyard command that is to fail, and returns what it printed.
func (s *system) fails(args ...string) string {
	p := harness.Run(s.t, s.vars(), programs.Hookyard, args...)
	require.Error(s.t, p.Wait(), "hookyard %v: %s", args, p.Output)
	return p.Output.String()
}

// TestRepairCommands is an operator's day at the command line, with payloads in
// clear and encrypted.
func TestRepairCommands(t *testing.T) {
	t.Parallel()
	for name, yaml := range map[string]string{"plain": mailedSource, "encrypted": mailedSource + encryption} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repairByCommands(t, startSystem(t, startTemporal(t, ""), yaml))
		})
	}
}

func repairByCommands(t *testing.T, s *system) {
	config := []string{"--config", s.config()}
	run := func(args ...string) string { return s.run(append(args, config...)...) }
	fails := func(args ...string) string { return s.fails(append(args, config...)...) }
	require.Contains(t, run("parked"), "No run is parked.")
	for _, id := range []string{"evt_resume", "evt_resolve", "evt_discard", "evt_reset"} {
		s.accept("stripe", "stripe", id, "", invoicePaid)
		s.parked("stripe:" + id)
	}
	s.accept("stripe", "stripe", "evt_amend", "", `{"id":"","type":"invoice.paid","data":{"object":{"id":"in_1","amount_paid":"49.00","currency":"eur"}}}`)
	s.parked("stripe:evt_amend")

	table := run("parked", "--source", "stripe", "-o", "wide")
	require.Equal(t, 6, strings.Count(table, "\n"), "a head and five runs:\n%s", table)
	require.Contains(t, table, "SendReceipt")
	require.Contains(t, table, "exhausted")
	require.Equal(t, 1, strings.Count(run("parked", "--reason", "undecodable", "-o", "json"), "\n"))
	require.Contains(t, run("parked", "--source", "nobody"), "No run is parked.")
	shown := run("parked", "show", "stripe:evt_resume")
	require.Contains(t, shown, "connection refused")
	require.Contains(t, shown, "ada@example.com", "the payload")

	run("resolve", "stripe:evt_resolve", "--why", "sent by hand", "--by", "ada")
	s.completed("stripe:evt_resolve")
	run("discard", "stripe:evt_discard", "--why", "a test order", "--by", "ada")
	harness.Eventually(t, "it is closed as failed", func() bool {
		return s.statusOf("stripe:evt_discard") == enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	})
	require.Contains(t, fails("amend", "stripe:evt_amend", "--set", `data.object.amount_paid="50"`), "does not fit")
	run("amend", "stripe:evt_amend", "--set", "data.object.amount_paid=4900", "--by", "ada", "--why", "a number")
	s.completed("stripe:evt_amend")

	taken := peers.NewMailServerAt(t, s.smtp, nil)
	run("resume", "stripe:evt_resume", "--by", "ada", "--why", "the mail server is back")
	s.completed("stripe:evt_resume")
	run("reset", "stripe:evt_reset", "--step", "SendReceipt", "--why", "to try it")
	s.completed("stripe:evt_reset")
	require.Len(t, taken.Mails(), 2)
	require.Len(t, s.payments(), 5, "each was recorded once")

	require.Contains(t, fails("resume", "stripe:evt_resume"), "stripe:evt_resume")
	require.Contains(t, fails("resume", "stripe:nobody"), "stripe:nobody")
	harness.Eventually(t, "nothing is parked", func() bool { return strings.Contains(run("parked"), "No run is parked.") })
}

// TestBulkResume repairs 200 runs, is interrupted, and is run again.
func TestBulkResume(t *testing.T) {
	t.Parallel()
	service := startBroken(t)
	s := startSystem(t, startTemporal(t, ""), `
sources:
  acme: {provider: standard-webhooks, secrets: [env:SECRET], routes: [{type: "*", forward: {url: "`+service.URL+`"}}]}
`)
	const events = 200
	var senders sync.WaitGroup
	ids := make(chan int)
	for range 8 {
		senders.Go(func() {
			for i := range ids {
				s.accept("acme", "standard-webhooks", fmt.Sprintf("m%d", i), "", `{"type":"order.created"}`)
			}
		})
	}
	for i := range events {
		ids <- i
	}
	close(ids)
	senders.Wait()
	harness.Eventually(t, "all are parked", func() bool { return s.count(`HookState="parked"`) == events })
	service.mend()

	require.Contains(t, s.fails("resume", "--all", "--source", "acme"), "--yes", "nobody is there to ask")
	first := harness.Run(t, s.vars(), programs.Hookyard, "resume", "--all", "--source", "acme", "--yes", "--rate", "5", "--why", "the service is back")
	harness.Eventually(t, "it is under way", func() bool { return len(service.taken()) > events/20 })
	require.Error(t, first.Stop(syscall.SIGINT))
	require.Contains(t, first.Output.String(), "Run the same command again")
	require.Less(t, len(service.taken()), events, "it was to be interrupted")

	second := s.run("resume", "--all", "--source", "acme", "--yes", "--rate", "500", "--why", "the service is back")
	harness.Eventually(t, "all complete", func() bool { return s.count(`ExecutionStatus="Completed" AND HookSource="acme"`) == events })
	served := service.taken()
	require.Len(t, served, events)
	for key, n := range served {
		require.Equal(t, 1, n, key)
	}
	for i := range events {
		require.Equal(t, 1, s.signals(fmt.Sprintf("acme:m%d", i)), "resumed once: %s", second)
	}
}

// signals counts the resumes that a run was sent.
func (s *system) signals(workflowID string) int {
	n := 0
	history := s.client.GetWorkflowHistory(s.t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		e, err := history.Next()
		require.NoError(s.t, err)
		if e.GetWorkflowExecutionSignaledEventAttributes().GetSignalName() == event.SignalResume {
			n++
		}
	}
	return n
}
