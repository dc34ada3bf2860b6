package hookyardtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/hookyardtest"
)

// Shop is a team's outside system.
type Shop struct{ URL string }

func (s *Shop) Reserve(_ context.Context, key string) (int, error) {
	if s.URL == "" {
		return 0, errors.New("no URL")
	}
	return len(key), nil
}

func (s *Shop) Notify(context.Context, string, int) error { return nil }

type invoice struct {
	Data struct {
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	} `json:"data"`
}

func invoicePaid(ctx workflow.Context, ev event.Event, paid invoice) error {
	var (
		shop     *Shop
		reserved int
	)
	switch paid.Data.Object.ID {
	case "panic":
		panic("no such invoice")
	case "signal":
		workflow.GetSignalChannel(ctx, "go").Receive(ctx, nil)
	case "sleep":
		if err := workflow.Sleep(ctx, 30*24*time.Hour); err != nil {
			return err
		}
	}
	if err := workflow.ExecuteActivity(ctx, shop.Reserve, ev.Key("Reserve")).Get(ctx, &reserved); err != nil {
		return err
	}
	return workflow.ExecuteActivity(ctx, shop.Notify, paid.Data.Object.ID, reserved).Get(ctx, nil)
}

func app() hookyard.App {
	return hookyard.App{Workflows: []hookyard.Handler{hookyard.On("stripe.invoice.paid", invoicePaid, (*Shop)(nil))}}
}

func paid(t testing.TB, id string) hookyardtest.Event {
	return hookyardtest.Body(t, app(), "stripe", "", nil, fmt.Appendf(nil, `{"id": "evt_1", "type":"invoice.paid","data":{"object":{"id":%q}}}`, id))
}

// quick is the path of a config with few attempts.
func quick(t testing.TB) string {
	return written(t, "sources: {stripe: {provider: stripe, secrets: [env:S]}}\nretry: {default: {initial: 1s, attempts: 3}, Reserve: {attempts: 2}}\napp: {shop: {url: x}}\n")
}

func written(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hookyard.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestRunsToItsEnd(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"in_1", "sleep"} {
		run := hookyardtest.Start(t, app(), paid(t, id), hookyardtest.Options{Fakes: hookyardtest.Fakes{
			"Reserve": func(_ context.Context, key string) (int, error) { return len(key), nil },
			"Notify":  []error{errors.New("down"), errors.New("down"), nil},
		}})
		run.Completed()
		run.Called("Reserve", "stripe:evt_1:Reserve")
		run.Called("Notify", id, 20)
		require.Equal(t, 3, run.Attempts("Notify"))
		require.Len(t, run.Calls(""), 2)
	}
}

func TestRealActivities(t *testing.T) {
	t.Parallel()
	run := hookyardtest.Start(t, app(), paid(t, "in_1"), hookyardtest.Options{
		Activities: []any{&Shop{URL: "https://shop.example"}}, Fakes: hookyardtest.Fakes{"Notify": nil},
	})
	run.Completed()
	run.Called("Notify", "in_1", 20)
}

func TestRepairs(t *testing.T) {
	t.Parallel()
	down := hookyardtest.Options{Config: quick(t), Fakes: hookyardtest.Fakes{"Reserve": 7, "Notify": errors.New("down")}}
	start := func(t *testing.T) *hookyardtest.Run {
		t.Helper()
		run := hookyardtest.Start(t, app(), paid(t, "in_1"), down)
		step := run.Parked("Notify", event.ReasonExhausted)
		require.Equal(t, "down", step.Error)
		require.Equal(t, 3, step.Attempts)
		require.Equal(t, 3, run.Attempts("Notify"))
		run.Called("Notify", "in_1", 7)
		return run
	}
	t.Run("resume", func(t *testing.T) {
		t.Parallel()
		run := start(t)
		run.Resume("")
		run.Parked("Notify", event.ReasonExhausted)
		run.Fake("Notify", nil)
		run.Resume("Notify")
		run.Completed()
		require.Len(t, run.Calls("Reserve"), 1)
		require.Len(t, run.Calls("Notify"), 3)
	})
	t.Run("resolve", func(t *testing.T) {
		t.Parallel()
		run := start(t)
		run.Resolve("Notify", nil)
		run.Completed()
	})
	t.Run("resolve with a result", func(t *testing.T) {
		t.Parallel()
		run := hookyardtest.Start(t, app(), paid(t, "in_1"), hookyardtest.Options{Fakes: hookyardtest.Fakes{
			"Reserve": temporal.NewNonRetryableApplicationError("no", "Rejected", nil), "Notify": nil,
		}})
		run.Parked("Reserve", event.ReasonPermanent)
		run.NotCalled("Notify")
		run.Resolve("Reserve", 42)
		run.Completed()
		run.Called("Notify", "in_1", 42)
	})
	t.Run("discard", func(t *testing.T) {
		t.Parallel()
		run := start(t)
		run.Discard("a test")
		run.Discarded()
	})
	t.Run("amend", func(t *testing.T) {
		t.Parallel()
		run := start(t)
		run.Fake("Notify", nil)
		run.Amend([]byte(`{"data":{"object":{"id":"in_2"}}}`))
		run.Completed()
		run.Called("Notify", "in_2", 7)
		require.Len(t, run.Calls("Reserve"), 2)
	})
	t.Run("left parked", func(t *testing.T) {
		t.Parallel()
		start(t)
	})
}

