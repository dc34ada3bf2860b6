package parking_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	hookyard "github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// world is what the Activities of these tests find outside: each step fails
// as often as it is told to and counts its calls.
type world struct {
	mu       sync.Mutex
	failures map[string]int
	errors   map[string]error
	results  map[string]any // instead of a text
	calls    map[string]int
	reports  []string
	onCall   func(name string) // nil for nothing
}

func newWorld() *world {
	return &world{failures: map[string]int{}, errors: map[string]error{}, results: map[string]any{}, calls: map[string]int{}}
}

func (w *world) act(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name]++
	if w.onCall != nil {
		w.onCall(name)
	}
	if w.failures[name] == 0 {
		return nil
	}
	w.failures[name]--
	if err := w.errors[name]; err != nil {
		return err
	}
	return errors.New(name + " is down")
}

// called returns how often a step was called.
func (w *world) called(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[name]
}

func (w *world) report(text string) error {
	w.mu.Lock()
	w.reports = append(w.reports, text)
	w.mu.Unlock()
	return w.act("ReportParked")
}

// run is a Workflow in the test environment, with the interceptor.
type run struct {
	*testsuite.TestWorkflowEnvironment
	*world
	t *testing.T
}

const attempts = 3

func newRun(t *testing.T, function any, options parking.Options) *run {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r := &run{
		TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t,
		world: newWorld(),
	}
	r.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute, Interceptors: []interceptor.WorkerInterceptor{hookyard.Interceptor(hookyard.Options{Parking: options})}})
	r.SetTestTimeout(20 * time.Second)
	for _, name := range []string{"A", "B", "C"} {
		r.RegisterActivityWithOptions(func(_ context.Context, input string) (any, error) {
			if result, other := r.results[name]; other {
				return result, r.act(name)
			}
			return name + input, r.act(name)
		}, activity.RegisterOptions{Name: name})
	}
	r.RegisterActivityWithOptions(func(_ context.Context, report map[string]string) error {
		return r.report(report["step"] + " " + report["reason"])
	}, activity.RegisterOptions{Name: "ReportParked"})
	r.RegisterWorkflowWithOptions(function, workflow.RegisterOptions{Name: "test.event"})
	return r
}

// start runs the Workflow to its end.
func (r *run) start() {
	r.startWith(event.Event{Source: "src", Provider: "test", ID: "1", Type: "event"})
}

func (r *run) startWith(ev event.Event) {
	r.ExecuteWorkflow("test.event", ev,
		converter.NewRawValue(&commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`{"n":1}`)}))
	require.True(r.t, r.IsWorkflowCompleted())
}

// at does something after so much of the Workflow's time.
func (r *run) at(after time.Duration, do func()) { r.RegisterDelayedCallback(do, after) }

func (r *run) details() string {
	value, err := r.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(r.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(r.t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}

func options(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 1, MaximumAttempts: attempts},
	})
}

// twoSteps is a Workflow: A, then B with A's result.
func twoSteps(ctx workflow.Context, _ event.Event, _ converter.RawValue) (string, error) {
	ctx = options(ctx)
	var a, b string
	if err := workflow.ExecuteActivity(ctx, "A", "1").Get(ctx, &a); err != nil {
		return "", err
	}
	err := workflow.ExecuteActivity(ctx, "B", a).Get(ctx, &b)
	return b, err
}

func TestResume(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{})
	r.failures["B"] = attempts
	r.at(time.Hour, func() {
		details := r.details()
		require.Contains(t, details, "### Parked at `B`: exhausted")
		require.Contains(t, details, "3 attempts over 2s, since")
		require.Contains(t, details, "B is down")
		require.Contains(t, details, "`json/plain`, 7 bytes")
		require.Contains(t, details, "`hookyard resume default-test-workflow-id`")
		r.SignalWorkflow(event.SignalResume, parking.Resume{By: "ada", Why: "B is back"})
	})
	r.start()
	require.NoError(t, r.GetWorkflowError())
	var result string
	require.NoError(t, r.GetWorkflowResult(&result))
	require.Equal(t, "BA1", result)
	require.Equal(t, 1, r.called("A"), "what is done is not done again")
	require.Equal(t, attempts+1, r.called("B"))
	require.Empty(t, cmp.Diff([]string{"B exhausted"}, r.reports))
	require.Contains(t, r.details(), "resume by `ada`: `B is back`")
	require.NotContains(t, r.details(), "Parked at")
}

