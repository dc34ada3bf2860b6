package worker

import (
	"fmt"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/forward"
	"github.com/hookyard/hookyard/internal/worker/waiting"
)

// function is the Workflow's function of a Handler.
type function = func(ctx workflow.Context, ev event.Event, payload converter.RawValue) error

// stateAttribute marks what a list of runs should show besides open or closed.
var stateAttribute = temporal.NewSearchAttributeKeyKeyword(event.StateAttribute)

// routed returns a Workflow that does what the Event's route says: it runs the
// handler, or takes the event elsewhere.
func routed(handler function) function {
	return func(ctx workflow.Context, ev event.Event, payload converter.RawValue) error {
		var forwarding *forward.Activities
		switch ev.Route.Action {
		case event.ActionWorkflow:
			return handler(ctx, ev, payload)
		case event.ActionKeep:
			return workflow.UpsertTypedSearchAttributes(ctx, stateAttribute.ValueSet(event.StateKept))
		case event.ActionForward:
			return workflow.ExecuteActivity(ctx, forwarding.ForwardEvent, ev, payload).Get(ctx, nil)
		case event.ActionSignal, event.ActionUpdate, event.ActionComplete:
			return reach(ctx, ev, payload)
		default:
			return temporal.NewNonRetryableApplicationError(
				fmt.Sprintf("this program does not know the action %q of the route %q: deploy the one that wrote it", ev.Route.Action, ev.Route.Name),
				TypeUnhandled, nil)
		}
	}
}

// reach brings the event to what waits for it. That may come later, so the step
// is tried for as long as the route says, whatever number of attempts its Retry
// Policy has.
func reach(ctx workflow.Context, ev event.Event, payload converter.RawValue) error {
	var reaching *waiting.Activities
	step := map[event.Action]any{
		event.ActionSignal: reaching.SignalWorkflow, event.ActionUpdate: reaching.UpdateWorkflow, event.ActionComplete: reaching.CompleteActivity,
	}[ev.Route.Action]
	options := workflow.GetActivityOptions(ctx)
	options.ScheduleToCloseTimeout = ev.Route.Waiting.Wait
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), step, ev, payload).Get(ctx, nil)
}
