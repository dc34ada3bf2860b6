package parking_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

var heldEvent = event.Event{Source: "src", Provider: "test", ID: "1", Type: "event", Held: true}

// answerPaused has the run told whether its source is paused, and counts how
// often it asks.
func (r *run) answerPaused(paused func() (bool, error)) (asked *atomic.Int32) {
	asked = &atomic.Int32{}
	r.RegisterActivityWithOptions(func(_ context.Context, source string) (bool, error) {
		asked.Add(1)
		if source != "src" {
			return false, errors.New("another source")
		}
		return paused()
	}, activity.RegisterOptions{Name: event.PauseActivity})
	return asked
}

func stillPaused() (bool, error) { return true, nil }

// states notes what lists show.
func (r *run) states() *[]string {
	var seen []string
	r.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(args mock.Arguments) {
		attributes := args.Get(0).(temporal.SearchAttributes)
		state, _ := attributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(event.StateAttribute))
		reason, _ := attributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(event.ReasonAttribute))
		seen = append(seen, state+" "+reason)
	}).Return(nil)
	return &seen
}

func TestHeldUntilResumed(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{ParkFor: time.Hour})
	asked := r.answerPaused(stillPaused)
	states := r.states()
	r.at(100*24*time.Hour, func() {
		require.Zero(t, r.called("A"))
		require.Contains(t, r.details(), "### Held: source \"src\" is paused")
		require.NotContains(t, r.details(), "hookyard discard")
		r.SignalWorkflow(event.SignalResume, parking.Resume{By: "ada", Why: "it is over"})
	})
	r.startWith(heldEvent)
	require.NoError(t, r.GetWorkflowError(), "a pause is no reason to expire")
	require.Equal(t, 1, r.called("B"))
	require.InDelta(t, 100*48, asked.Load(), 10, "it asks every half hour, so that no run is forgotten")
	require.Empty(t, r.reports, "nobody is alerted")
	require.Empty(t, cmp.Diff([]string{"held paused", " "}, *states))
	require.Contains(t, r.details(), "resume by `ada`: `it is over`")
}

// TestHeldTooLate is of a run that an edge holds although the pause has ended.
func TestHeldTooLate(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	r := newRun(t, twoSteps, parking.Options{})
	r.answerPaused(func() (bool, error) {
		if calls.Add(1) < 3 {
			return false, errors.New("temporal is busy")
		}
		return false, nil
	})
	r.startWith(heldEvent)
	require.NoError(t, r.GetWorkflowError())
	require.EqualValues(t, 3, calls.Load())
	require.Equal(t, 1, r.called("B"))
}

func TestHeldDiscardedAndResolved(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		signal string
		input  any
		want   string
	}{
		"discard": {event.SignalDiscard, parking.Discard{By: "ada", Why: "a test"}, `discarded by ada: a test (parked at workflow: source "src" is paused)`},
		"resolve": {event.SignalResolve, parking.Resolve{By: "ada"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, twoSteps, parking.Options{})
			r.answerPaused(stillPaused)
			r.at(time.Hour, func() { r.SignalWorkflow(tt.signal, tt.input) })
			r.startWith(heldEvent)
			if tt.want == "" {
				require.NoError(t, r.GetWorkflowError())
			} else {
				require.ErrorContains(t, r.GetWorkflowError(), tt.want)
			}
			require.Zero(t, r.called("A"))
		})
	}
}

func TestHeldCanceled(t *testing.T) {
	t.Parallel()
	r := newRun(t, twoSteps, parking.Options{})
	r.answerPaused(stillPaused)
	r.at(time.Hour, r.CancelWorkflow)
	r.startWith(heldEvent)
	require.True(t, temporal.IsCanceledError(r.GetWorkflowError()))
	require.Zero(t, r.called("A"))
}

// TestReleasedOnce sees that a run that was held and starts over is not held
// again.
func TestReleasedOnce(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(workflow.Context, event.Event, converter.RawValue) error { return errors.New("no rule") }, parking.Options{})
	r.answerPaused(func() (bool, error) { return false, nil })
	r.startWith(heldEvent)
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(t, r.GetWorkflowError(), &anew)

	next := newRun(t, twoSteps, parking.Options{})
	asked := next.answerPaused(stillPaused)
	next.SetHeader(anew.Header)
	next.at(time.Hour, func() {
		require.Contains(t, next.details(), "### Parked at `workflow`: failed")
		next.SignalWorkflow(event.SignalResume, parking.Resume{})
	})
	next.startWith(heldEvent)
	require.NoError(t, next.GetWorkflowError())
	require.Zero(t, asked.Load())
}

// TestHeldChild sees that an event which a Workflow hands on to its child is
// not held there.
func TestHeldChild(t *testing.T) {
	t.Parallel()
	r := newRun(t, func(ctx workflow.Context, ev event.Event, p converter.RawValue) error {
		return workflow.ExecuteChildWorkflow(ctx, "test.child", ev, p).Get(ctx, nil)
	}, parking.Options{})
	r.RegisterWorkflowWithOptions(twoSteps, workflow.RegisterOptions{Name: "test.child"})
	asked := r.answerPaused(func() (bool, error) { return false, nil })
	r.startWith(heldEvent)
	require.NoError(t, r.GetWorkflowError())
	require.Equal(t, 1, r.called("B"))
	require.EqualValues(t, 1, asked.Load())
}
