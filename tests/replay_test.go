package tests

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/parking"
	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
	"github.com/hookyard/hookyard/workflows"
)

var record = flag.Bool("record", false, "run the Workflows and store their histories")

// TestReplay runs today's Workflows against histories of earlier ones. A
// failure means that open runs would break on deploy: use workflow.GetVersion.
func TestReplay(t *testing.T) {
	t.Parallel()
	if *record {
		recordHistories(t)
	}
	files, err := filepath.Glob("histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			replayer, err := sdkworker.NewWorkflowReplayerWithOptions(sdkworker.WorkflowReplayerOptions{
				Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{})},
			})
			require.NoError(t, err)
			require.NoError(t, worker.Register(replayer, examples()))
			sweep.Register(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(harness.Quiet{}, file))
		})
	}
}

// recordHistories stores one history per way through the Workflows.
func recordHistories(t *testing.T) {
	service := acceptEverything(t)
	s := startSystem(t, startTemporal(t, ""), `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET], routes: [{type: charge.failed, keep: true}]}
  github: {provider: github, secrets: [env:SECRET]}
  shopify: {provider: shopify, secrets: [env:SECRET]}
  acme: {provider: standard-webhooks, secrets: [env:SECRET], routes: [{type: "*", forward: {url: "`+service+`"}}]}
app: {ledger: {sqlite: ledger.db}, mail: {folder: mail, from: shop@example.com}, build: {url: "`+service+`"}}
`)
	for name, event := range map[string][]string{
		"stripe.invoice.paid":   {"stripe", "stripe", "invoice.paid", invoicePaid},
		"kept":                  {"stripe", "stripe", "charge.failed", invoicePaid},
		"github.push":           {"github", "github", "push", `{"ref":"refs/heads/main","after":"c0ffee","repository":{"full_name":"acme/shop"}}`},
		"shopify.orders.create": {"shopify", "shopify", "orders/create", `{"id":1,"name":"#1","total_price":"1.00","currency":"EUR","created_at":"2026-01-01T00:00:00Z"}`},
		"forwarded":             {"acme", "standard-webhooks", "order.created", `{"type":"order.created"}`},
	} {
		id := "evt_" + name
		s.accept(event[0], event[1], id, event[2], event[3])
		s.completed(event[0] + ":" + id)
		s.store(event[0]+":"+id, name)
	}
	recordParks(t)
	recordHeld(t)
	recordFirstAttempts(t)
	recordAlerts(t, service)
}

// recordAlerts stores the history of the Workflow that tells of parked runs.
func recordAlerts(t *testing.T, channel string) {
	s := newSystem(t, startTemporal(t, ""), mailedSource+"alerts: {to: [env:ALERT], digest_every: 2s}\n")
	s.alert = "generic+" + channel + "/?template=json"
	s.serve()
	for _, id := range []string{"evt_1", "evt_2"} {
		s.accept("stripe", "stripe", id, "", invoicePaid)
		s.parked("stripe:" + id)
	}
	s.run("resolve", "--all", "--yes", "--why", "sent by hand")
	s.completed("hookyard/alerts/stripe")
	s.store("hookyard/alerts/stripe", "hookyard.alerts")
}

// recordParks stores one history per way out of a park.
func recordParks(t *testing.T) {
	s := startSystem(t, startTemporal(t, ""), mailedSource)
	park := func(id, body string) string {
		s.accept("stripe", "stripe", id, "", body)
		s.parked("stripe:" + id)
		return "stripe:" + id
	}
	resolved, discarded := park("evt_resolved", invoicePaid), park("evt_discarded", invoicePaid)
	resumed := park("evt_resumed", invoicePaid)
	undecodable := park("evt_undecodable", `{"id":"","type":"invoice.paid","data":[]}`)
	s.store(resumed, "parked")
	s.signal(resolved, event.SignalResolve, parking.Resolve{By: "ada", Why: "by hand"})
	s.completed(resolved)
	s.store(resolved, "parked.resolved")
	s.signal(discarded, event.SignalDiscard, parking.Discard{By: "ada", Why: "a test"})
	harness.Eventually(t, "it is closed", func() bool { return s.statusOf(discarded) == enumspb.WORKFLOW_EXECUTION_STATUS_FAILED })
	s.store(discarded, "parked.discarded")
	peers.NewMailServerAt(t, s.smtp, nil)
	s.signal(resumed, event.SignalResume, parking.Resume{By: "ada", Why: "mail is back"})
	s.completed(resumed)
	s.store(resumed, "parked.resumed")

	first := s.latest(undecodable)
	_, err := s.amend(undecodable, `{"created":1767225600,"data":{"object":{"id":"in_1","amount_paid":4900,"currency":"eur"}}}`)
	require.NoError(t, err)
	s.completed(undecodable)
	s.storeRun(undecodable, first, "undecodable.amended")
	s.store(undecodable, "amended")
}

