package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/alert"
	"github.com/hookyard/hookyard/internal/worker/failure"
	"github.com/hookyard/hookyard/tests/peers"
)

// hidden is in every URL of these tests, and must be in nothing else.
const hidden = "T0k3n"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// to returns the channel that posts JSON to the server.
func to(t *testing.T, ref, serverURL string) *alert.Channel {
	c, err := alert.OpenChannel(ref, "generic+"+serverURL+"/"+hidden+"?template=json&$token="+hidden)
	require.NoError(t, err)
	return c
}

// temporalOf is an Client of runs that it holds.
type temporalOf struct {
	runs    []*workflowpb.WorkflowExecutionInfo
	fails   error
	queries []string

	mu      sync.Mutex
	started []client.StartWorkflowOptions
	input   alert.Input
}

func (f *temporalOf) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, name any, args ...any) (client.WorkflowRun, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name != event.AlertWorkflow {
		return nil, fmt.Errorf("started %v", name)
	}
	f.started = append(f.started, o)
	f.input = args[0].(alert.Input)
	return nil, f.fails
}

func (f *temporalOf) CountWorkflow(_ context.Context, r *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	f.queries = append(f.queries, r.GetQuery())
	return &workflowservice.CountWorkflowExecutionsResponse{Count: int64(len(f.runs))}, f.fails
}

func (f *temporalOf) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.queries = append(f.queries, r.GetQuery())
	from := len(r.GetNextPageToken())
	end := min(from+int(r.GetPageSize()), len(f.runs))
	page := &workflowservice.ListWorkflowExecutionsResponse{Executions: f.runs[from:end]}
	if end < len(f.runs) {
		page.NextPageToken = make([]byte, end)
	}
	return page, nil
}

// parkedRun is a run as a list shows it; without steps it has no memo.
func parkedRun(id, reason string, started time.Time, steps ...time.Time) *workflowpb.WorkflowExecutionInfo {
	run := &workflowpb.WorkflowExecutionInfo{
		Execution:        &commonpb.WorkflowExecution{WorkflowId: id, RunId: "run-" + id},
		StartTime:        timestamppb.New(started),
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{"HookParkReason": {Data: []byte(`"` + reason + `"`)}}},
	}
	if len(steps) > 0 {
		var parked []string
		for _, since := range steps {
			parked = append(parked, fmt.Sprintf(`{"name":"A","since":%q}`, since.Format(time.RFC3339)))
		}
		memo := `{"steps":[` + strings.Join(parked, ",") + `]}`
		run.Memo = &commonpb.Memo{Fields: map[string]*commonpb.Payload{"HookParked": {Data: []byte(memo)}}}
	}
	return run
}

func TestReportParked(t *testing.T) {
	t.Parallel()
	fake := &temporalOf{}
	a := &alert.Activities{
		Client: fake, TaskQueue: "queue",
	}
	a.Config.Store(&alert.Config{
		Channels:    []*alert.Channel{to(t, "env:A", "http://127.0.0.1:1")},
		DigestEvery: time.Minute, EscalateAfter: time.Hour,
	})
	report := event.ParkedReport{Source: "stripe", WorkflowID: "stripe:evt_1", Step: "SendReceipt", Reason: "exhausted"}
	require.NoError(t, peers.RunActivity(t, a.ReportParked, report))
	require.Len(t, fake.started, 1)
	o := fake.started[0]
	require.Equal(t, "hookyard/alerts/stripe", o.ID)
	require.Equal(t, "queue", o.TaskQueue)
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, o.WorkflowIDConflictPolicy)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, o.WorkflowIDReusePolicy)
	require.Empty(t, cmp.Diff(alert.Input{Report: report, DigestEvery: time.Minute, EscalateAfter: time.Hour}, fake.input))

	fake.fails = errors.New("connection refused")
	peers.RequireFailure(t, peers.RunActivity(t, a.ReportParked, report), failure.TypeUnavailable)
}

func TestReportParkedToNobody(t *testing.T) {
	t.Parallel()
	fake := &temporalOf{}
	require.NoError(t, peers.RunActivity(t, (&alert.Activities{Client: fake}).ReportParked, event.ParkedReport{Source: "stripe"}))
	require.Empty(t, fake.started)
	require.NoError(t, peers.RunActivity(t, (*alert.Activities)(nil).ReportParked, event.ParkedReport{Source: "stripe"}))
}

