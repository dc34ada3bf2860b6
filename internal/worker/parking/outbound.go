package parking

import (
	"errors"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// outbound wraps the steps of a Workflow.
type outbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	run *run
}

// ExecuteActivity parks an Activity that fails.
func (o *outbound) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	attempts := attemptsOf(workflow.GetActivityOptions(ctx).RetryPolicy)
	return o.step(ctx, activityType, args, attempts, func() workflow.Future {
		return o.Next.ExecuteActivity(ctx, activityType, args...)
	})
}

// ExecuteLocalActivity parks a local Activity that fails.
func (o *outbound) ExecuteLocalActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	attempts := attemptsOf(workflow.GetLocalActivityOptions(ctx).RetryPolicy)
	return o.step(ctx, activityType, args, attempts, func() workflow.Future {
		return o.Next.ExecuteLocalActivity(ctx, activityType, args...)
	})
}

func attemptsOf(p *temporal.RetryPolicy) int {
	if p == nil {
		return 0
	}
	return int(p.MaximumAttempts)
}

// step starts a step and returns a future that is ready once the step is done,
// however long that takes and whatever it takes.
func (o *outbound) step(ctx workflow.Context, name string, args []any, attempts int, start func() workflow.Future) workflow.Future {
	if isOff(ctx) {
		return start()
	}
	future, settable := workflow.NewFuture(ctx)
	call := o.run.calling(name, args)
	if call.done {
		set(settable, call.result)
		return future
	}
	started := workflow.Now(ctx)
	attempt := start()
	workflow.GoNamed(ctx, "step "+name, func(ctx workflow.Context) {
		for {
			var raw converter.RawValue
			err := attempt.Get(ctx, &raw)
			if err == nil {
				call.finish(raw.Payload())
				set(settable, raw.Payload())
				return
			}
			if ctx.Err() != nil {
				settable.SetError(err)
				return
			}
			d, err := o.run.park(ctx, failureOf(name, err, started, attempts))
			if err != nil { // the Workflow was canceled
				settable.SetError(err)
				return
			}
			if d.resolved {
				call.finish(payloadOf(d.result))
				set(settable, call.result)
				return
			}
			if workflow.GetInfo(ctx).GetContinueAsNewSuggested() { // the history should not get longer
				o.run.end(o.run.startOver)
				return
			}
			started = workflow.Now(ctx)
			attempt = start()
		}
	})
	return future
}

func set(settable workflow.Settable, result *commonpb.Payload) {
	if result == nil {
		settable.SetValue(nil)
		return
	}
	settable.SetValue(&commonpb.Payloads{Payloads: []*commonpb.Payload{result}})
}

// payloadOf returns JSON that a person gave as a step's result.
func payloadOf(result []byte) *commonpb.Payload {
	if len(result) == 0 || string(result) == "null" {
		return nil
	}
	return &commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)},
		Data:     result,
	}
}

// reasonOfStep says why a step failed, and after how many attempts where that
// is known; most is how many its Retry Policy allows.
func reasonOfStep(err error, most int) (Reason, int) {
	app, said := errors.AsType[*temporal.ApplicationError](err)
	_, late := errors.AsType[*temporal.TimeoutError](err)
	state := enumspb.RETRY_STATE_UNSPECIFIED // of a local Activity
	if activity, ok := errors.AsType[*temporal.ActivityError](err); ok {
		state = activity.RetryState()
	}
	switch {
	case state == enumspb.RETRY_STATE_NON_RETRYABLE_FAILURE, said && app.NonRetryable():
		return ReasonPermanent, 0
	case state == enumspb.RETRY_STATE_TIMEOUT: // no time left for another attempt
		return ReasonTimeout, 0
	case late:
		return ReasonTimeout, most
	default:
		return ReasonExhausted, most
	}
}

// reasonOfWhole says why a Workflow's function failed.
func reasonOfWhole(err error) Reason {
	if _, ok := errors.AsType[*panicked](err); ok {
		return ReasonPanic
	}
	if _, ok := errors.AsType[*temporal.ActivityError](err); ok { // of a step that does not park
		reason, _ := reasonOfStep(err, 0)
		return reason
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		switch Reason(app.Type()) { //nolint:exhaustive // the others are not a Workflow's to claim
		case ReasonUndecodable:
			return ReasonUndecodable
		case ReasonUnhandled:
			return ReasonUnhandled
		}
	}
	return ReasonFailed
}

// Message is the innermost error's text, which is what the step said.
func Message(err error) string {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return app.Error()
	}
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok {
		return timeout.Error()
	}
	return err.Error()
}