// recordHeld stores the history of a pause, of a run that waits for its end, of
// one that was released, and of one that asks too late to be held.
func recordHeld(t *testing.T) {
	s := startSystem(t, startTemporal(t, ""), stripeSource)
	s.run("pause", "stripe", "--by", "ada", "--why", "a test", "--config", s.config())
	s.logged("source paused")
	for _, id := range []string{"evt_1", "evt_2"} {
		s.accept("stripe", "stripe", id, "", invoicePaid)
	}
	harness.Eventually(t, "both are held", func() bool { return s.count(`HookState="held"`) == 2 })
	s.store("stripe:evt_1", "held")
	require.NoError(t, s.client.TerminateWorkflow(t.Context(), "hookyard/pause/stripe", "", "a test"))
	s.accept("stripe", "stripe", "evt_3", "", invoicePaid)
	s.completed("stripe:evt_3")
	require.Contains(t, s.scheduled("stripe:evt_3"), event.PauseActivity, "the edge knew of the end already; record again")
	s.store("stripe:evt_3", "held.too_late")
	s.run("pause", "stripe", "--by", "ada", "--why", "a test", "--config", s.config())
	s.run("unpause", "stripe", "--by", "ada")
	s.completed("hookyard/pause/stripe")
	s.store("hookyard/pause/stripe", "hookyard.pause")
	s.completed("stripe:evt_1")
	s.store("stripe:evt_1", "held.released")
}

// recordFirstAttempts stores histories with attempts within Workflow Tasks: of
// steps that succeed, and of one that does not and goes on.
func recordFirstAttempts(t *testing.T) {
	s := startSystem(t, startTemporal(t, ""), mailedSource+quick)
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	s.parked("stripe:evt_1")
	s.store("stripe:evt_1", "first_attempt.failed")
	peers.NewMailServerAt(t, s.smtp, nil)
	s.accept("stripe", "stripe", "evt_2", "", invoicePaid)
	for id, name := range map[string]string{"stripe:evt_1": "first_attempt.resumed", "stripe:evt_2": "first_attempt"} {
		s.run("resume", "--all", "--yes")
		s.completed(id)
		s.store(id, name)
	}
}

// latest returns the id of a Workflow's current run.
func (s *system) latest(workflowID string) string {
	described, err := s.client.DescribeWorkflowExecution(s.t.Context(), workflowID, "")
	require.NoError(s.t, err)
	return described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// store writes a Workflow's current history to tests/histories. One that is
// there is left alone: that old histories still replay is what they are for.
func (s *system) store(workflowID, name string) { s.storeRun(workflowID, "", name) }

func (s *system) storeRun(workflowID, runID, name string) {
	file := filepath.Join("histories", name+".json")
	if _, err := os.Stat(file); err == nil {
		return
	}
	var whole historypb.History
	history := s.client.GetWorkflowHistory(s.t.Context(), workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(s.t, err)
		whole.Events = append(whole.Events, event)
	}
	data, err := temporalproto.CustomJSONMarshalOptions{Indent: "  "}.Marshal(&whole)
	require.NoError(s.t, err)
	require.NoError(s.t, os.MkdirAll("histories", 0o755))
	require.NoError(s.t, os.WriteFile(file, append(data, '\n'), 0o600))
}

func examples() []worker.Handler {
	return []worker.Handler{
		worker.On("github.push", workflows.Push),
		worker.On("shopify.orders/create", workflows.OrderCreated),
		worker.On("stripe.invoice.paid", workflows.InvoicePaid),
	}
}