func TestParksAsAWhole(t *testing.T) {
	t.Parallel()
	fakes := hookyardtest.Options{Fakes: hookyardtest.Fakes{"Reserve": 1, "Notify": nil}}
	run := hookyardtest.Start(t, app(), paid(t, "panic"), fakes)
	require.Contains(t, run.Parked(event.WholeWorkflow, event.ReasonPanic).Error, "no such invoice")
	run.Amend([]byte(`{"data":{"object":{"id":"in_2"}}}`))
	run.Completed()

	run = hookyardtest.Start(t, app(), hookyardtest.Body(t, app(), "stripe", "", nil, []byte(`{"id":"evt_1","type":"invoice.paid","data":7}`)), fakes)
	run.Parked(event.WholeWorkflow, event.ReasonUndecodable)
	run.Resume("")
	run.Parked(event.WholeWorkflow, event.ReasonUndecodable)
}

func TestWaitsForASignal(t *testing.T) {
	t.Parallel()
	run := hookyardtest.Start(t, app(), paid(t, "signal"), hookyardtest.Options{Fakes: hookyardtest.Fakes{"Reserve": 1, "Notify": nil}})
	run.NotCalled("Reserve")
	run.Signal("go", nil)
	run.Completed()
}

func TestEvents(t *testing.T) {
	t.Parallel()
	ev := hookyardtest.Sample(t, app(), "stripe", "invoice.paid")
	require.Equal(t, "stripe.invoice.paid", ev.WorkflowType())
	require.Equal(t, "stripe", ev.Source)
	require.Equal(t, "application/json", ev.Header("Content-Type"))
	require.NotEmpty(t, ev.ID)
	require.Equal(t, ev, hookyardtest.Sample(t, app(), "stripe", "invoice.paid"), "the same each time")

	push := hookyardtest.Sample(t, app(), "github", "push")
	require.Equal(t, "push", push.Header("X-GitHub-Event"))

	body := []byte("{ \"id\":\"evt_9\",\n\"type\": \"invoice.paid\" }")
	file := filepath.Join(t.TempDir(), "paid.json")
	require.NoError(t, os.WriteFile(file, body, 0o600))
	ev = hookyardtest.File(t, app(), "stripe", "", file)
	require.Equal(t, string(body), string(ev.Payload), "byte for byte")
	require.Equal(t, "stripe:evt_9", ev.WorkflowID())

	ev = hookyardtest.Body(t, app(), "github", "push", http.Header{"x-github-delivery": {"d1"}, "Authorization": {"secret"}}, []byte(`{}`))
	require.Equal(t, "d1", ev.ID)
	require.Empty(t, ev.Header("Authorization"), "as the edge drops it")
}

