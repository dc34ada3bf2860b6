package tests

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/tests/harness"
)

// outcome is what a Retry Policy comes to.
type outcome struct {
	Attempts int
	Reason   event.ParkReason
}

// TestFirstMeansTheSame holds what a Retry Policy means at a local first attempt
// against what the server makes of it, field by field.
func TestFirstMeansTheSame(t *testing.T) {
	t.Parallel()
	down := func(o temporal.ApplicationErrorOptions) error {
		return temporal.NewApplicationErrorWithOptions("down", "Down", o)
	}
	ms := func(waits ...int) (all []time.Duration) {
		for _, wait := range waits {
			all = append(all, time.Duration(wait)*time.Millisecond)
		}
		return all
	}
	soon := temporal.RetryPolicy{InitialInterval: 1500 * time.Millisecond, BackoffCoefficient: 2, MaximumAttempts: 3}
	with := func(change func(*temporal.RetryPolicy)) temporal.RetryPolicy {
		p := soon
		change(&p)
		return p
	}
	cases := map[string]struct {
		policy temporal.RetryPolicy
		err    error
		waits  []time.Duration // before the second attempt and the third, at least
	}{
		"growing waits":          {soon, errors.New("down"), ms(1500, 3000)},
		"a longest wait":         {with(func(p *temporal.RetryPolicy) { p.MaximumInterval = 2 * time.Second }), errors.New("down"), ms(1500, 2000)},
		"equal waits":            {with(func(p *temporal.RetryPolicy) { p.BackoffCoefficient = 1 }), errors.New("down"), ms(1500, 1500)},
		"the usual coefficient":  {with(func(p *temporal.RetryPolicy) { p.BackoffCoefficient = 0 }), errors.New("down"), ms(1500, 3000)},
		"the usual first wait":   {with(func(p *temporal.RetryPolicy) { p.InitialInterval = 0 }), errors.New("down"), ms(1000, 2000)},
		"one attempt":            {with(func(p *temporal.RetryPolicy) { p.MaximumAttempts = 1 }), errors.New("down"), nil},
		"two attempts":           {with(func(p *temporal.RetryPolicy) { p.MaximumAttempts = 2 }), errors.New("down"), ms(1500)},
		"a permanent error":      {soon, down(temporal.ApplicationErrorOptions{NonRetryable: true}), nil},
		"a type that is final":   {with(func(p *temporal.RetryPolicy) { p.NonRetryableErrorTypes = []string{"Other", "Down"} }), down(temporal.ApplicationErrorOptions{}), nil},
		"another type is final":  {with(func(p *temporal.RetryPolicy) { p.NonRetryableErrorTypes = []string{"Other"} }), down(temporal.ApplicationErrorOptions{}), ms(1500, 3000)},
		"Go's type is final":     {with(func(p *temporal.RetryPolicy) { p.NonRetryableErrorTypes = []string{"brokenPipe"} }), brokenPipe{}, nil},
		"it says when":           {soon, down(temporal.ApplicationErrorOptions{NextRetryDelay: 1200 * time.Millisecond}), ms(1200, 1200)},
		"it says when, too late": {with(func(p *temporal.RetryPolicy) { p.MaximumInterval = 2 * time.Second }), down(temporal.ApplicationErrorOptions{NextRetryDelay: 2500 * time.Millisecond}), ms(2500, 2500)},
	}
	var (
		mu    sync.Mutex
		calls = map[string][]time.Time{} // by event id, when each attempt began
	)
	step := func(_ context.Context, id string) error {
		mu.Lock()
		calls[id] = append(calls[id], time.Now())
		mu.Unlock()
		return cases[strings.TrimSuffix(strings.TrimSuffix(id, " queue"), " local")].err
	}
	r := newRuns(t, once(), map[string]any{"Step": step}, worker.On("stripe.step", func(ctx workflow.Context, ev event.Event, _ []byte) error {
		policy := cases[strings.TrimSuffix(strings.TrimSuffix(ev.ID, " queue"), " local")].policy
		return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: event.LocalWithin, RetryPolicy: &policy,
		}), "Step", ev.ID).Get(ctx, nil)
	}))
	r.start()
	for name := range cases {
		r.begin(event.Event{ID: name + " queue", Type: "step"}, `{}`)
		r.begin(event.Event{ID: name + " local", Type: "step", Local: []string{"Step"}}, `{}`)
	}
	outcomeOf := func(id string, waits []time.Duration) outcome {
		parked := r.parked(event.WorkflowID("stripe", id))
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, calls[id], len(waits)+1, id)
		for i, wait := range waits {
			require.GreaterOrEqual(t, calls[id][i+1].Sub(calls[id][i])+50*time.Millisecond, wait, "%s: wait %d", id, i+1)
		}
		return outcome{len(calls[id]), parked.Steps[0].Reason}
	}
	for name, tt := range cases {
		require.Empty(t, cmp.Diff(outcomeOf(name+" queue", tt.waits), outcomeOf(name+" local", tt.waits)), name)
		for _, e := range r.history(event.WorkflowID("stripe", name+" local")) {
			if timer := e.GetTimerStartedEventAttributes(); timer != nil && len(tt.waits) > 0 {
				require.Equal(t, tt.waits[0], timer.GetStartToFireTimeout().AsDuration(), name)
				break
			}
		}
	}
}

// brokenPipe is an error with a type of its own, which the SDK names in the
// failure.
type brokenPipe struct{}

func (brokenPipe) Error() string { return "broken pipe" }

// TestFirstAttemptKillsWorker has the first attempt end the worker. The step is
// a regular Activity after that, so it parks in the end.
func TestFirstAttemptKillsWorker(t *testing.T) {
	t.Parallel()
	program := t.TempDir() + "/hookyard"
	const file = "activities/mail.go"
	code, err := os.ReadFile("../" + file)
	require.NoError(t, err)
	head, tail, found := strings.Cut(string(code), "SendReceipt(ctx context.Context, r Receipt) error {\n")
	require.True(t, found)
	require.NoError(t, harness.Build(t.Context(), program, "-overlay", overlay(t, map[string]string{
		file: head + "SendReceipt(ctx context.Context, r Receipt) error {\n\tif r.Key != \"\" {\n\t\tpanicked := make(chan struct{})\n\t\tgo func() { panic(\"a bug that ends the worker\") }()\n\t\t<-panicked\n\t}\n" + tail,
	}), "../cmd/hookyard"))
	s := newSystem(t, startTemporal(t, ""), stripeSource+"retry: {SendReceipt: {initial: 1s, backoff: 1, attempts: 2, timeout: 5s, first: local}}\n")
	s.program = program
	s.serve()
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	harness.Eventually(t, "it parks, however often the worker dies", func() bool {
		if s.Gone() {
			s.serve()
		}
		return len(s.memo("stripe:evt_1").Steps) > 0
	})
	step := s.memo("stripe:evt_1").Steps[0]
	require.Equal(t, "SendReceipt", step.Name)
	require.Equal(t, event.ReasonTimeout, step.Reason)
	require.Equal(t, 1, s.scheduled("stripe:evt_1")["SendReceipt"])
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, s.statusOf("stripe:evt_1"))
}
