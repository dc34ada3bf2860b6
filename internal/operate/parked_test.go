package operate

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	updatepb "go.temporal.io/api/update/v1"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/eventrun/runstest"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func TestParkedList(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	fake.PageSize = 1
	fake.Park(t, "stripe:1", runstest.StepParked("B", runstest.ParkedAt.Add(time.Hour)))
	fake.Park(t, "stripe:2", runstest.StepParked("A", runstest.ParkedAt.Add(2*time.Hour)), parking.Step{
		Name: "SendReceipt#2", Reason: event.ReasonPermanent, Since: runstest.ParkedAt, Started: runstest.ParkedAt,
		Error: "550 no\x1b[31m such\n\tuser " + strings.Repeat("é", 100),
	})
	runs, err := operatorOn(fake).list(t.Context(), filter{source: "stripe"})
	require.NoError(t, err)
	require.Equal(t, `HookState = "parked" AND ExecutionStatus = "Running" AND HookSource = "stripe"`, fake.Queries[0])
	var table strings.Builder
	require.NoError(t, printWide(&table, runs, runstest.ParkedAt.Add(26*time.Hour)))
	require.Equal(t, `
WORKFLOW ID  SOURCE  TYPE          STEP           REASON     AGE   ATTEMPTS  LAST ERROR
stripe:2     stripe  invoice.paid  A              exhausted  1d0h  3         no
stripe:2     stripe  invoice.paid  SendReceipt#2  permanent  1d2h  -         550 no [31m such user `+strings.Repeat("é", 57)+`…
stripe:1     stripe  invoice.paid  B              exhausted  1d1h  3         no
`, "\n"+table.String())

	env, stdout, stderr := screen()
	require.NoError(t, printRuns(env, runs, "parked", 1, outputJSON))
	require.Equal(t, 1, strings.Count(stdout.String(), "\n"))
	require.Contains(t, stdout.String(), `{"workflow_id":"stripe:2","run_id":"run-of-stripe:2","source":"stripe","event_type":"invoice.paid",`+
		`"workflow_type":"stripe.invoice.paid","started":"2026-01-02T03:03:05.000000006Z","steps":[{"name":"A",`)
	require.Equal(t, "1 more are parked; --limit 1 left them out\n", stderr.String())

	stdout.Reset()
	require.NoError(t, printRuns(env, nil, "parked", 0, outputCauses))
	require.Equal(t, "No run is parked.\n", stdout.String())
	stdout.Reset()
	require.NoError(t, printRuns(env, nil, "parked", 0, outputJSON))
	require.Empty(t, stdout.String(), "for programs, nothing is no line")
}

