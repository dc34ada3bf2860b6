package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	batchpb "go.temporal.io/api/batch/v1"
	enumspb "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/parking"
	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
)

// parked waits until the run is parked, as lists show it, and returns its
// memo.
func (s *system) parked(workflowID string) parking.Parked {
	s.t.Helper()
	var memo parking.Parked
	harness.Eventually(s.t, workflowID+" is parked", func() bool {
		memo = s.memo(workflowID)
		return len(memo.Steps) > 0
	})
	harness.Eventually(s.t, "the parked view has "+workflowID, func() bool {
		return s.count(fmt.Sprintf(`HookState="parked" AND WorkflowId="%s"`, workflowID)) == 1
	})
	return memo
}

func (s *system) memo(workflowID string) parking.Parked {
	described, err := s.client.DescribeWorkflowExecution(s.t.Context(), workflowID, "")
	require.NoError(s.t, err)
	var memo parking.Parked
	if p := described.GetWorkflowExecutionInfo().GetMemo().GetFields()[event.ParkedMemo]; p != nil {
		require.NoError(s.t, converter.GetDefaultDataConverter().FromPayload(p, &memo))
	}
	return memo
}

// count returns how many runs a query lists.
func (s *system) count(query string) int64 {
	var counted *workflowservice.CountWorkflowExecutionsResponse
	harness.Eventually(s.t, "Temporal counts "+query, func() bool { // a busy one may not in time
		var err error
		counted, err = s.client.CountWorkflow(s.t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		return err == nil
	})
	return counted.GetCount()
}

func (s *system) signal(workflowID, name string, input any) {
	require.NoError(s.t, s.client.SignalWorkflow(s.t.Context(), workflowID, "", name, input))
}

// details is what the Web UI shows on the run's page.
func (s *system) details(workflowID string) string {
	value, err := s.client.QueryWorkflow(s.t.Context(), workflowID, "", "__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(s.t, value.Get(&metadata))
	for _, name := range []string{event.SignalResume, event.SignalResolve, event.SignalDiscard} {
		found := false
		for _, d := range metadata.GetDefinition().GetSignalDefinitions() {
			found = found || d.GetName() == name && d.GetDescription() != ""
		}
		require.True(s.t, found, "the Web UI's menu has no %s", name)
	}
	return metadata.GetCurrentDetails()
}

const mailedSource = stripeSource + "app: {ledger: {sqlite: ledger.db}, mail: {smtp: env:SMTP, from: shop@example.com}}\n"

// TestParkAndResume takes the mail server away, and the worker while its run
// is parked, and has the run go on from the step that failed.
func TestParkAndResume(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), mailedSource)
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)

	memo := s.parked("stripe:evt_1")
	require.Len(t, memo.Steps, 1)
	step := memo.Steps[0]
	require.Equal(t, "SendReceipt", step.Name)
	require.Equal(t, event.ReasonExhausted, step.Reason)
	require.Equal(t, 3, step.Attempts)
	require.Contains(t, step.Error, "connection refused")
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
	require.Contains(t, s.details("stripe:evt_1"), "### Parked at `SendReceipt`: exhausted")
	require.Equal(t, "duplicate", s.deliver("stripe", "evt_1", "", invoicePaid).status)

	_ = s.Stop(syscall.SIGKILL)
	taken := peers.NewMailServerAt(t, s.smtp, nil)
	s.serve()
	s.signal("stripe:evt_1", event.SignalResume, parking.Resume{By: "ada", Why: "the mail server is back"})
	s.completed("stripe:evt_1")
	require.Len(t, taken.Mails(), 1)
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
	require.Contains(t, s.details("stripe:evt_1"), "resume by `ada`: `the mail server is back`")
	harness.Eventually(t, "the parked view is empty", func() bool { return s.count(`HookState="parked"`) == 0 })
	require.Equal(t, "duplicate", s.deliver("stripe", "evt_1", "", invoicePaid).status)

	require.Empty(t, cmp.Diff(map[string]int{"RecordPayment": 1, "SendReceipt": 2, "ReportParked": 1}, s.scheduled("stripe:evt_1")))
}

