package worker

import (
	"fmt"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/forward"
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
		default:
			return temporal.NewNonRetryableApplicationError(
				fmt.Sprintf("this program does not know the action %q of the route %q: deploy the one that wrote it", ev.Route.Action, ev.Route.Name),
				TypeUnhandled, nil)
		}
	}
}