// TestParkedCauses has an outage of many runs on one row, which fits the terminal
// and keeps the Workflow Id whole.
func TestParkedCauses(t *testing.T) {
	t.Parallel()
	outage := func(id string, i int) eventrun.Run {
		return eventrun.Run{ID: id, Source: "stripe", Steps: []parking.Step{{
			Name: "RecordPayment", Reason: event.ReasonExhausted, Since: runstest.ParkedAt.Add(time.Duration(i) * time.Minute),
			Error: fmt.Sprintf("POST /payments/pay_%d: dial tcp 10.0.0.3:5432: connection refused, try %d", i, i*7),
		}}}
	}
	var runs []eventrun.Run
	for i := range 300 {
		runs = append(runs, outage(fmt.Sprintf("stripe:evt_1Qw8%016d", i), i))
	}
	other := outage("stripe:evt_other", 5)
	other.Steps[0].Name = "SendReceipt"
	elsewhere := outage("shop:evt_other", 6)
	elsewhere.Source = "shop"
	why := outage("stripe:evt_why", 7)
	why.Steps[0].Error = "card declined"
	runs = append(runs, other, elsewhere, why)

	env, stdout, stderr := screen()
	env.Vars = []string{"COLUMNS=80"}
	require.NoError(t, printGroups(stdout, grouped(runs), command.Width(env), runstest.ParkedAt.Add(26*time.Hour)))
	require.Equal(t, `
STEPS  SOURCE  STEP           REASON     OLDEST  WORKFLOW ID OF THE OLDEST
300    stripe  RecordPayment  exhausted  1d2h    stripe:evt_1Qw80000000000000000
    POST /payments/pay_0: dial tcp 10.0.0.3:5432: connection refused, try 0
1      stripe  SendReceipt    exhausted  1d1h    stripe:evt_other
    POST /payments/pay_5: dial tcp 10.0.0.3:5432: connection refused, try 35
1      shop    RecordPayment  exhausted  1d1h    shop:evt_other
    POST /payments/pay_6: dial tcp 10.0.0.3:5432: connection refused, try 42
1      stripe  RecordPayment  exhausted  1d1h    stripe:evt_why
    card declined
`, "\n"+stdout.String())

	for _, width := range []int{30, 60, 79, 80, 120, 400} {
		stdout.Reset()
		require.NoError(t, printGroups(stdout, grouped(runs), width, runstest.ParkedAt))
		require.Contains(t, stdout.String(), runs[0].ID, "it can be copied")
		for line := range strings.Lines(stdout.String()) {
			if line = strings.TrimRight(line, "\n"); width >= 79 {
				require.LessOrEqual(t, utf8.RuneCountInString(line), width, line)
			}
		}
	}
	stdout.Reset()
	require.NoError(t, printRuns(env, runs, "parked", 1, outputCauses))
	require.Equal(t, 3, strings.Count(stdout.String(), "\n"))
	require.Equal(t, "3 more causes left out by --limit 1\n", stderr.String())
}

func TestRepairRefuses(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	fake.Park(t, "stripe:two", runstest.StepParked("SendReceipt", runstest.ParkedAt), runstest.StepParked("RecordPayment", runstest.ParkedAt))
	fake.Park(t, "stripe:on")
	fake.Park(t, "stripe:closed", runstest.StepParked("A", runstest.ParkedAt))
	fake.Runs["stripe:closed"].Status = enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	o := operatorOn(fake)
	for _, tt := range []struct {
		id   string
		what repair
		want string
	}{
		{"stripe:none", resume{}, `there is no run "stripe:none" in namespace "default"; its id is <source>:<event id>, and `},
		{"stripe:on", resume{}, `nothing is parked in run "stripe:on": it goes on by itself`},
		{"stripe:closed", discard{}, `run "stripe:closed" is closed (failed), so nothing waits in it; `},
		{"stripe:two", resume{step: "SendRecipt"}, `step "SendRecipt" is not parked in run "stripe:two"; did you mean "SendReceipt"?`},
		{"stripe:two", resolve{step: "Other"}, `step "Other" is not parked in run "stripe:two"; known: SendReceipt, RecordPayment`},
		{"stripe:two", resolve{}, `several steps are parked in run "stripe:two"; choose one with --step: SendReceipt, RecordPayment`},
	} {
		r, err := o.describe(t.Context(), tt.id)
		if err == nil {
			_, err = tt.what.do(t.Context(), o, r)
		}
		require.ErrorContains(t, err, tt.want)
	}
	require.Empty(t, fake.Taken)
}

