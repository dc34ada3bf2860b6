package worker

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// eventSeconds is the time from the delivery of an event to the end of its run.
// Dashboards hold the name.
const eventSeconds = "hookyard_event_seconds"

// measured records how long events take, from the delivery to the completed
// run. A run that starts over counts once, and one that is discarded not at all.
// Deliveries to endpoints have a metric of their own.
type measured struct {
	interceptor.WorkflowInboundInterceptorBase
}

// ExecuteWorkflow implements interceptor.WorkflowInboundInterceptor.
func (i *measured) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := i.Next.ExecuteWorkflow(ctx, in)
	if ev, ok := eventOf(in.Args); ok && err == nil && workflow.GetInfo(ctx).WorkflowType.Name != event.DeliveryWorkflow {
		// The SDK's timer records nothing in a replay.
		workflow.GetMetricsHandler(ctx).
			WithTags(map[string]string{"source": ev.Source, "event_type": ev.Type}).
			Timer(eventSeconds).Record(workflow.Now(ctx).Sub(ev.ReceivedAt))
	}
	return result, err
}

// eventOf returns the event among a run's arguments, if it has one.
func eventOf(args []any) (event.Event, bool) {
	if len(args) == 0 {
		return event.Event{}, false
	}
	switch first := args[0].(type) {
	case event.Event:
		return first, true
	case converter.EncodedValues: // of a dynamic Workflow
		var ev event.Event
		var payload converter.RawValue
		err := first.Get(&ev, &payload)
		return ev, err == nil
	default:
		return event.Event{}, false
	}
}
