package worker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/internal/worker/parking"
)

// LocalWithin is the longest timeout of a step that makes its first attempt
// within the Workflow Task. A Workflow Task may take 10 s by itself, so an
// attempt that fits into it needs no heartbeat.
const LocalWithin = 5 * time.Second

// FirstAttempt is the worker interceptor that makes the first attempt of a
// short step as a local Activity: it runs where the Workflow does, and one
// write stores its result together with what the Workflow does next, in the
// place of three. A step is short if one attempt of it may take at most
// LocalWithin and if nothing else is asked of it: no Task Queue of its own, no
// heartbeat, no limit of all attempts together.
//
// An attempt that fails is followed, after the wait that the Retry Policy asks
// for, by a regular Activity with the attempts that are left: from there on the
// Web UI shows each of them, and pauses and resets them.
//
// The function is called with the very arguments that the Workflow passes, not
// with copies: a Workflow must not change what they point to, and they have to
// be of the types of its parameters.
type FirstAttempt struct {
	interceptor.WorkerInterceptorBase
}

// InterceptWorkflow implements interceptor.WorkerInterceptor. Hookyard's own
// Workflows have nothing to hurry for.
func (f *FirstAttempt) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	if strings.HasPrefix(workflow.GetInfo(ctx).WorkflowType.Name, parking.System) {
		return next
	}
	return &firstInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}}
}

type firstInbound struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (i *firstInbound) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&firstOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: outbound}})
}

type firstOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (o *firstOutbound) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	options := workflow.GetActivityOptions(ctx)
	if !startsHere(ctx, activityType, short(ctx, options)) {
		return o.Next.ExecuteActivity(ctx, activityType, args...)
	}
	var policy temporal.RetryPolicy
	if options.RetryPolicy != nil {
		policy = *options.RetryPolicy
	}
	future, settable := workflow.NewFuture(ctx)
	attempt := workflow.ExecuteLocalActivity(local(ctx, options), activityType, args...)
	workflow.GoNamed(ctx, "first attempt of "+activityType, func(ctx workflow.Context) {
		err := attempt.Get(ctx, nil)
		wait, again := nextAttempt(err, policy)
		if !again || ctx.Err() != nil {
			settable.Chain(attempt)
			return
		}
		if err := backOff(ctx, wait, activityType, err); err != nil {
			settable.SetError(err)
			return
		}
		options.RetryPolicy = attemptsLeft(policy)
		settable.Chain(o.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, options), activityType, args...))
	})
	return future
}

// short reports whether a step is one for a local Activity.
func short(ctx workflow.Context, o workflow.ActivityOptions) bool {
	return o.StartToCloseTimeout > 0 && o.StartToCloseTimeout <= LocalWithin &&
		o.ScheduleToCloseTimeout == 0 && o.HeartbeatTimeout == 0 &&
		(o.TaskQueue == "" || o.TaskQueue == workflow.GetInfo(ctx).TaskQueueName)
}

// startsHere decides where a step's first attempt is made, and writes that into
// the history: a replay does what was done, whatever the config says by then.
//
// A history from before this choice existed holds no answer, and the SDK panics
// where it finds none. Its steps were all regular Activities. workflow.GetVersion
// would say so without a panic, at the price of a Search Attribute, and so of
// one more write, for each run.
func startsHere(ctx workflow.Context, activityType string, here bool) (recorded bool) {
	defer func() {
		if broken := recover(); broken != nil {
			if !workflow.IsReplaying(ctx) {
				panic(broken) //nolint:forbidigo // it is not ours to keep
			}
			recorded = false
		}
	}()
	choice := workflow.MutableSideEffectWithOptions(ctx, "first attempt within the Workflow Task: "+activityType,
		workflow.MutableSideEffectOptions{Summary: activityType},
		func(workflow.Context) any { return here },
		func(a, b any) bool { return a == b })
	if err := choice.Get(&recorded); err != nil {
		workflow.GetLogger(ctx).Error("where the first attempt is made cannot be read", "step", activityType, "err", err)
	}
	return recorded
}

// local returns the context of the first attempt. Parking waits for the last
// one. What is replayed here may have had a timeout that the config of today
// does not have.
func local(ctx workflow.Context, o workflow.ActivityOptions) workflow.Context {
	timeout := o.StartToCloseTimeout
	if timeout <= 0 {
		timeout = LocalWithin
	}
	return workflow.WithLocalActivityOptions(parking.Off(ctx), workflow.LocalActivityOptions{
		StartToCloseTimeout: timeout,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             o.Summary,
	})
}

// nextAttempt reports whether the policy has a second attempt after the error
// of the first, and how long that waits.
func nextAttempt(err error, p temporal.RetryPolicy) (wait time.Duration, again bool) {
	if err == nil || p.MaximumAttempts == 1 {
		return 0, false
	}
	app, said := errors.AsType[*temporal.ApplicationError](err)
	if !said {
		return initial(p), true
	}
	if app.NonRetryable() {
		return 0, false
	}
	if asked := app.NextRetryDelay(); asked > 0 {
		return asked, true
	}
	return initial(p), true
}

// initial is the wait before the second attempt, with Temporal's default.
func initial(p temporal.RetryPolicy) time.Duration {
	if p.InitialInterval <= 0 {
		return time.Second
	}
	return p.InitialInterval
}

// backOff waits as the server does between attempts, in sight of the Web UI.
func backOff(ctx workflow.Context, wait time.Duration, activityType string, err error) error {
	text := fmt.Sprintf("%s failed: %s", activityType, parking.Message(err))
	return workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{
		Summary: strings.ToValidUTF8(text[:min(len(text), 200)], ""),
	}).Get(ctx, nil)
}

// attemptsLeft returns the policy of the attempts after the first: one fewer,
// and the wait between them grown as after the first. What is not set is as the
// server has it.
func attemptsLeft(p temporal.RetryPolicy) *temporal.RetryPolicy {
	if p.MaximumAttempts > 0 {
		p.MaximumAttempts--
	}
	if p.BackoffCoefficient < 1 {
		p.BackoffCoefficient = 2
	}
	if p.MaximumInterval <= 0 {
		p.MaximumInterval = 100 * initial(p)
	}
	p.InitialInterval = min(time.Duration(float64(initial(p))*p.BackoffCoefficient), p.MaximumInterval)
	return &p
}