func countParked(t *testing.T, fake *temporalOf, source string) (alert.Count, error) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	a := &alert.Activities{Client: fake}
	env.RegisterActivity(a)
	result, err := env.ExecuteActivity(a.CountParked, source)
	var counted alert.Count
	if err == nil {
		require.NoError(t, result.Get(&counted))
	}
	return counted, err
}

func TestCountParked(t *testing.T) {
	t.Parallel()
	fake := &temporalOf{}
	counted, err := countParked(t, fake, `a"b\`)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(alert.Count{}, counted))
	require.Empty(t, cmp.Diff([]string{`HookState="parked" AND HookSource="a\"b\\" AND ExecutionStatus="Running"`}, fake.queries))

	// More than a page of them, and the oldest is the one parked first, which
	// is neither the one that started first nor the last one listed.
	for i := range 600 {
		fake.runs = append(fake.runs, parkedRun(fmt.Sprint("stripe:", i), "exhausted", noon.Add(-time.Hour), noon))
	}
	fake.runs[7] = parkedRun("stripe:old", "permanent", noon.Add(-2*time.Minute), noon, noon.Add(-time.Minute))
	counted, err = countParked(t, fake, "stripe")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(alert.Count{
		Runs:    600,
		Reasons: map[string]int{"exhausted": 599, "permanent": 1},
		Oldest:  &alert.Run{WorkflowID: "stripe:old", RunID: "run-stripe:old", Since: noon.Add(-time.Minute)},
	}, counted))

	// Without a memo it is as if they had parked at their start.
	fake.runs = []*workflowpb.WorkflowExecutionInfo{parkedRun("stripe:1", "exhausted", noon)}
	counted, err = countParked(t, fake, "stripe")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(noon, counted.Oldest.Since))

	fake.fails = errors.New("rate limit")
	_, err = countParked(t, fake, "stripe")
	peers.RequireFailure(t, err, failure.TypeUnavailable)
}

var parkedAlert = alert.Notice{
	Kind: alert.Parked, Source: "stripe", Count: alert.Count{Runs: 1},
	Report: &event.ParkedReport{
		Source: "stripe", EventType: "invoice.paid", WorkflowID: "stripe:evt_1", RunID: "r1",
		Step: "SendReceipt", Reason: "exhausted", Error: "mail server: 421\r\n<!channel> @everyone " + strings.Repeat("x", 2000),
	},
}

// posted is what the generic webhook gets.
type posted struct{ Title, Message, Source, Link, Key, Over string }

func decoded(t *testing.T, body []byte) posted {
	var p posted
	require.NoError(t, json.Unmarshal(body, &p), "%s", body)
	return p
}

func TestSendAlert(t *testing.T) {
	t.Parallel()
	oldest := &alert.Run{WorkflowID: "stripe:evt_9", RunID: "r9", Since: noon}
	reasons := map[string]int{"permanent": 2, "exhausted": 338}
	const (
		ui   = "https://ui.example.com/namespaces/default/workflows"
		list = ui + "?query=HookState%3D%22parked%22+AND+HookSource%3D%22stripe%22+AND+ExecutionStatus%3D%22Running%22"
		rest = "exhausted 338, permanent 2\nThe oldest, since 2026-03-01 12:00:00 UTC: " + ui + "/stripe:evt_9/r9/history\n" +
			"All that are parked: " + list + "\nOnce the cause is gone: hookyard resume --all --source stripe"
	)
	for _, tt := range []struct {
		alert alert.Notice
		want  posted
	}{
		{parkedAlert, posted{
			Title: "stripe: invoice.paid is parked at SendReceipt (exhausted)", Link: ui + "/stripe:evt_1/r1/history",
			Message: "mail server: 421 < !channel> @ everyone " + strings.Repeat("x", 400-len("mail server: 421\r\n<!channel> @everyone ")) +
				"\nRun: " + ui + "/stripe:evt_1/r1/history\nAll that are parked: " + list +
				"\nOnce the cause is gone: hookyard resume --all --source stripe",
		}},
		{alert.Notice{Kind: alert.Digest, Before: 1, Count: alert.Count{Runs: 340, Reasons: reasons, Oldest: oldest}}, posted{
			Title: "stripe: 340 runs are parked (1 at the last message)", Link: list, Message: rest,
		}},
		{alert.Notice{Kind: alert.Escalated, Count: alert.Count{Runs: 1, Reasons: reasons, Oldest: oldest}}, posted{
			Title: "stripe: 1 run is still parked, the oldest since 2026-03-01 12:00:00 UTC", Link: list, Message: rest,
		}},
		{alert.Notice{Kind: alert.Cleared, Before: 340}, posted{
			Title: "stripe: nothing is parked any more", Link: list, Over: "true",
		}},
	} {
		in := peers.NewInbox(t, peers.Accept)
		a := sending(to(t, "env:A", in.URL))
		a.Config.Load().Links = alert.Links{WebUI: "https://ui.example.com", Namespace: "default"}
		tt.alert.Source = "stripe"
		require.NoError(t, peers.RunActivity(t, a.SendAlert, tt.alert))
		req, body := in.Only(t)
		require.Equal(t, "/"+hidden, req.URL.Path)
		tt.want.Source, tt.want.Key = "stripe", "hookyard/alerts/stripe"
		if tt.want.Over == "" {
			tt.want.Over = "false"
		}
		tt.want.Message = strings.TrimSuffix(tt.want.Title+"\n"+tt.want.Message, "\n")
		require.Empty(t, cmp.Diff(tt.want, decoded(t, body)))
	}
}

// TestSendAlertWithoutWebUI sees that a message names runs where it cannot
// link to them.
func TestSendAlertWithoutWebUI(t *testing.T) {
	t.Parallel()
	in := peers.NewInbox(t, peers.Accept)
	a := sending(to(t, "env:A", in.URL))
	require.NoError(t, peers.RunActivity(t, a.SendAlert, parkedAlert))
	_, body := in.Only(t)
	require.Contains(t, decoded(t, body).Message, "\nRun: stripe:evt_1\nOnce the cause is gone")
}

// TestSendAlertRetriesWhatFailed runs it as Temporal does, attempt by attempt.
func TestSendAlertRetriesWhatFailed(t *testing.T) {
	t.Parallel()
	up, attempts := peers.NewInbox(t, peers.Accept), 0
	down := peers.NewInbox(t, func(w http.ResponseWriter, _ *http.Request) {
		if attempts++; attempts < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(hidden))
		}
	})
	gone := to(t, "env:GONE", "http://127.0.0.1:1")
	a := sending(to(t, "env:UP", up.URL), to(t, "env:DOWN", down.URL), gone)

	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(a)
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 4},
		})
		return workflow.ExecuteActivity(ctx, a.SendAlert, parkedAlert).Get(ctx, nil)
	})
	failed := env.GetWorkflowError()
	require.ErrorContains(t, failed, "1 of 3 channels did not take the message: generic (env:GONE): it failed: connection refused")
	require.NotContains(t, failed.Error(), hidden)
	took, _ := up.Requests()
	require.Len(t, took, 1)
	refused, _ := down.Requests()
	require.Len(t, refused, 3)
}

// TestChannelsKeepTheirSecret makes channels fail in every way there is, and
// looks for their token in all that can be read of it.
func TestChannelsKeepTheirSecret(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) string {
		return peers.NewInbox(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}).URL
	}
	mail := peers.NewMailServer(t, map[string]string{"RCPT": "550 no " + hidden + " here"})
	for _, tt := range []struct{ url, says string }{
		{"generic+" + answer(401, "no "+hidden) + "/" + hidden, "it failed: 401"},
		{"generic+" + answer(429, "") + "/?key=" + hidden + "&401=1", "it failed: 429"},
		{"generic+http://127.0.0.1:1/" + hidden, "it failed: connection refused"},
		{"generic+http://" + hidden + ".invalid/x", "it failed"},
		{"generic+http://snake_case.invalid/x", "it failed"}, // a word as services answer, but ours
		{"gotify://127.0.0.1:1/A" + hidden + "abcdefghi?disabletls=yes", "it failed"},
		{mail.URL + "/?usestarttls=no&from=a@example.com&to=" + hidden + "@example.com", "it failed: 550"},
		{"ntfy://user:" + hidden + "@127.0.0.1:1/topic?scheme=http", "it failed"},
	} {
		c, err := alert.OpenChannel("env:A", tt.url)
		require.NoError(t, err, tt.url)
		err = c.Send(t.Context(), alert.Message{Title: "t", Text: "x"})
		require.ErrorContains(t, err, tt.says)
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "err", err, "channel", c)
		for _, text := range []string{err.Error(), log.String(), fmt.Sprintf("%v %+v %#v %v", c, []any{c}, c, alert.Config{Channels: []*alert.Channel{c}})} {
			require.NotContains(t, strings.ToLower(text), strings.ToLower(hidden), "%s", tt.url)
			require.NotContains(t, text, "snake_case")
		}
	}
}

func TestOpenChannelRefuses(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"":                        "it is not a URL such as",
		hidden:                    "it is not a URL such as",
		"://" + hidden:            "it is not a URL such as",
		hidden + "://x":           "its scheme names no service; known: bark, discord, generic,",
		"logger://" + hidden:      "its scheme names no service",
		"slack://" + hidden:       `it is not what "slack" URLs look like`,
		"pagerduty:///" + hidden:  `it is not what "pagerduty" URLs look like`,
		"slack+https://" + hidden: `it is not what "slack" URLs look like`,
	} {
		_, err := alert.OpenChannel("env:A", url)
		require.ErrorContains(t, err, says, "%q", url)
		require.NotContains(t, err.Error(), hidden)
	}
	for _, url := range []string{
		"slack://hook:WNA3PBYV6-F20DUQND3RQ-Webc4MAvoacrpPakR8phF0zi@webhook",
		"pagerduty:///0123456789abcdef0123456789abcdef",
		"matrix://user:password@127.0.0.1:1/", // would sign in
		"discord://token@123456789",
	} {
		c, err := alert.OpenChannel("env:A", url)
		require.NoError(t, err, url)
		require.Contains(t, c.Name(), " (env:A)")
	}
}

// TestSendMail sees that a mail's subject says what it is about, whatever the
// event type holds.
func TestSendMail(t *testing.T) {
	t.Parallel()
	server := peers.NewMailServer(t, nil)
	c, err := alert.OpenChannel("env:A", server.URL+"/?usestarttls=no&from=a@example.com&to=b@example.com")
	require.NoError(t, err)
	message := parkedAlert
	report := *message.Report
	report.EventType = "a\r\nBcc: everybody@example.com"
	message.Report = &report
	require.NoError(t, peers.RunActivity(t, sending(c).SendAlert, message))
	require.Len(t, server.Mails(), 1)
	require.Contains(t, server.Mails()[0], "Subject: stripe: a Bcc: everybody@example.com is parked at SendReceipt (exhausted)")
	require.NotContains(t, server.Mails()[0], "\nBcc:")
}

// TestChannelThatHangs sees that a service that never answers takes neither
// the time of a caller nor goroutines without end.
func TestChannelThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	in := peers.NewInbox(t, func(http.ResponseWriter, *http.Request) { <-release })
	c := to(t, "env:A", in.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var hung, refused int
	var mu sync.Mutex
	var sending sync.WaitGroup
	for range 10 {
		sending.Go(func() {
			err := c.Send(ctx, alert.Message{Title: "t"})
			mu.Lock()
			defer mu.Unlock()
			switch err.Error() {
			case "no answer in time":
				hung++
			case "4 earlier messages have had no answer yet":
				refused++
			}
		})
	}
	sending.Wait()
	require.Empty(t, cmp.Diff([]int{4, 6}, []int{hung, refused}))
	close(release)
	require.Eventually(t, func() bool {
		return c.Send(t.Context(), alert.Message{Title: "t"}) == nil
	}, time.Minute, 10*time.Millisecond, "they are free again")
}

// sending returns Activities that send to these channels.
func sending(channels ...*alert.Channel) *alert.Activities {
	a := &alert.Activities{}
	a.Config.Store(&alert.Config{Channels: channels})
	return a
}