// TestHandRepairs resolves, amends and discards.
func TestHandRepairs(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), mailedSource)

	t.Run("resolve", func(t *testing.T) {
		s.accept("stripe", "stripe", "evt_r", "", invoicePaid)
		s.parked("stripe:evt_r")
		s.signal("stripe:evt_r", event.SignalResolve, parking.Resolve{By: "ada", Why: "sent by hand"})
		s.completed("stripe:evt_r")
	})

	t.Run("discard", func(t *testing.T) {
		s.accept("stripe", "stripe", "evt_d", "", invoicePaid)
		s.parked("stripe:evt_d")
		s.signal("stripe:evt_d", event.SignalDiscard, parking.Discard{By: "ada", Why: "a test order"})
		harness.Eventually(t, "it is closed as failed", func() bool {
			return s.statusOf("stripe:evt_d") == enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
		})
		err := s.client.GetWorkflow(t.Context(), "stripe:evt_d", "").Get(t.Context(), nil)
		require.ErrorContains(t, err, "discarded by ada: a test order")
		require.Equal(t, "duplicate", s.deliver("stripe", "evt_d", "", invoicePaid).status)
	})

	t.Run("amend", func(t *testing.T) {
		const bad = `{"id":"","type":"invoice.paid","created":1767225600,"data":{"object":{"id":"in_1","amount_paid":"49.00","currency":"eur"}}}`
		s.accept("stripe", "stripe", "evt_a", "", bad)
		memo := s.parked("stripe:evt_a")
		require.Equal(t, event.WholeWorkflow, memo.Steps[0].Name)
		require.Equal(t, event.ReasonUndecodable, memo.Steps[0].Reason)

		_, err := s.amend("stripe:evt_a", `{"data":[]}`)
		require.ErrorContains(t, err, "does not fit")
		outcome, err := s.amend("stripe:evt_a", `{"created":1767225600,"data":{"object":{"id":"in_1","amount_paid":4900,"currency":"eur"}}}`)
		require.NoError(t, err)
		require.Contains(t, outcome, "starting over")
		s.completed("stripe:evt_a")
		require.Contains(t, s.payments(), "evt_a")
		require.Empty(t, s.memo("stripe:evt_a").Steps)
		harness.Eventually(t, "the parked view is empty", func() bool { return s.count(`HookState="parked" AND ExecutionStatus="Running"`) == 0 })
		require.Equal(t, "duplicate", s.deliver("stripe", "evt_a", "", bad).status, "the id is still taken")
	})
}

func (s *system) amend(workflowID, payload string) (outcome string, err error) {
	handle, err := s.client.UpdateWorkflow(s.t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateName: event.UpdateAmend, WaitForStage: client.WorkflowUpdateStageCompleted,
		Args: []any{parking.Amend{Payload: json.RawMessage(payload), By: "ada"}},
	})
	if err != nil {
		return "", err
	}
	return outcome, handle.Get(s.t.Context(), &outcome)
}

// TestWholeWorkflowResumed parks for want of a Workflow. Resumed too early it
// parks again, under the same Workflow Id.
func TestWholeWorkflowResumed(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), "\nsources:\n  stripe: {provider: stripe, secrets: [env:SECRET]}\n")
	s.accept("stripe", "stripe", "evt_1", "charge.failed", invoicePaid)
	require.Equal(t, event.ReasonUnhandled, s.parked("stripe:evt_1").Steps[0].Reason)

	first := s.latest("stripe:evt_1")
	s.signal("stripe:evt_1", event.SignalResume, nil)
	harness.Eventually(t, "it parks anew, in a new run", func() bool { return s.latest("stripe:evt_1") != first })
	s.parked("stripe:evt_1")
	harness.Eventually(t, "the run before is not listed as parked", func() bool { return s.count(`HookState="parked"`) == 1 })
	s.signal("stripe:evt_1", event.SignalResolve, parking.Resolve{})
	s.completed("stripe:evt_1")
}

