package attempt

import (
	"context"
	"errors"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// resumed reads what an attempt before this one has done, into progress.
func resumed(ctx context.Context, progress any) {
	if !activity.HasHeartbeatDetails(ctx) {
		return
	}
	if err := activity.GetHeartbeatDetails(ctx, progress); err != nil {
		activity.GetLogger(ctx).Error("the attempt begins anew: what was done cannot be read", "err", err)
	}
}

// StartDeliveries starts the deliveries of a page of endpoints. It may be
// repeated: a delivery that is started is not started again, and another attempt
// goes on where the one before it was.
func (a *Activities) StartDeliveries(ctx context.Context, p delivery.Page) (delivery.Started, error) {
	var done delivery.Started
	if resumed(ctx, &done); done.Next != "" {
		p.After = done.Next
	}
	m, err := a.Starter.Book.Message(ctx, p.Tenant, p.Message)
	if errors.Is(err, endpoint.ErrNotFound) {
		return delivery.Started{}, nil
	}
	if err != nil {
		return delivery.Started{}, err
	}
	to, next, err := a.Starter.Book.Matching(ctx, m, p.After, pageSize)
	if err != nil {
		return delivery.Started{}, err
	}
	for batch := range slices.Chunk(to, parallel) {
		if err := a.Starter.Deliveries(ctx, batch, m); err != nil {
			return delivery.Started{}, err
		}
		done.Count += len(batch)
		done.Next = batch[len(batch)-1].ID
		activity.RecordHeartbeat(ctx, done)
	}
	return delivery.Started{Count: done.Count, Next: next}, nil
}

// replayPage is how many messages a replay looks at in one Activity.
const replayPage = 200

// ResendMessages starts deliveries of one endpoint again, for a page of
// messages. Which of them are missing is for Temporal to decide, with each
// start, so that nothing that was delivered is sent again.
func (a *Activities) ResendMessages(ctx context.Context, r delivery.Resend) (delivery.Resent, error) {
	e, err := a.Starter.Book.Get(ctx, r.Endpoint)
	if errors.Is(err, endpoint.ErrNotFound) {
		return delivery.Resent{Done: true}, nil
	}
	if err != nil {
		return delivery.Resent{}, err
	}
	// Another attempt goes on where the one before it was: with only: all, it
	// would send again what that one has sent.
	var page delivery.Resent
	if resumed(ctx, &page); page.AfterID != "" {
		r.Since, r.AfterID = page.Since, page.AfterID
	}
	messages, err := a.Starter.Book.Since(ctx, e.Tenant, r.Since, r.Until, r.AfterID, replayPage)
	if err != nil {
		return delivery.Resent{}, err
	}
	page.Done = len(messages) < replayPage
	limiter := rate.NewLimiter(rate.Limit(r.PerSecond), 1)
	for _, m := range messages {
		if !e.Takes(m.Type) {
			page.Since, page.AfterID = m.CreatedAt, m.ID
			continue
		}
		if err := limiter.Wait(ctx); err != nil {
			return delivery.Resent{}, err
		}
		sent, err := a.resend(ctx, e, m, r)
		if err != nil {
			return delivery.Resent{}, err
		}
		if sent {
			page.Count++
		}
		page.Since, page.AfterID = m.CreatedAt, m.ID
		activity.RecordHeartbeat(ctx, page)
	}
	return page, nil
}

// resend starts one delivery again, if r means it.
func (a *Activities) resend(ctx context.Context, e *endpoint.Endpoint, m endpoint.Message, r delivery.Resend) (bool, error) {
	id := delivery.ID(e.ID, m.ID)
	status, err := a.status(ctx, id)
	if err != nil {
		return false, err
	}
	open := status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	none := status == enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	delivered := status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	wanted := r.Only == delivery.OnlyAll || r.Only == delivery.OnlyMissing && !delivered || r.Only == delivery.OnlyFailed && !delivered && !none
	switch {
	case !wanted:
		return false, nil
	case open && r.Only == delivery.OnlyFailed && !r.DryRun:
		return true, a.resume(ctx, id, "it is sent again")
	case open:
		return false, nil // it is on its way
	case r.DryRun:
		return true, nil
	}
	reuse := enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
	if r.Only == delivery.OnlyAll {
		reuse = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	}
	return a.Starter.Delivery(ctx, e, m, reuse)
}

// status returns that of the current run, UNSPECIFIED where there is none.
func (a *Activities) status(ctx context.Context, id string) (enumspb.WorkflowExecutionStatus, error) {
	described, err := a.Starter.Client.DescribeWorkflowExecution(ctx, id, "")
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, nil
	}
	return described.GetWorkflowExecutionInfo().GetStatus(), err
}