// TestHappyPath sees that a run that does not park writes nothing of parking.
func TestHappyPath(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{ParkFor: time.Hour})
	r.OnUpsertTypedSearchAttributes(nil).Panic("a Search Attribute was written").Maybe()
	r.OnUpsertMemo(nil).Panic("a memo was written").Maybe()
	r.start()
	require.NoError(t, r.GetWorkflowError())
	require.Empty(t, r.reports)
}

func TestSignalsBeforeAPark(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(ctx workflow.Context, ev event.Event, p converter.RawValue) (string, error) {
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return "", err
		}
		return twoSteps(ctx, ev, p)
	}, parking.Options{})
	r.failures["B"] = attempts
	r.at(time.Second, func() {
		r.SignalWorkflow(event.SignalResume, parking.Resume{})
		r.SignalWorkflow(event.SignalResolve, parking.Resolve{Step: "B"})
		r.SignalWorkflow(event.SignalDiscard, parking.Discard{Why: "no"})
	})
	r.at(time.Hour, func() {
		require.Equal(t, attempts, r.called("B"), "an early signal was kept for this park")
		r.SignalWorkflow(event.SignalResume, nil) // as a batch without input sends it
	})
	r.start()
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, attempts+1, r.called("B"))
}

func TestUnreadableSignal(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{})
	r.failures["B"] = attempts
	r.at(time.Hour, func() { r.SignalWorkflow(event.SignalDiscard, 7) })
	r.at(2*time.Hour, func() { r.SignalWorkflow(event.SignalResume, parking.Resume{}) })
	r.start()
	require.NoError(t, r.GetWorkflowError(), "a slip of the hand discarded the run")
}

func TestResolve(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{})
	r.failures["A"] = 1
	r.errors["A"] = temporal.NewNonRetryableApplicationError("no such customer", "Refused", nil)
	r.at(time.Hour, func() {
		require.Contains(t, r.details(), "### Parked at `A`: permanent")
		r.SignalWorkflow(event.SignalResolve, parking.Resolve{Step: "B", Result: json.RawMessage(`"x"`)}) // not parked
		r.SignalWorkflow(event.SignalResolve, parking.Resolve{Step: "A", Result: json.RawMessage(`"by hand"`), By: "ada"})
	})
	r.start()
	require.NoError(t, r.GetWorkflowError())
	var result string
	require.NoError(t, r.GetWorkflowResult(&result))
	require.Equal(t, "Bby hand", result)
	require.Equal(t, 1, r.called("A"))
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{})
	r.failures["B"] = attempts
	r.at(time.Hour, func() {
		r.SignalWorkflow(event.SignalDiscard, parking.Discard{By: "ada", Why: "a test order"})
	})
	r.start()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, r.GetWorkflowError(), &failed)
	require.Equal(t, event.ErrorDiscarded, failed.Type())
	require.Contains(t, failed.Error(), "discarded by ada: a test order (parked at B: B is down)")
}

func TestParallelSteps(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(ctx workflow.Context, _ event.Event, _ converter.RawValue) (string, error) {
		ctx = options(ctx)
		var done []string
		selector := workflow.NewSelector(ctx)
		for _, step := range []string{"A", "B", "B", "C"} {
			selector.AddFuture(workflow.ExecuteActivity(ctx, step, fmt.Sprint(len(done))), func(f workflow.Future) {
				var result string
				if err := f.Get(ctx, &result); err == nil {
					done = append(done, result)
				}
			})
		}
		for range 4 {
			selector.Select(ctx)
		}
		slices.Sort(done) // Activities that run at once end in any order
		return strings.Join(done, " "), nil
	}, parking.Options{})
	r.failures["A"], r.failures["B"] = attempts, 2*attempts
	r.at(time.Hour, func() {
		for _, step := range []string{"A", "B", "B#2"} {
			require.Contains(t, r.details(), "### Parked at `"+step+"`: exhausted")
		}
		r.SignalWorkflow(event.SignalResume, parking.Resume{Step: "B#2"})
	})
	r.at(2*time.Hour, func() {
		require.NotContains(t, r.details(), "B#2`:")
		r.SignalWorkflow(event.SignalResume, parking.Resume{})
	})
	r.start()
	require.NoError(t, r.GetWorkflowError())
	var result string
	require.NoError(t, r.GetWorkflowResult(&result))
	require.Empty(t, cmp.Diff([]string{"A0", "B0", "B0", "C0"}, strings.Fields(result)))
	require.Empty(t, cmp.Diff(map[string]int{"A": attempts + 1, "B": 2*attempts + 2, "C": 1, "ReportParked": 1}, r.calls), "one alert for the run")
}