// recorder is a test that keeps why it failed.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper()           {}
func (r *recorder) Fatal(args ...any) { r.fail(fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.fail(fmt.Sprintf(format, args...))
}

func (r *recorder) fail(said string) {
	r.said = said
	runtime.Goexit()
}

// failure returns what a test says that fails.
func failure(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	require.NotEmpty(t, r.said, "the test passes")
	return r.said
}

// TestFailures sees that each assertion fails when it should, and says what
// was found and what to do.
func TestFailures(t *testing.T) {
	t.Parallel()
	start := func(t testing.TB, notify any) *hookyardtest.Run {
		return hookyardtest.Start(t, app(), paid(t, "in_1"), hookyardtest.Options{Config: quick(t), Fakes: hookyardtest.Fakes{"Reserve": 1, "Notify": notify}})
	}
	down := errors.New("down")
	for name, tt := range map[string]struct {
		test func(t testing.TB)
		says string
	}{
		"completed, but parked":   {func(t testing.TB) { start(t, down).Completed() }, "the run is parked at Notify (exhausted after 3 attempts: down)"},
		"parked, but completed":   {func(t testing.TB) { start(t, nil).Parked("Notify", event.ReasonExhausted) }, "but the run completed"},
		"parked elsewhere":        {func(t testing.TB) { start(t, down).Parked("Reserve", event.ReasonExhausted) }, "parked at Notify"},
		"parked for other reason": {func(t testing.TB) { start(t, down).Parked("Notify", event.ReasonPermanent) }, "parked at Notify (exhausted"},
		"discarded, but parked":   {func(t testing.TB) { start(t, down).Discarded() }, "parked at Notify"},
		"discarded, but done":     {func(t testing.TB) { start(t, nil).Discarded() }, "but the run completed"},
		"completed, discarded": {func(t testing.TB) {
			run := start(t, down)
			run.Discard("why not")
			run.Completed()
		}, "why not"},
		"resume of nothing":       {func(t testing.TB) { start(t, nil).Resume("") }, "cannot resume \"\": the run completed"},
		"resume of other":         {func(t testing.TB) { start(t, down).Resume("Reserve") }, "cannot resume \"Reserve\""},
		"amend after the end":     {func(t testing.TB) { start(t, nil).Amend([]byte("{}")) }, "cannot amend: the run completed"},
		"amend that does not fit": {func(t testing.TB) { start(t, down).Amend([]byte(`{"data":7}`)) }, "refused"},
		"called with other":       {func(t testing.TB) { start(t, nil).Called("Notify", "in_1", 2) }, "-want +got"},
		"called, but not":         {func(t testing.TB) { start(t, nil).Called("Other") }, `the calls were ["Reserve" "Notify"]`},
		"not called, but was":     {func(t testing.TB) { start(t, nil).NotCalled("Notify") }, "there were 1"},
		"not called, unknown":     {func(t testing.TB) { start(t, nil).NotCalled("Notfiy") }, "there is no Activity \"Notfiy\""},
		"waits": {func(t testing.TB) {
			hookyardtest.Start(t, app(), paid(t, "signal"), hookyardtest.Options{}).Completed()
		}, "such as a Signal"},
		"neither fake nor real":    {func(t testing.TB) { hookyardtest.Start(t, app(), paid(t, "in_1"), hookyardtest.Options{}) }, `called "Reserve", for which there is neither`},
		"fake of nothing":          {func(t testing.TB) { start(t, nil).Fake("Refund", nil) }, "the Workflows of the App name CompleteActivity, ForwardEvent, Notify, Reserve, SignalWorkflow, UpdateWorkflow"},
		"fake that is no Activity": {func(t testing.TB) { start(t, func() {}) }, "want a function that returns an error"},
		"fake of other arguments":  {func(t testing.TB) { start(t, func(struct{}) error { return nil }) }, "the Workflow passes other arguments"},
		"config": {func(t testing.TB) {
			hookyardtest.Start(t, app(), paid(t, "in_1"), hookyardtest.Options{Config: written(t, "retyr: {}")})
		}, "hookyard.yaml:1"},
		"no Workflow": {func(t testing.TB) {
			hookyardtest.Start(t, app(), hookyardtest.Sample(t, app(), "github", "push"), hookyardtest.Options{})
		}, `App.Workflows has none for "github.push"`},
		"no provider": {func(t testing.TB) { hookyardtest.Sample(t, app(), "strype", "") }, `unknown provider "strype"`},
		"no sample":   {func(t testing.TB) { hookyardtest.Sample(t, app(), "stripe", "invoice.payed") }, `no sample "invoice.payed"`},
		"no event":    {func(t testing.TB) { hookyardtest.Body(t, app(), "stripe", "", nil, []byte(`[]`)) }, "the edge would not take this"},
		"no file":     {func(t testing.TB) { hookyardtest.File(t, app(), "stripe", "", "none.json") }, "none.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, failure(t, tt.test), tt.says)
		})
	}
}
