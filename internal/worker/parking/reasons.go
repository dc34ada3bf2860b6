package parking

import (
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/event"
)

// reasonOfStep says why a step failed, and after how many attempts where that
// is known; most is how many its Retry Policy allows.
func reasonOfStep(err error, most int) (event.ParkReason, int) {
	app, said := errors.AsType[*temporal.ApplicationError](err)
	_, late := errors.AsType[*temporal.TimeoutError](err)
	state := enumspb.RETRY_STATE_UNSPECIFIED // of a local Activity
	if activity, ok := errors.AsType[*temporal.ActivityError](err); ok {
		state = activity.RetryState()
	}
	switch {
	case said && app.Type() == event.ErrorUnregistered:
		return event.ReasonUnregistered, 0
	case said && app.Type() == event.ErrorExhausted:
		var attempts int
		if err := app.Details(&attempts); err != nil {
			return event.ReasonExhausted, 0 // it does not say
		}
		return event.ReasonExhausted, attempts
	case state == enumspb.RETRY_STATE_NON_RETRYABLE_FAILURE, said && app.NonRetryable():
		return event.ReasonPermanent, 0
	case state == enumspb.RETRY_STATE_TIMEOUT: // no time is left for another attempt
		return event.ReasonTimeout, 0
	case late:
		return event.ReasonTimeout, most
	default:
		return event.ReasonExhausted, most
	}
}

// reasonOfWhole says why a Workflow's function failed.
func reasonOfWhole(err error) event.ParkReason {
	if _, ok := errors.AsType[*panicked](err); ok {
		return event.ReasonPanic
	}
	if _, ok := errors.AsType[*temporal.ActivityError](err); ok { // of a step that does not park
		reason, _ := reasonOfStep(err, 0)
		return reason
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		switch event.ParkReason(app.Type()) { //nolint:exhaustive // a Workflow may not claim the others
		case event.ReasonUndecodable:
			return event.ReasonUndecodable
		case event.ReasonUnhandled:
			return event.ReasonUnhandled
		}
	}
	return event.ReasonFailed
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
