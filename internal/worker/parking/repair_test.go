package parking_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// TestWrongResult resolves a step with a result that the Workflow cannot
// decode. The step parks again, and every repair is still possible.
func TestWrongResult(t *testing.T) {
	t.Parallel()
	resolve := func(r *run, result string) {
		r.SignalWorkflow(event.SignalResolve, parking.Resolve{Step: "A", Result: json.RawMessage(result), By: "ada"})
	}
	for name, tt := range map[string]struct {
		repair func(r *run)
		result string // of the Workflow; "" where it does not complete
		calls  int    // of A
	}{
		"resolved with another":     {func(r *run) { resolve(r, `"by hand"`) }, "Bby hand", attempts},
		"resolved with nothing":     {func(r *run) { resolve(r, `null`) }, "B", attempts},
		"resumed":                   {func(r *run) { r.SignalWorkflow(event.SignalResume, parking.Resume{}) }, "BA1", attempts + 1},
		"discarded":                 {func(r *run) { r.SignalWorkflow(event.SignalDiscard, parking.Discard{Why: "no"}) }, "", attempts},
		"canceled":                  {func(r *run) { r.CancelWorkflow() }, "", attempts},
		"wrong again, then another": {func(r *run) { resolve(r, `[]`); r.at(time.Hour, func() { resolve(r, `"at last"`) }) }, "Bat last", attempts},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, twoSteps, parking.Options{})
			r.failures["A"] = attempts
			r.at(time.Hour, func() { resolve(r, `{"id": 7}`) })
			r.at(2*time.Hour, func() {
				require.Contains(t, r.details(), "### Parked at `A`: failed")
				require.Contains(t, r.details(), "does not fit: ")
				require.Contains(t, r.details(), "cannot unmarshal object into Go value of type string")
				tt.repair(r)
			})
			r.start()
			require.Equal(t, tt.calls, r.called("A"))
			if tt.result == "" {
				require.Error(t, r.GetWorkflowError())
				return
			}
			require.NoError(t, r.GetWorkflowError())
			var result string
			require.NoError(t, r.GetWorkflowResult(&result))
			require.Equal(t, tt.result, result)
		})
	}
}

// TestWrongResultInSelector decodes in a callback of a Selector, and twice.
func TestWrongResultInSelector(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(ctx workflow.Context, _ event.Event, _ converter.RawValue) (string, error) {
		ctx = options(ctx)
		var first, second string
		selector := workflow.NewSelector(ctx)
		selector.AddFuture(workflow.ExecuteActivity(ctx, "A", "1"), func(f workflow.Future) {
			if f.Get(ctx, &first) != nil || f.Get(ctx, &second) != nil {
				first = "an error"
			}
		})
		selector.Select(ctx)
		return first + " " + second, nil
	}, parking.Options{})
	r.failures["A"] = attempts
	r.at(time.Hour, func() { r.SignalWorkflow(event.SignalResolve, parking.Resolve{Result: json.RawMessage(`7`)}) })
	r.at(2*time.Hour, func() { r.SignalWorkflow(event.SignalResolve, parking.Resolve{Result: json.RawMessage(`"x"`)}) })
	r.start()
	var result string
	require.NoError(t, r.GetWorkflowResult(&result))
	require.Equal(t, "x x", result)
}

// failing is twoSteps and an error behind it, which carries over what is done.
func failing(ctx workflow.Context, ev event.Event, p converter.RawValue) (string, error) {
	if _, err := twoSteps(ctx, ev, p); err != nil {
		return "", err
	}
	return "", errors.New("no rule for this order")
}

// counted is twoSteps of other code, in which A returns a number.
func counted(ctx workflow.Context, _ event.Event, _ converter.RawValue) (string, error) {
	ctx = options(ctx)
	var a int
	if err := workflow.ExecuteActivity(ctx, "A", "1").Get(ctx, &a); err != nil {
		return "", err
	}
	return fmt.Sprint(a), nil
}

// TestCarriedResult deploys code that cannot decode a result of an earlier run.
func TestCarriedResult(t *testing.T) {
	t.Parallel()
	t.Run("of the step", func(t *testing.T) {
		t.Parallel()
		r := newRun(t, failing, parking.Options{})
		r.start()
		next := r.continued(counted)
		next.results["A"] = 7
		next.at(time.Hour, func() { next.SignalWorkflow(event.SignalResume, parking.Resume{}) })
		next.start()
		require.NoError(t, next.GetWorkflowError())
		require.Equal(t, 1, next.called("A"), "it ran again")
		require.Contains(t, next.details(), "the result of `A` from before does not fit the code, so it runs again")
	})
	t.Run("of a person", func(t *testing.T) {
		t.Parallel()
		r := newRun(t, failing, parking.Options{})
		r.failures["A"] = attempts
		r.at(time.Hour, func() { r.SignalWorkflow(event.SignalResolve, parking.Resolve{Result: json.RawMessage(`"by hand"`)}) })
		r.start()
		next := r.continued(counted)
		next.at(time.Hour, func() { next.SignalWorkflow(event.SignalResume, parking.Resume{}) })
		next.at(2*time.Hour, func() {
			require.Contains(t, next.details(), "### Parked at `A`: failed")
			next.SignalWorkflow(event.SignalResolve, parking.Resolve{Result: json.RawMessage(`8`)})
		})
		next.start()
		require.NoError(t, next.GetWorkflowError())
		require.Zero(t, next.called("A"), "what was done by hand runs only when somebody says so")
		var result string
		require.NoError(t, next.GetWorkflowResult(&result))
		require.Equal(t, "8", result)
	})
}