func TestOff(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(ctx workflow.Context, _ event.Event, _ converter.RawValue) (string, error) {
		ctx = options(ctx)
		err := workflow.ExecuteActivity(parking.Off(ctx), "A", "").Get(ctx, nil)
		return fmt.Sprintf("dealt with it: %t", err != nil), nil
	}, parking.Options{})
	r.failures["A"] = attempts
	r.start()
	var result string
	require.NoError(t, r.GetWorkflowResult(&result))
	require.Equal(t, "dealt with it: true", result)
}

func TestLocalActivityAndChild(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(ctx workflow.Context, ev event.Event, p converter.RawValue) error {
		local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
			StartToCloseTimeout: time.Second, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Millisecond, MaximumAttempts: 2},
		})
		if err := workflow.ExecuteLocalActivity(local, "A", "").Get(ctx, nil); err != nil {
			return err
		}
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: "child"})
		return workflow.ExecuteChildWorkflow(child, "test.child", ev, p).Get(ctx, nil)
	}, parking.Options{})
	r.RegisterWorkflowWithOptions(twoSteps, workflow.RegisterOptions{Name: "test.child"})
	r.failures["A"], r.failures["B"] = 2, attempts
	r.at(time.Hour, func() {
		require.Contains(t, r.details(), "### Parked at `A`: exhausted")
		r.SignalWorkflow(event.SignalResume, parking.Resume{})
	})
	r.at(2*time.Hour, func() {
		require.NoError(t, r.SignalWorkflowByID("child", event.SignalResume, parking.Resume{}))
	})
	r.start()
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, attempts+1, r.called("B"))
}

func TestCancelWhileParked(t *testing.T) {
	t.Parallel()
	cleaned := false
	r := newRun(t, func(ctx workflow.Context, ev event.Event, p converter.RawValue) (string, error) {
		defer func() { cleaned = true }()
		return twoSteps(ctx, ev, p)
	}, parking.Options{})
	r.failures["B"] = attempts
	r.at(time.Hour, r.CancelWorkflow)
	r.start()
	require.True(t, temporal.IsCanceledError(r.GetWorkflowError()), "%v", r.GetWorkflowError())
	require.True(t, cleaned, "the Workflow puts its things in order first")
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{ParkFor: 24 * time.Hour})
	r.failures["B"] = 2 * attempts
	began := r.Now()
	r.at(23*time.Hour, func() { r.SignalWorkflow(event.SignalResume, parking.Resume{}) })
	r.start()
	var failed *temporal.ApplicationError
	require.ErrorAs(t, r.GetWorkflowError(), &failed)
	require.Equal(t, event.ErrorExpired, failed.Type())
	require.Contains(t, failed.Error(), "parked at B for 24h0m0s: B is down")
	require.WithinDuration(t, began.Add(47*time.Hour), r.Now(), time.Minute, "a resume starts the time anew")
}

func TestManyCycles(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{})
	const cycles = 100
	r.failures["B"] = cycles * attempts
	for i := range cycles {
		r.at(time.Duration(i+1)*time.Hour, func() { r.SignalWorkflow(event.SignalResume, parking.Resume{}) })
	}
	r.start()
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, 1, r.called("A"))
	require.Equal(t, cycles*attempts+1, r.called("B"))
	require.Less(t, len(r.details()), 20<<10, "the details have a limit")
}

func nth(list []int, n int) int { return list[n] }

