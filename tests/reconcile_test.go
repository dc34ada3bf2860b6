package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
	"github.com/hookyard/hookyard/tests/harness"
)

const (
	reconciledAll  = 1000
	reconciledLost = 137
)

// TestReconcile loses 137 of 1,000 events of a provider that lists them and of
// one that is asked to deliver them again. With limits, errors and the death of
// the worker in the middle, a sweep has exactly those run, once; a second one
// finds none.
func TestReconcile(t *testing.T) {
	t.Parallel()
	told := startChannel(t)
	stripe, github := startStripe(t), startGitHub(t)
	s := newSystem(t, startTemporal(t, ""), `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET], routes: [{type: "invoice.*", keep: true}, {type: "*", ignore: true}], reconcile: {every: 7d, key: env:SECRET, url: "`+stripe.URL+`"}}
  github: {provider: github, secrets: [env:SECRET], routes: [{type: "*", keep: true}], reconcile: {every: 7d, window: 3d, key: env:SECRET, url: "`+github.URL+`/repos/o/r/hooks/1"}}
alerts: {to: [env:ALERT]}
`)
	s.alert = "generic+" + told.URL + "/?template=json"
	s.serve("--only", "edge")
	worker := s.worker()
	var redelivered sync.Map
	github.set(func() {
		github.deliver = func(e happened) {
			redelivered.Store(e.ID, true)
			s.accept("github", "github", e.ID, e.Type, e.Body)
		}
	})

	lost := map[string]bool{}
	began := time.Now()
	var invoices, pushes []happened
	var deliveries errgroup.Group
	deliveries.SetLimit(8)
	for i := range reconciledAll {
		at := began.Add(-time.Hour - time.Duration(i)*time.Second)
		invoice := stripeEvent(t, fmt.Sprintf("evt_%d", i), "invoice.created", at)
		push := happened{fmt.Sprintf("guid-%d", i), "push", `{"ref":"refs/heads/main"}`, at}
		invoices, pushes = append(invoices, invoice), append(pushes, push)
		if (i+1)*reconciledLost/reconciledAll > i*reconciledLost/reconciledAll {
			lost["stripe:"+invoice.ID], lost["github:"+push.ID] = true, true
			continue
		}
		deliveries.Go(func() error {
			s.accept("stripe", "stripe", invoice.ID, invoice.Type, invoice.Body)
			s.accept("github", "github", push.ID, push.Type, push.Body)
			return nil
		})
	}
	require.NoError(t, deliveries.Wait())
	require.Len(t, lost, 2*reconciledLost)
	// One that no route wants, one whose delivery is on its way, and one that
	// happened before the window.
	invoices = append(invoices, stripeEvent(t, "evt_unwanted", "charge.failed", began.Add(-2*time.Hour)), stripeEvent(t, "evt_old", "invoice.created", began.Add(-48*time.Hour)))
	invoices = append([]happened{stripeEvent(t, "evt_young", "invoice.created", began)}, invoices...)
	stripe.set(func() {
		stripe.events, stripe.holdAt = invoices, 6
		stripe.failures[2], stripe.failures[4] = limited, broken
	})
	github.set(func() {
		github.events, github.holdAt = pushes, 5
		github.failures[3] = limited
	})
	harness.Eventually(t, "all that came are listed", func() bool {
		return s.count(`HookSource IN ("stripe", "github")`) == int64(2*(reconciledAll-reconciledLost))
	})

	// What the Schedules start, started by hand to the minute.
	for _, source := range []string{"stripe", "github"} {
		harness.Eventually(t, "the schedule is there", func() bool {
			return s.client.ScheduleClient().GetHandle(t.Context(), event.ReconcileID(source)).Trigger(t.Context(), client.ScheduleTriggerOptions{}) == nil
		})
	}
	<-stripe.held
	<-github.held
	worker.Kill()
	close(stripe.goOn)
	close(github.goOn)
	worker = s.worker()
	found := map[string]sweep.Result{}
	for _, source := range []string{"stripe", "github"} {
		found[source] = s.swept(source)
	}
	for source, r := range found {
		require.Equal(t, reconciledLost, r.Missing, "%s: %s", source, r.String())
		require.Zero(t, r.Waiting)
		require.Zero(t, r.Unread, r.Why)
	}
	require.Equal(t, reconciledLost, found["stripe"].Started)
	require.Equal(t, reconciledLost, found["github"].Redelivered)
	require.Equal(t, map[string]int{"invoice.created": reconciledLost}, found["stripe"].Types)
	require.Equal(t, 1, found["stripe"].Ignored)
	s.ranOnce(lost)
	redelivered.Range(func(id, _ any) bool {
		require.True(t, lost[fmt.Sprint("github:", id)], "%s had come", id)
		return true
	})

	// They say which way they came.
	var ev event.Event
	var body json.RawMessage
	s.input("stripe:evt_7", &ev, &body)
	require.Equal(t, event.ViaReconcile, ev.Via)
	require.JSONEq(t, invoices[8].Body, string(body))
	s.input("github:guid-7", &ev, &body)
	require.NotEmpty(t, ev.Headers["X-Github-Delivery"], "it came as any delivery")

	for _, source := range []string{"stripe", "github"} {
		require.Contains(t, s.run("reconcile", source, "--config", s.config()), ", 0 missing.")
		require.Len(t, told.messages(source+": 137 events never came"), 1)
	}
	require.Len(t, told.messages(""), 2, "the second sweeps found nothing")
	for _, api := range []*api{stripe, github} {
		_, strangers := api.asked()
		require.Zero(t, strangers)
	}
	if *record {
		for _, source := range []string{"stripe", "github"} {
			s.store(event.ReconcileID(source)+"/by-hand", "hookyard.reconcile."+source+".none")
		}
	}
	require.NoError(t, worker.Stop(syscall.SIGTERM))
}

