package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

// outage is a source with parked runs, and somebody who is told of them.
type outage struct {
	*testsuite.TestWorkflowEnvironment
	started time.Time
	// parked is how many runs are parked so long after the start.
	parked func(after time.Duration) int
	// since is when the oldest of them parked, measured likewise.
	since func(after time.Duration) time.Duration
	// down reports whether the channel fails so long after the start.
	down func(after time.Duration) bool
	// refusals is how often Temporal does not count.
	refusals int

	looks []time.Duration
	told  []message
}

// message is one that was taken, and when.
type message struct {
	after time.Duration
	kind  alert.Kind
	runs  int
}

func newOutage(t *testing.T, parked func(time.Duration) int) *outage {
	o := &outage{
		TestWorkflowEnvironment: environment(t, examples()),
		parked:                  parked,
		since:                   func(time.Duration) time.Duration { return 0 },
		down:                    func(time.Duration) bool { return false },
	}
	o.RegisterActivity(&alert.Activities{})
	o.SetTestTimeout(time.Minute)
	o.started = o.Now()
	o.OnActivity("CountParked", mock.Anything, "stripe").Return(func(context.Context, string) (alert.Count, error) {
		if o.refusals--; o.refusals >= 0 {
			return alert.Count{}, errors.New("rate limit")
		}
		after := o.after()
		o.looks = append(o.looks, after)
		count := alert.Count{Runs: o.parked(after)}
		if count.Runs > 0 {
			count.Oldest = &alert.Run{WorkflowID: "stripe:evt_1", Since: o.started.Add(o.since(after))}
		}
		return count, nil
	}).Maybe()
	o.OnActivity("SendAlert", mock.Anything, mock.Anything).Return(func(_ context.Context, alert alert.Notice) error {
		require.Equal(t, "stripe", alert.Source)
		if o.down(o.after()) {
			return errors.New("down")
		}
		o.told = append(o.told, message{o.after(), alert.Kind, alert.Count.Runs})
		return nil
	}).Maybe()
	return o
}

func (o *outage) after() time.Duration { return o.Now().Sub(o.started).Round(time.Second) }

func (o *outage) run() {
	o.ExecuteWorkflow(event.AlertWorkflow, alert.Input{
		Report:        event.ParkedReport{Source: "stripe", WorkflowID: "stripe:evt_1", Step: "SendReceipt", Reason: "exhausted"},
		DigestEvery:   15 * time.Minute,
		EscalateAfter: 24 * time.Hour,
	})
}

// until returns what is parked when n runs are, for so long.
func until(end time.Duration, n int) func(time.Duration) int {
	return func(after time.Duration) int {
		if after < end {
			return n
		}
		return 0
	}
}

func kinds(told []message) string {
	var text string
	for _, m := range told {
		text += fmt.Sprintf("%s %d, ", m.kind, m.runs)
	}
	return text
}

func TestAlertsOfOneRun(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(10*time.Minute, 1))
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Equal(t, "parked 1, cleared 0, ", kinds(o.told))
	require.Zero(t, o.told[0].after, "at once")
	require.Less(t, o.told[1].after, 16*time.Minute)
}

// TestAlertsBelieveNoFirstZero sees that a run is not called gone that the
// lists do not show yet.
func TestAlertsBelieveNoFirstZero(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	o.parked = func(after time.Duration) int {
		if len(o.looks) == 1 {
			return 0
		}
		return until(10*time.Minute, 1)(after)
	}
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Equal(t, "parked 1, cleared 0, ", kinds(o.told))
	require.Greater(t, o.told[1].after, 10*time.Minute)
	require.GreaterOrEqual(t, o.looks[1]-o.looks[0], 10*time.Second)
}

// TestAlertsOfManyRuns sees how often people hear of runs that park one after
// the other.
func TestAlertsOfManyRuns(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	o.parked = func(after time.Duration) int {
		if after > time.Hour {
			return 0
		}
		return 1 + int(after.Seconds())
	}
	o.run()
	require.NoError(t, o.GetWorkflowError())
	var early int
	for i, m := range o.told {
		if m.after < 5*time.Minute {
			early++
		}
		if i >= 2 && m.kind == alert.Digest {
			require.GreaterOrEqual(t, m.after-o.told[i-1].after, 15*time.Minute)
		}
	}
	require.Equal(t, 2, early)
	require.Equal(t, alert.Digest, o.told[1].kind)
	require.Greater(t, o.told[1].runs, 100)
	require.Len(t, o.told, 6, "the first, after 2, 17, 32 and 47 minutes, and cleared: %v", o.told)
	require.Equal(t, alert.Cleared, o.told[5].kind)
}

func TestAlertsSayNothingWithoutAChange(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(20*time.Hour, 1))
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Equal(t, "parked 1, cleared 0, ", kinds(o.told))
	require.Less(t, len(o.looks), 20*12+10, "about every 5 minutes")
}

