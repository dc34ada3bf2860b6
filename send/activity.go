package send

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

// Activities publishes from a Workflow. A worker registers the struct, and a
// Workflow calls it by name:
//
//	var publisher *send.Activities
//	err := workflow.ExecuteActivity(ctx, publisher.PublishEvent, send.Event{…}).Get(ctx, nil)
type Activities struct {
	Client *Client
}

// PublishEvent publishes an event. One without an ID gets that of the step, so
// that another attempt of the step publishes no second event. What cannot
// succeed later is an error that is not retried.
func (a *Activities) PublishEvent(ctx context.Context, e Event) (Published, error) {
	if e.ID == "" {
		info := activity.GetInfo(ctx)
		step := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", info.WorkflowExecution.ID, info.WorkflowExecution.RunID, info.ActivityID))
		e.ID = "wf_" + hex.EncodeToString(step[:20])
	}
	p, err := a.Client.Publish(ctx, e)
	answer, ok := errors.AsType[*Error](err)
	switch {
	case ok && !answer.Temporary():
		return p, temporal.NewNonRetryableApplicationError("publish: "+answer.Error(), answer.Code, nil)
	case ok:
		return p, temporal.NewApplicationErrorWithOptions("publish: "+answer.Error(), answer.Code, temporal.ApplicationErrorOptions{NextRetryDelay: answer.RetryAfter})
	default:
		return p, err
	}
}
