package worker

import (
	"errors"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// firstAttempt makes the first attempt of the steps that the event names as a
// local Activity: it runs where the Workflow runs, and one write stores its
// result together with what the Workflow does next, in place of three.
//
// An attempt that fails is followed, after the wait that the Retry Policy asks
// for, by a regular Activity with the attempts that are left: from there on the
// Web UI shows each of them, and pauses and resets them.
//
// Where the Workflow Task was attempted before, the step is a regular Activity
// from the start: the attempt may be what ended the worker.
//
// The function is called with the very arguments that the Workflow passes, not
// with copies: a Workflow must not change what they point to, and they have to
// be of the types of its parameters.
type firstAttempt struct {
	interceptor.WorkflowOutboundInterceptorBase
	event func() (event.Event, bool) // of the run
	tasks *Tasks
}

func (o *firstAttempt) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	ev, _ := o.event()
	options := workflow.GetActivityOptions(ctx)
	if !slices.Contains(ev.Local, activityType) || !o.here(ctx, activityType, options) {
		return o.Next.ExecuteActivity(ctx, activityType, args...)
	}
	policy := complete(options.RetryPolicy)
	future, settable := workflow.NewFuture(ctx)
	attempt := workflow.ExecuteLocalActivity(local(ctx, activityType, options), activityType, args...)
	workflow.GoNamed(ctx, "first attempt of "+activityType, func(ctx workflow.Context) {
		err := attempt.Get(ctx, nil)
		if err == nil || ctx.Err() != nil {
			settable.Chain(attempt)
			return
		}
		wait, again := nextAttempt(err, policy)
		if !again {
			settable.SetError(final(err, policy))
			return
		}
		if err := backOff(ctx, wait, activityType, err); err != nil {
			settable.SetError(err)
			return
		}
		left := attemptsLeft(policy)
		options.RetryPolicy = &left
		settable.Chain(o.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, options), activityType, args...))
	})
	return future
}

// here decides whether the first attempt is made here, and writes that into the
// history: a replay does what was done, whatever the config says by then.
func (o *firstAttempt) here(ctx workflow.Context, activityType string, options workflow.ActivityOptions) (here bool) {
	now := short(ctx, options) && valid(options.RetryPolicy) && !o.tasks.Again(workflow.GetInfo(ctx).WorkflowExecution.RunID)
	choice := workflow.MutableSideEffectWithOptions(ctx, "first attempt: "+activityType,
		workflow.MutableSideEffectOptions{Summary: "is the first attempt of " + event.Code(activityType) + " made where the Workflow runs?"},
		func(workflow.Context) any { return now },
		func(a, b any) bool { return a == b })
	if err := choice.Get(&here); err != nil {
		workflow.GetLogger(ctx).Error("where the first attempt is made cannot be read", "step", activityType, "err", err)
	}
	return here
}

// short reports whether a step fits into a Workflow Task and asks for nothing
// that a local Activity does not have.
func short(ctx workflow.Context, o workflow.ActivityOptions) bool {
	return o.StartToCloseTimeout > 0 && o.StartToCloseTimeout <= event.LocalWithin &&
		o.ScheduleToCloseTimeout == 0 && o.ScheduleToStartTimeout == 0 && o.HeartbeatTimeout == 0 &&
		(o.TaskQueue == "" || o.TaskQueue == workflow.GetInfo(ctx).TaskQueueName)
}

// local returns the context of the first attempt. It does not park: parking
// waits for the last attempt. A replay may find a timeout that the config no
// longer has.
func local(ctx workflow.Context, activityType string, o workflow.ActivityOptions) workflow.Context {
	timeout := o.StartToCloseTimeout
	if timeout <= 0 {
		timeout = event.LocalWithin
	}
	summary := "first attempt of " + event.Code(activityType) + ", made where the Workflow runs"
	if o.Summary != "" {
		summary = o.Summary
	}
	return workflow.WithLocalActivityOptions(parking.Off(ctx), workflow.LocalActivityOptions{
		StartToCloseTimeout: timeout,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             summary,
	})
}