func TestAlertsEscalateOnce(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(72*time.Hour, 1))
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Equal(t, "parked 1, escalated 1, cleared 0, ", kinds(o.told))
	require.GreaterOrEqual(t, o.told[1].after, 24*time.Hour)
	require.Less(t, o.told[1].after, 24*time.Hour+6*time.Minute)

	// It is how long a run is parked that counts, and not the alerts' age.
	moving := newOutage(t, until(72*time.Hour, 1))
	moving.since = func(after time.Duration) time.Duration { return after - time.Hour }
	moving.run()
	require.NoError(t, moving.GetWorkflowError())
	require.Equal(t, "parked 1, cleared 0, ", kinds(moving.told))
}

// TestAlertsOfAnotherOutage sees that a run that parks after the last message
// is told about at once.
func TestAlertsOfAnotherOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, nil)
	o.parked = func(after time.Duration) int {
		if len(o.told) >= 2 && after < o.told[1].after+10*time.Minute {
			return 3
		}
		return 0
	}
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Equal(t, "parked 1, cleared 0, digest 3, cleared 0, ", kinds(o.told))
	require.LessOrEqual(t, o.told[2].after-o.told[1].after, time.Minute)
}

// TestAlertsWhileTheChannelIsDown sees that only what is still so is told once
// the channel is back.
func TestAlertsWhileTheChannelIsDown(t *testing.T) {
	t.Parallel()
	o := newOutage(t, func(after time.Duration) int {
		switch {
		case after < time.Minute:
			return 1
		case after < 2*time.Hour:
			return 50
		default:
			return 0
		}
	})
	o.down = func(after time.Duration) bool { return after < time.Hour }
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Equal(t, "digest 50, cleared 0, ", kinds(o.told))
	require.GreaterOrEqual(t, o.told[0].after, time.Hour)
	require.Less(t, o.told[0].after, time.Hour+11*time.Minute)
}

// TestAlertsGiveUp sees that a channel that stays down does not keep the
// Workflow open, nor fail it.
func TestAlertsGiveUp(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(5*time.Minute, 1))
	o.down = func(time.Duration) bool { return true }
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Empty(t, o.told)
	require.Greater(t, o.after(), time.Hour, "for as long as the last message is tried")
	require.Less(t, o.after(), 2*time.Hour)
}

// TestAlertsSurviveCountingErrors sees that a Temporal that does not count is
// asked again.
func TestAlertsSurviveCountingErrors(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(0, 0))
	o.refusals = 5
	o.run()
	require.NoError(t, o.GetWorkflowError())
	require.Equal(t, "parked 1, cleared 0, ", kinds(o.told))
}

// TestAlertsContinueAsNew sees that a long outage does not outgrow a history,
// and that nothing is told twice for it.
func TestAlertsContinueAsNew(t *testing.T) {
	t.Parallel()
	parked := func(time.Duration) int { return 7 }
	o := newOutage(t, parked)
	o.RegisterDelayedCallback(func() { o.SetContinueAsNewSuggested(true) }, 30*time.Hour)
	o.run()
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, o.GetWorkflowError(), &next)
	require.Equal(t, event.AlertWorkflow, next.WorkflowType.Name)
	require.Equal(t, "parked 1, digest 7, escalated 7, ", kinds(o.told))
	var input alert.Input
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &input))
	require.Equal(t, 7, input.Progress.Told)

	second := newOutage(t, until(time.Hour, 7))
	second.since = func(time.Duration) time.Duration { return -30 * time.Hour }
	second.ExecuteWorkflow(event.AlertWorkflow, input)
	require.NoError(t, second.GetWorkflowError())
	require.Equal(t, "cleared 0, ", kinds(second.told))
}

// TestAlertsContinueAfterTelling sees that a message is not lost with the run
// that was about to send it: the look after 24 hours has one.
func TestAlertsContinueAfterTelling(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(72*time.Hour, 1))
	o.RegisterDelayedCallback(func() { o.SetContinueAsNewSuggested(true) }, 24*time.Hour)
	o.run()
	require.ErrorAs(t, o.GetWorkflowError(), new(*workflow.ContinueAsNewError))
	require.Equal(t, "parked 1, escalated 1, ", kinds(o.told))
}

func TestAlertsAreCanceled(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(time.Hour, 1))
	o.RegisterDelayedCallback(o.CancelWorkflow, 10*time.Minute)
	o.run()
	require.ErrorContains(t, o.GetWorkflowError(), "canceled")
	require.Less(t, o.after(), 11*time.Minute)
}

// TestAlertsNeverSpin sees that no setting makes the Workflow a busy loop.
func TestAlertsNeverSpin(t *testing.T) {
	t.Parallel()
	o := newOutage(t, until(20*time.Second, 1))
	o.ExecuteWorkflow(event.AlertWorkflow, alert.Input{Report: event.ParkedReport{Source: "stripe"}})
	require.NoError(t, o.GetWorkflowError())
	require.LessOrEqual(t, len(o.looks), 25)
	require.Equal(t, "parked 1, cleared 0, ", kinds(o.told))
}