// TestWholeWorkflow parks what is no step.
func TestWholeWorkflow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fail   func() error
		reason event.ParkReason
		text   string
	}{
		"an error":    {func() error { return errors.New("no rule for this order") }, event.ReasonFailed, "no rule for this order"},
		"a panic":     {func() error { return fmt.Errorf("%d", nth(nil, 3)) }, event.ReasonPanic, "index out of range"},
		"undecodable": {func() error { return temporal.NewNonRetryableApplicationError("does not fit", "undecodable", nil) }, event.ReasonUndecodable, "does not fit"},
		"unhandled":   {func() error { return temporal.NewNonRetryableApplicationError("no Workflow", "unhandled", nil) }, event.ReasonUnhandled, "no Workflow"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, func(ctx workflow.Context, _ event.Event, _ converter.RawValue) error {
				ctx = options(ctx)
				if err := workflow.ExecuteActivity(ctx, "A", "1").Get(ctx, nil); err != nil {
					return err
				}
				return tt.fail()
			}, parking.Options{})
			r.start()
			var anew *workflow.ContinueAsNewError
			require.ErrorAs(t, r.GetWorkflowError(), &anew)
			require.Equal(t, "test.event", anew.WorkflowType.Name)

			// The code that is deployed next does not fail, and has another
			// second step.
			next := newRun(t, twoSteps, parking.Options{})
			next.SetHeader(anew.Header)
			next.at(time.Hour, func() {
				require.Zero(t, next.called("B"), "the function was entered before anybody said so")
				require.Contains(t, next.details(), "### Parked at `workflow`: "+string(tt.reason))
				require.Contains(t, next.details(), tt.text)
				next.SignalWorkflow(event.SignalResume, parking.Resume{})
			})
			next.start()
			require.NoError(t, next.GetWorkflowError())
			require.Zero(t, next.called("A"), "the new run has the result of what was done")
			require.Equal(t, 1, next.called("B"))
			var result string
			require.NoError(t, next.GetWorkflowResult(&result))
			require.Equal(t, "BA1", result)
		})
	}
}

func TestAmend(t *testing.T) {
	t.Parallel()
	fits := func(_ string, _ event.Event, payload []byte) error {
		var v struct{ N int }
		return json.Unmarshal(payload, &v)
	}
	for name, when := range map[string]time.Duration{"while a step runs": time.Second, "while parked": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, twoSteps, parking.Options{Fits: fits})
			r.failures["B"] = attempts
			var outcomes []string
			update := func(a parking.Amend) {
				r.UpdateWorkflow(event.UpdateAmend, fmt.Sprint(len(outcomes), a), &testsuite.TestUpdateCallback{
					OnReject:   func(err error) { outcomes = append(outcomes, err.Error()) },
					OnAccept:   func() {},
					OnComplete: func(result any, err error) { outcomes = append(outcomes, fmt.Sprint(result, " ", err)) },
				}, a)
			}
			r.at(when, func() {
				update(parking.Amend{})
				update(parking.Amend{Payload: json.RawMessage(`{"n":"x"}`)})
				update(parking.Amend{Base64: "%"})
				update(parking.Amend{Payload: json.RawMessage(`{ "n" : 2 }`), By: "ada"})
			})
			r.start()
			require.Len(t, outcomes, 4)
			require.Contains(t, outcomes[0], `give either "payload" or "payload_base64"`)
			require.Contains(t, outcomes[1], "cannot unmarshal string")
			require.Contains(t, outcomes[2], `"payload_base64": illegal base64 data`)
			require.Equal(t, "starting over with a payload of 7 bytes <nil>", outcomes[3])
			var anew *workflow.ContinueAsNewError
			require.ErrorAs(t, r.GetWorkflowError(), &anew)
			require.Len(t, anew.Input.GetPayloads(), 2)
			require.Equal(t, `{"n":2}`, string(anew.Input.GetPayloads()[1].GetData()))

			next := newRun(t, twoSteps, parking.Options{})
			next.SetHeader(anew.Header)
			next.start()
			require.NoError(t, next.GetWorkflowError())
			require.Equal(t, 1, next.called("A"), "what was done for another payload is done again")
			require.Contains(t, next.details(), "amend by `ada`", "and it is still known who wanted it")
		})
	}
}

// TestReportFails sees that an alert that cannot be sent holds nothing up.
func TestReportFails(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{})
	r.failures["B"], r.failures["ReportParked"] = attempts, 100
	r.at(30*time.Second, func() { r.SignalWorkflow(event.SignalResume, parking.Resume{}) })
	r.start()
	require.NoError(t, r.GetWorkflowError())
}
