// Package worker is what runs around and beside a team's Workflows: Retry
// Policies, parking, first attempts, alerts and pauses.
package worker

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

// How often the alerts look at what is parked, where digest_every is not
// shorter than that.
const (
	firstLook   = time.Minute      // after a message, and after a change
	longestLook = 5 * time.Minute  // while nothing changes
	secondLook  = 10 * time.Second // at a 0, before it is believed
)

// firstDigest is how soon after the first message another number is told: the
// first message speaks of one run, and an outage parks many.
const firstDigest = 2 * time.Minute

// alerting is the Workflow "hookyard.alerts": it tells of the parked runs of
// one source, from the first one until none is left.
//
// It says at once that a run parked, then how many there are when that
// changes, at most every digest_every, once that one has been parked for
// longer than escalate_after, and in the end that none is left. What is parked
// it asks of Temporal, so that however many runs park and go on, they add
// nothing to its history.
//
// That answer is a second or two old. So a 0 counts only when it is seen
// twice, and after the last message it looks once more. A run that parks in
// the last second or two before it ends is told about with the next one.
func alerting(ctx workflow.Context, in alert.Input) error {
	a := &alarm{Input: in}
	if a.Progress == nil {
		a.Progress = &alert.Progress{Pause: a.atMost(firstLook), Seen: 1}
		a.tell(ctx, alert.Notice{Kind: alert.Parked, Report: &a.Report, Count: alert.Count{Runs: 1}})
	}
	for {
		if err := workflow.Sleep(ctx, a.Progress.Pause); err != nil {
			return err
		}
		count, err := a.count(ctx)
		if err != nil {
			return err
		}
		// A channel that is down keeps its last message under way. Newer runs
		// are told about meanwhile, and the end waits for it; a history that
		// has grown long does not, unless the message is from just now.
		delivered, last := a.delivered(ctx), a.sending
		switch over := a.consider(ctx, count); {
		case over && delivered:
			return nil
		case a.sending == last && workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			return workflow.NewContinueAsNewError(ctx, event.AlertWorkflow, a.Input)
		}
	}
}

// alarm is the state of one run of the alerts.
type alarm struct {
	alert.Input
	sending workflow.Future // the last message; nil once it is dealt with
	stop    workflow.CancelFunc
}

// atMost returns how long to wait: the given time, or digest_every if that is
// shorter, and never so short that the wait is a busy loop.
func (a *alarm) atMost(d time.Duration) time.Duration {
	return max(min(d, a.DigestEvery), time.Second)
}

// count asks what is parked, for as long as it takes to get an answer.
func (a *alarm) count(ctx workflow.Context) (alert.Count, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
	var (
		alerts *alert.Activities
		count  alert.Count
	)
	err := workflow.ExecuteActivity(ctx, alerts.CountParked, a.Report.Source).Get(ctx, &count)
	return count, err
}

// consider tells what there is to tell, and reports whether there is nothing
// left to wait for.
func (a *alarm) consider(ctx workflow.Context, count alert.Count) (over bool) {
	p := a.Progress
	if count.Runs == 0 {
		p.Zeros++
		p.Seen = 0
		switch {
		case p.Zeros == 1:
			p.Pause = secondLook
		case p.Told > 0:
			a.tell(ctx, alert.Notice{Kind: alert.Cleared, Before: p.Told})
			p.Escalated = false
			p.Pause = a.atMost(firstLook)
		default:
			return true
		}
		return false
	}

	p.Zeros = 0
	p.Pause = a.atMost(min(2*p.Pause, longestLook))
	if count.Runs != p.Seen {
		p.Seen, p.Pause = count.Runs, a.atMost(firstLook)
	}
	now := workflow.Now(ctx)
	switch {
	case !p.Escalated && a.EscalateAfter > 0 && count.Oldest != nil && now.Sub(count.Oldest.Since) >= a.EscalateAfter:
		p.Escalated = true
		a.tell(ctx, alert.Notice{Kind: alert.Escalated, Count: count, Before: p.Told})
	case p.Told == 0, count.Runs != p.Told && !now.Before(p.NextDigest):
		a.tell(ctx, alert.Notice{Kind: alert.Digest, Count: count, Before: p.Told})
	}
	return false
}

// tell sends a message and does not wait for it. It stops the one before it,
// if some channel has not taken that yet: what it says is no longer so.
func (a *alarm) tell(ctx workflow.Context, message alert.Notice) {
	if a.stop != nil {
		a.stop()
	}
	p := a.Progress
	wait := a.DigestEvery
	if p.Told == 0 {
		wait = min(wait, firstDigest)
	}
	p.NextDigest = workflow.Now(ctx).Add(wait)
	p.Told = message.Count.Runs

	message.Source = a.Report.Source
	ctx, a.stop = workflow.WithCancel(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		Summary:             fmt.Sprintf("%s, %d parked", message.Kind, message.Count.Runs),
		StartToCloseTimeout: time.Minute,
		// 12 attempts take an hour and a quarter.
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 10 * time.Second, BackoffCoefficient: 3, MaximumInterval: 10 * time.Minute, MaximumAttempts: 12,
		},
	}))
	var alerts *alert.Activities
	a.sending = workflow.ExecuteActivity(ctx, alerts.SendAlert, message)
}

// delivered reports whether no message is on its way any more.
func (a *alarm) delivered(ctx workflow.Context) bool {
	if a.sending == nil {
		return true
	}
	if !a.sending.IsReady() {
		return false
	}
	if err := a.sending.Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("an alert did not reach everybody", "source", a.Report.Source, "err", err)
	}
	a.sending = nil
	return true
}