// TestNotComeTo resolves a step by hand, and has the run that continues this one
// fail before it comes to that step. The run after it has the result all the
// same.
func TestNotComeTo(t *testing.T) {
	t.Parallel()
	first := newRun(t, failing, parking.Options{})
	first.failures["B"] = attempts
	first.at(time.Hour, func() {
		first.SignalWorkflow(event.SignalResolve, parking.Resolve{Result: json.RawMessage(`"by hand"`)})
	})
	first.start()
	second := first.continued(func(workflow.Context, event.Event, converter.RawValue) error { return errors.New("no rule at all") })
	second.at(time.Hour, func() { second.SignalWorkflow(event.SignalResume, parking.Resume{}) })
	second.start()
	third := second.continued(twoSteps)
	third.at(time.Hour, func() { third.SignalWorkflow(event.SignalResume, parking.Resume{}) })
	third.start()
	require.NoError(t, third.GetWorkflowError())
	require.Empty(t, third.calls["A"]+third.calls["B"])
	var result string
	require.NoError(t, third.GetWorkflowResult(&result))
	require.Equal(t, "by hand", result)
}

// TestParkedCarriesOver has the Workflow fail as a whole while one of its steps
// is parked: that step stays parked in the run that continues this one.
func TestParkedCarriesOver(t *testing.T) {
	t.Parallel()
	broken := func(fails bool) func(workflow.Context, event.Event, converter.RawValue) error {
		return func(ctx workflow.Context, _ event.Event, _ converter.RawValue) error {
			ctx = options(ctx)
			parked := workflow.ExecuteActivity(ctx, "A", "1")
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return err
			}
			if fails {
				return errors.New("no rule for this order")
			}
			return parked.Get(ctx, nil)
		}
	}
	r := newRun(t, broken(true), parking.Options{})
	r.failures["A"] = attempts
	r.start()
	next := r.continued(broken(false))
	next.at(time.Hour, func() {
		require.Contains(t, next.details(), "### Parked at `workflow`: failed")
		next.SignalWorkflow(event.SignalResume, parking.Resume{})
	})
	next.at(3*time.Hour, func() {
		require.Zero(t, next.called("A"), "resuming the Workflow is not resuming the step")
		require.Contains(t, next.details(), "### Parked at `A`: exhausted")
		next.SignalWorkflow(event.SignalResume, parking.Resume{})
	})
	next.start()
	require.NoError(t, next.GetWorkflowError())
	require.Equal(t, 1, next.called("A"))
}

// TestPanics has a team's code panic wherever it runs. Each panic parks the
// Workflow as a whole, with what it said.
func TestPanics(t *testing.T) {
	t.Parallel()
	boom := func(with any) { panic(with) }
	for name, function := range map[string]func(workflow.Context){
		"a text":                 func(workflow.Context) { boom("no such tariff") },
		"an error":               func(workflow.Context) { boom(errors.New("no such tariff")) },
		"a struct":               func(workflow.Context) { boom(struct{ Why string }{"no such tariff"}) },
		"an error of Temporal's": func(workflow.Context) { boom(temporal.NewApplicationError("no such tariff", "T")) },
		"in a coroutine": func(ctx workflow.Context) {
			workflow.Go(ctx, func(workflow.Context) { boom("no such tariff") })
			_ = workflow.Sleep(ctx, time.Minute)
		},
		"in a coroutine of a coroutine": func(ctx workflow.Context) {
			workflow.Go(ctx, func(ctx workflow.Context) {
				workflow.GoNamed(ctx, "inner", func(workflow.Context) { boom("no such tariff") })
			})
			_ = workflow.Sleep(ctx, time.Minute)
		},
		"in a callback of a Selector": func(ctx workflow.Context) {
			workflow.NewSelector(ctx).AddFuture(workflow.NewTimer(ctx, time.Second), func(workflow.Future) { boom("no such tariff") }).Select(ctx)
		},
		"in a condition": func(ctx workflow.Context) {
			_ = workflow.Await(ctx, func() bool { boom("no such tariff"); return true })
		},
		"in a SideEffect": func(ctx workflow.Context) {
			workflow.SideEffect(ctx, func(workflow.Context) any { boom("no such tariff"); return 1 })
		},
		"behind a step": func(ctx workflow.Context) {
			_ = workflow.ExecuteActivity(options(ctx), "A", "1").Get(ctx, nil)
			boom("no such tariff")
		},
		"in a deferred call": func(workflow.Context) { defer boom("no such tariff") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, func(ctx workflow.Context, _ event.Event, _ converter.RawValue) error {
				function(ctx)
				return nil
			}, parking.Options{})
			r.start()
			next := r.continued(twoSteps)
			next.at(time.Hour, func() {
				require.Contains(t, next.details(), "### Parked at `workflow`: panic")
				require.Contains(t, next.details(), "no such tariff")
				next.SignalWorkflow(event.SignalResume, parking.Resume{})
			})
			next.start()
			require.NoError(t, next.GetWorkflowError())
			require.Empty(t, cmp.Diff([]string{"workflow panic"}, next.reports))
		})
	}
}