// TestReconcileSchedules holds the Schedules against the config: made, changed
// and deleted by a reload and by setup, and left alone where a person paused
// them. A window that Temporal forgets is refused.
func TestReconcileSchedules(t *testing.T) {
	t.Parallel()
	stripe := startStripe(t)
	s := newSystem(t, startTemporal(t, ""), sourcesReconciled(stripe.URL, "every: 1h"))
	require.Contains(t, s.run("setup", "--config", s.config()), `schedule "hookyard/reconcile/stripe": created, every 1h0m0s`)
	require.Contains(t, s.run("setup", "--config", s.config()), "schedules: as they should be, 1")
	handle := s.client.ScheduleClient().GetHandle(t.Context(), "hookyard/reconcile/stripe")
	every := func() time.Duration {
		described, err := handle.Describe(t.Context())
		require.NoError(t, err)
		require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, described.Schedule.Policy.Overlap)
		require.Positive(t, described.Schedule.Spec.Jitter)
		return described.Schedule.Spec.Intervals[0].Every
	}
	require.Equal(t, time.Hour, every())
	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "by a person"}))

	s.serve()
	s.rewrite(func(config string) string { return strings.Replace(config, "every: 1h", "every: 30m", 1) })
	s.hangup()
	harness.Eventually(t, "the schedule is changed", func() bool { return every() == 30*time.Minute })
	described, err := handle.Describe(t.Context())
	require.NoError(t, err)
	require.True(t, described.Schedule.State.Paused)
	require.Equal(t, "by a person", described.Schedule.State.Note)

	s.rewrite(func(config string) string { return strings.Replace(config, "    reconcile:", "    # reconcile:", 1) })
	s.hangup()
	harness.Eventually(t, "the schedule is gone", func() bool {
		_, err := handle.Describe(t.Context())
		return err != nil
	})
	require.NoError(t, s.Stop(syscall.SIGTERM))

	// Where Temporal forgets sooner than the window, nothing starts.
	long := newSystem(t, startTemporal(t, ""), `sources: {paddle: {provider: paddle, secrets: [env:SECRET], reconcile: {window: 40d, key: env:SECRET}}}`)
	p := harness.Run(t, long.vars(), long.program, "serve", "--config", long.config(), "--log-format", "text")
	require.Error(t, p.Wait())
	require.Contains(t, p.Output.String(), `source "paddle" is reconciled over 960h0m0s, and an event that is forgotten would run again`)
}

