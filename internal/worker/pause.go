package worker

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// pausing is the Workflow event.PauseWorkflow: it is open for as long as a
// source is paused. That it is there is all that it does.
func pausing(ctx workflow.Context, p event.Pause) (event.Unpause, error) {
	unpause := workflow.GetSignalChannelWithOptions(ctx, event.SignalUnpause, workflow.SignalChannelOptions{
		Description: `End the pause: {"by": "you", "why": "…"}. The runs that are held go on with "hookyard unpause" alone.`,
	})
	workflow.SetCurrentDetails(ctx, fmt.Sprintf(
		"### Source %s is paused\n\nIts webhooks are taken and stored, and their Workflows wait.\n\n- by: %s\n- why: %s\n\n`hookyard unpause %s` ends it.\n",
		p.Source, event.Code(p.By), event.Code(p.Why), p.Source))
	var u event.Unpause
	workflow.NewSelector(ctx).
		AddReceive(unpause, func(c workflow.ReceiveChannel, _ bool) { c.ReceiveAsync(&u) }).
		AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {}).
		Select(ctx)
	return u, ctx.Err()
}