func TestDeeds(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.signal(event.SignalResume, nil)
	h.signal(event.SignalResolve, parking.Resolve{Step: "A", By: "ada", Why: "by\nhand"})
	request := &updatepb.Request{
		Meta:  &updatepb.Meta{UpdateId: "u1", Identity: "a program"},
		Input: &updatepb.Input{Name: event.UpdateAmend, Args: &commonpb.Payloads{Payloads: []*commonpb.Payload{runstest.Encoded(t, parking.Amend{By: "bob", Why: "a typo"})}}},
	}
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionUpdateAdmittedEventAttributes{
			WorkflowExecutionUpdateAdmittedEventAttributes: &historypb.WorkflowExecutionUpdateAdmittedEventAttributes{Request: request},
		},
	})
	h.add(&historypb.HistoryEvent{ // as Temporal writes it for one that was admitted before
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionUpdateAcceptedEventAttributes{
			WorkflowExecutionUpdateAcceptedEventAttributes: &historypb.WorkflowExecutionUpdateAcceptedEventAttributes{},
		},
	})
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionUpdateCompletedEventAttributes{
			WorkflowExecutionUpdateCompletedEventAttributes: &historypb.WorkflowExecutionUpdateCompletedEventAttributes{
				Meta:    &updatepb.Meta{UpdateId: "u1"},
				Outcome: &updatepb.Outcome{Value: &updatepb.Outcome_Failure{Failure: applicationFailure("does not fit", "x")}},
			},
		},
	})
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED,
		Attributes: &historypb.HistoryEvent_WorkflowTaskFailedEventAttributes{WorkflowTaskFailedEventAttributes: &historypb.WorkflowTaskFailedEventAttributes{
			Cause: enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW, BaseRunId: "base", Failure: applicationFailure("ada: fixed", ""),
		}},
	})
	var lines []string
	for _, d := range deeds(h.events) {
		lines = append(lines, d.String())
	}
	require.Empty(t, cmp.Diff([]string{
		"2026-01-02 03:04:07  resume, by the Web UI",
		"2026-01-02 03:04:08  resolve A, by ada: by hand",
		"2026-01-02 03:04:09  amend, by bob: a typo (refused: does not fit)",
		"2026-01-02 03:04:12  reset: ada: fixed (from run base)",
	}, lines))
	require.Equal(t, "base", resetFrom(h.events))
}

func TestPage(t *testing.T) {
	t.Parallel()
	h, _, _, _ := parkedTwice(t)
	h.events[0].Attributes = &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{Input: &commonpb.Payloads{Payloads: []*commonpb.Payload{
			runstest.Encoded(t, event.Event{Source: "stripe-eu", Provider: "stripe", ID: "evt_1", Type: "invoice.paid", ReceivedAt: runstest.ParkedAt, ContentType: "application/json",
				Headers: event.Headers{"X-Shopify-Shop-Domain": {"acme.myshopify.com"}, "X-Two": {"a", "b\x1b[31m"}}, HeadersLeftOut: []string{"X-Long"}}),
			ingest.Payload([]byte(`{"a":1.0}`), true).Payload(),
		}}},
	}
	ev, payload, err := eventOf(h.events)
	require.NoError(t, err)
	r := eventrun.New(runstest.ParkedInfo(t, "stripe-eu:evt_1", runstest.StepParked("SendReceipt", runstest.ParkedAt)))
	text := page{run: r, event: ev, payload: payload, events: h.events, deeds: deeds(h.events), now: runstest.ParkedAt.Add(time.Hour)}.String()
	for _, want := range []string{
		"run          stripe-eu:evt_1 (run-of-stripe-eu:evt_1)\n",
		"state        parked for 1h0m\n",
		"source       stripe-eu, of stripe\n",
		"received     2026-01-02 03:04:05 UTC, 1h0m ago\n",
		"payload      application/json, 9 bytes\n",
		"\nParked at SendReceipt: exhausted, for 1h0m, after 3 attempts over 1s\n\n  the second time (type: Refused, retryable: true)\n",
		"resume, by ada: try\n",
		"\nHeaders\n\n  X-Shopify-Shop-Domain: acme.myshopify.com\n  X-Two: a\n  X-Two: b [31m\n  left out for their size: X-Long\n",
		"\nPayload\n\n  {\n    \"a\": 1.0\n  }\n",
		" resume stripe-eu:evt_1\n",
		" resolve stripe-eu:evt_1 --result null --why TEXT\n",
	} {
		require.Contains(t, text, want)
	}
	_, _, err = eventOf(newHistory(t).events)
	require.ErrorContains(t, err, "it is no run of an event")
	require.Equal(t, "(not text; --payload prints it as it is)", prettyPayload([]byte{0xff}))
	require.Equal(t, "a=1 [2J", prettyPayload([]byte("a=1\x1b[2J")))
}