// TestBatchResume repairs many runs with one call of Temporal's own, as its
// CLI and any script can make it.
func TestBatchResume(t *testing.T) {
	t.Parallel()
	service := startBroken(t)
	s := startSystem(t, startTemporal(t, ""), `
sources:
  acme: {provider: standard-webhooks, secrets: [env:SECRET], routes: [{type: "*", forward: {url: "`+service.URL+`"}}]}
`)
	const events = 30
	for i := range events {
		s.accept("acme", "standard-webhooks", fmt.Sprintf("m%d", i), "", `{"type":"order.created"}`)
	}
	harness.Eventually(t, "all are parked", func() bool { return s.count(`HookState="parked" AND HookParkReason="permanent"`) == events })

	service.mend()
	_, err := s.client.WorkflowService().StartBatchOperation(t.Context(), &workflowservice.StartBatchOperationRequest{
		Namespace: "default", JobId: "resume", Reason: "the service is back", VisibilityQuery: `HookState="parked"`,
		Operation: &workflowservice.StartBatchOperationRequest_SignalOperation{
			SignalOperation: &batchpb.BatchOperationSignal{Signal: event.SignalResume},
		},
	})
	require.NoError(t, err)
	harness.Eventually(t, "all complete", func() bool { return s.count(`ExecutionStatus="Completed" AND HookSource="acme"`) == events })
	served := service.taken()
	require.Len(t, served, events)
	for key, n := range served {
		require.Equal(t, 1, n, key)
	}
}

// TestDeployedFix parks a Workflow with a bug in it, after its first step, and
// resumes it once the mended code is deployed: the first step does not run
// again.
func TestDeployedFix(t *testing.T) {
	t.Parallel()
	const file = "workflows/stripe_invoice_paid.go"
	code, err := os.ReadFile("../" + file)
	require.NoError(t, err)
	head, tail, found := strings.Cut(string(code), "\treturn workflow.ExecuteActivity(ctx, mail.SendReceipt")
	require.True(t, found)
	broken := filepath.Join(t.TempDir(), "hookyard")
	require.NoError(t, harness.Build(t.Context(), broken, "-overlay", overlay(t, map[string]string{
		file: head + "\tif ledger == nil {\n\t\treturn fmt.Errorf(\"no template for %s\", paid.Currency)\n\t}\n" +
			"\treturn workflow.ExecuteActivity(ctx, mail.SendReceipt" + tail,
	}), "../cmd/hookyard"))
	s := newSystem(t, startTemporal(t, ""), stripeSource)
	s.program = broken
	s.serve()
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	step := s.parked("stripe:evt_1").Steps[0]
	require.Equal(t, "workflow: failed: no template for eur", step.Name+": "+string(step.Reason)+": "+step.Error)

	require.NoError(t, s.Stop(syscall.SIGTERM))
	s.program = programs.Hookyard
	s.serve()
	s.signal("stripe:evt_1", event.SignalResume, parking.Resume{By: "ada", Why: "there is a template now"})
	s.completed("stripe:evt_1")
	require.Equal(t, 1, s.mails())
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
	require.Empty(t, cmp.Diff(map[string]int{"ReportParked": 1, "SendReceipt": 1}, s.scheduled("stripe:evt_1")), "the new run has only what was left to do")
}

// scheduled counts the Activities of the latest run.
func (s *system) scheduled(workflowID string) map[string]int {
	scheduled := map[string]int{}
	for _, event := range s.history(workflowID) {
		if a := event.GetActivityTaskScheduledEventAttributes(); a != nil {
			scheduled[a.GetActivityType().GetName()]++
		}
	}
	return scheduled
}