// TestReconcileByHand is the command: what it prints, and what it refuses.
func TestReconcileByHand(t *testing.T) {
	t.Parallel()
	stripe := startStripe(t)
	now := time.Now()
	var events []happened
	for i := range 3 {
		events = append(events, stripeEvent(t, fmt.Sprintf("evt_%d", i), "invoice.created", now.Add(-time.Hour)))
	}
	events = append(events, stripeEvent(t, "evt_far", "invoice.voided", now.Add(-60*time.Hour)))
	stripe.set(func() { stripe.events = events })
	s := startSystem(t, startTemporal(t, ""), sourcesReconciled(stripe.URL, "every: 1h"))
	dry := s.run("reconcile", "stripe", "--since", "3d", "--dry-run", "--config", s.config())
	require.Contains(t, dry, "4 listed, 0 there, 0 ignored, 4 missing.\nNothing was done about them: --dry-run.\n")
	require.Regexp(t, `invoice.created +3\n`, dry)
	require.Regexp(t, `evt_far +invoice.voided +\d{4}-`, dry)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, s.statusOf("stripe:evt_0"))

	var r sweep.Result
	require.NoError(t, json.Unmarshal([]byte(s.run("reconcile", "stripe", "--json", "--config", s.config())), &r))
	require.Equal(t, 3, r.Started)
	s.completed("stripe:evt_2")
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, s.statusOf("stripe:evt_far"), "it is outside of the window")

	refused := func(want string, args ...string) {
		t.Helper()
		p := harness.Run(t, s.vars(), s.program, append([]string{"reconcile", "--config", s.config()}, args...)...)
		require.Error(t, p.Wait())
		require.Contains(t, p.Output.String(), want)
	}
	refused("want a time span longer than 10m0s", "stripe", "--since", "5m")
	refused(`provider "stripe" lists what happened for 720h`, "stripe", "--since", "31d")
	refused("no source", "strpe")
	if *record {
		s.store("hookyard/reconcile/stripe/by-hand", "hookyard.reconcile.list")
	}

	// A key that is refused is told of, and never written down.
	stripe.next(func(w http.ResponseWriter) { http.Error(w, "no such key: "+secret, http.StatusUnauthorized) })
	refused("answers 401: no such key: <secret>", "stripe")
	// A redirect would take the key elsewhere.
	elsewhere := startStripe(t)
	stripe.next(func(w http.ResponseWriter) {
		w.Header().Set("Location", elsewhere.URL+"/v1/events")
		w.WriteHeader(http.StatusFound)
	})
	refused("a redirect is not followed, so that the key stays on its host", "stripe")
	pages, strangers := elsewhere.asked()
	require.Zero(t, pages+strangers)
}

func sourcesReconciled(api, how string) string {
	return "sources:\n  stripe:\n    provider: stripe\n    secrets: [env:SECRET]\n    routes: [{type: \"*\", keep: true}]\n    reconcile: {" + how + `, key: env:SECRET, url: "` + api + "\"}\n"
}

// worker runs `hookyard serve --only worker`.
func (s *system) worker() *harness.TestProcess {
	return harness.Run(s.t, s.vars(), s.program, "serve", "--config", s.config(), "--log-format", "text", "--only", "worker")
}

// swept returns what the source's scheduled sweep has found.
func (s *system) swept(source string) (r sweep.Result) {
	s.t.Helper()
	id := ""
	harness.Eventually(s.t, "the sweep of "+source+" has started", func() bool {
		described, err := s.client.ScheduleClient().GetHandle(s.t.Context(), event.ReconcileID(source)).Describe(s.t.Context())
		require.NoError(s.t, err)
		for _, recent := range described.Info.RecentActions {
			id = recent.StartWorkflowResult.WorkflowID
		}
		return id != ""
	})
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	require.NoError(s.t, s.client.GetWorkflow(ctx, id, "").Get(ctx, &r))
	if *record {
		s.store(id, "hookyard.reconcile."+source)
	}
	return r
}

// ranOnce sees that each of the ids has one run, which completed.
func (s *system) ranOnce(ids map[string]bool) {
	s.t.Helper()
	harness.Eventually(s.t, "all have run", func() bool {
		return s.count(`HookSource IN ("stripe", "github") AND ExecutionStatus="Completed"`) == int64(2*reconciledAll)
	})
	require.EqualValues(s.t, 2*reconciledAll, s.count(`HookSource IN ("stripe", "github")`))
	for id := range ids {
		require.Equal(s.t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, s.statusOf(id), id)
	}
	require.Equal(s.t, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, s.statusOf("stripe:evt_young"))
	require.Equal(s.t, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, s.statusOf("stripe:evt_old"))
}

// input reads the arguments of a run's Workflow.
func (s *system) input(workflowID string, into ...any) {
	s.t.Helper()
	events := s.client.GetWorkflowHistory(s.t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	require.NoError(s.t, err)
	for i, payload := range first.GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads() {
		require.NoError(s.t, json.Unmarshal(payload.GetData(), into[i]))
	}
}