// valid reports a Retry Policy that the server takes. What it does not take
// goes to the server, which says so.
func valid(p *temporal.RetryPolicy) bool {
	if p == nil || p.MaximumAttempts == 1 {
		return true
	}
	c := complete(p)
	return c.MaximumAttempts >= 0 && c.InitialInterval > 0 && c.BackoffCoefficient >= 1 && c.MaximumInterval >= c.InitialInterval
}

// complete fills in what a Retry Policy does not set, as the server does.
func complete(p *temporal.RetryPolicy) temporal.RetryPolicy {
	var c temporal.RetryPolicy
	if p != nil {
		c = *p
	}
	if c.InitialInterval == 0 {
		c.InitialInterval = time.Second
	}
	if c.BackoffCoefficient == 0 {
		c.BackoffCoefficient = 2
	}
	if c.MaximumInterval == 0 {
		c.MaximumInterval = 100 * c.InitialInterval
	}
	return c
}

// nextAttempt reports whether the policy, which is complete, has a second
// attempt after the error of the first, and how long that waits.
func nextAttempt(err error, p temporal.RetryPolicy) (wait time.Duration, again bool) {
	failure := temporal.GetDefaultFailureConverter().ErrorToFailure(err)
	if p.MaximumAttempts == 1 || !retryable(failure, p.NonRetryableErrorTypes) {
		return 0, false
	}
	if app, said := errors.AsType[*temporal.ApplicationError](err); said && app.NextRetryDelay() > 0 {
		return app.NextRetryDelay(), true // of an Activity, the server puts it above the longest wait
	}
	return min(p.InitialInterval, p.MaximumInterval), true
}

// retryable says of a failure what the server says of it.
func retryable(f *failurepb.Failure, nonRetryable []string) bool {
	if f.GetActivityFailureInfo() != nil && f.GetCause() != nil {
		f = f.GetCause()
	}
	switch {
	case f.GetCanceledFailureInfo() != nil, f.GetTerminatedFailureInfo() != nil:
		return false
	case f.GetTimeoutFailureInfo() != nil:
		// The server names what it calls a timeout of one attempt this way.
		return !slices.Contains(nonRetryable, "TemporalTimeout:"+enumspb.TIMEOUT_TYPE_START_TO_CLOSE.String())
	case f.GetApplicationFailureInfo() != nil:
		info := f.GetApplicationFailureInfo()
		return !info.GetNonRetryable() && !slices.Contains(nonRetryable, info.GetType())
	default:
		return true
	}
}

// final returns an error that allows no second attempt. Where the policy says
// that and not the error, the error is made to say it, as the server's answer
// about a regular Activity does.
func final(err error, p temporal.RetryPolicy) error {
	app, said := errors.AsType[*temporal.ApplicationError](err)
	if !said || app.NonRetryable() || !slices.Contains(p.NonRetryableErrorTypes, app.Type()) {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(app.Message(), app.Type(), temporal.ApplicationErrorOptions{
		NonRetryable: true, Cause: app.Unwrap(), Category: app.Category(),
	})
}

// backOff waits as the server does between attempts, where the Web UI shows it.
func backOff(ctx workflow.Context, wait time.Duration, activityType string, err error) error {
	return workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{
		Summary: event.Code(activityType) + " failed: " + event.Code(parking.Clip(parking.Message(err), 200)),
	}).Get(ctx, nil)
}

// attemptsLeft returns the policy of the attempts after the first: one fewer,
// and the wait between them grown as after the first.
func attemptsLeft(p temporal.RetryPolicy) temporal.RetryPolicy {
	if p.MaximumAttempts > 0 {
		p.MaximumAttempts--
	}
	p.InitialInterval = min(time.Duration(float64(p.InitialInterval)*p.BackoffCoefficient), p.MaximumInterval)
	return p
}
