package worker

import (
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// Receive waits for a Signal that a route delivers, and decodes its payload as
// On does.
func Receive[T any](ctx workflow.Context, name string) (event.Event, T, error) {
	var (
		received event.Received
		none     T
		got      bool
	)
	channel := workflow.GetSignalChannel(ctx, name)
	workflow.NewSelector(ctx).
		AddReceive(channel, func(c workflow.ReceiveChannel, _ bool) { got = c.ReceiveAsync(&received) }).
		AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {}).
		Select(ctx)
	if !got {
		return event.Event{}, none, ctx.Err()
	}
	// What the Signal has is the JSON of a form already.
	as := received.Event
	if len(received.Payload) > 0 {
		as.ContentType = "application/json"
	}
	payload, err := decode[T](as, received.Body())
	return received.Event, payload, err
}