// TestPanicInUpdate has a handler of an Update panic: its sender is told, and
// the run parks.
func TestPanicInUpdate(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(ctx workflow.Context, _ event.Event, _ converter.RawValue) error {
		err := workflow.SetUpdateHandler(ctx, "correct", func(workflow.Context) error { panic("no such tariff") })
		if err != nil {
			return err
		}
		return workflow.Sleep(ctx, 24*time.Hour)
	}, parking.Options{})
	var said error
	r.at(time.Hour, func() {
		r.UpdateWorkflow("correct", "1", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { said = err }, OnComplete: func(_ any, err error) { said = err },
		})
	})
	r.start()
	require.ErrorContains(t, said, "no such tariff")
	next := r.continued(twoSteps)
	next.at(time.Hour, func() {
		require.Contains(t, next.details(), "### Parked at `workflow`: panic")
		next.SignalWorkflow(event.SignalResume, parking.Resume{})
	})
	next.start()
	require.NoError(t, next.GetWorkflowError())
}

// TestBounds parks many steps with long errors, again and again, with long
// reasons. What is written and shown stays small.
func TestBounds(t *testing.T) {
	t.Parallel()
	const n, cycles = 100, 5
	r := newRun(t, func(ctx workflow.Context, _ event.Event, _ converter.RawValue) error {
		ctx = options(ctx)
		var steps []workflow.Future
		for i := range n {
			steps = append(steps, workflow.ExecuteActivity(ctx, "A", fmt.Sprint(i)))
		}
		for _, step := range steps {
			if err := step.Get(ctx, nil); err != nil {
				return err
			}
		}
		return nil
	}, parking.Options{ParkFor: 1000 * time.Hour})
	r.failures["A"] = cycles * n
	r.errors["A"] = temporal.NewNonRetryableApplicationError(strings.Repeat("`](x) ", 2000), "Down", nil)
	writes, largest := 0, 0
	r.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		encoded, err := json.Marshal(args.Get(0))
		require.NoError(t, err)
		writes++
		largest = max(largest, len(encoded))
	}).Return(nil)
	for i := range cycles {
		r.at(time.Duration(i+1)*time.Hour, func() {
			require.Less(t, len(r.details()), 16<<10)
			r.SignalWorkflow(event.SignalResume, parking.Resume{By: strings.Repeat("ada ", 1000), Why: strings.Repeat("why? ", 1000)})
		})
	}
	r.start()
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, (cycles+1)*n, r.called("A"))
	require.Less(t, largest, 16<<10)
	require.Less(t, writes, cycles*(shownAtOnce+3), "a write for each change that shows, and not for each step")
	require.Len(t, r.reports, cycles, "one alert each time that the run parks")
}

// shownAtOnce is how many steps the memo names.
const shownAtOnce = 10

// TestNothingBreaksOut gives the page what strangers can write.
func TestNothingBreaksOut(t *testing.T) {
	t.Parallel()
	const evil = "![](https://evil.example/x.png) <img src=x> [click](https://evil.example) `` ` ```\n# Approved\n"
	r := newRun(t, twoSteps, parking.Options{})
	r.failures["B"] = 2 * attempts
	r.errors["B"] = errors.New(evil)
	r.at(time.Hour, func() { r.SignalWorkflow(event.SignalResume, parking.Resume{By: evil, Why: evil}) })
	r.at(2*time.Hour, func() {
		r.check(t, r.details())
		r.SignalWorkflow(event.SignalResolve, parking.Resolve{By: evil, Why: evil})
	})
	r.startWith(event.Event{Source: "src", Provider: "test", ID: "1", Type: evil, ContentType: `text/plain; x="` + evil + `"`})
	require.NoError(t, r.GetWorkflowError())
	r.check(t, r.details())
}

// check sees that whatever is not ours is within code.
func (r *run) check(t *testing.T, page string) {
	var plain strings.Builder
	for i, part := range strings.Split(page, "```") {
		if i%2 == 1 {
			continue // a block
		}
		for i, part := range strings.Split(part, "`") {
			if i%2 == 0 { // not a span
				plain.WriteString(part)
			}
		}
	}
	for _, mark := range []string{"evil", "![", "](", "<img", "# Approved"} {
		require.NotContains(t, plain.String(), mark, page)
	}
}

// continued returns the run that continues one which started over, with other
// code.
func (r *run) continued(function any) *run {
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(r.t, r.GetWorkflowError(), &anew)
	next := newRun(r.t, function, parking.Options{})
	next.SetHeader(anew.Header)
	return next
}
