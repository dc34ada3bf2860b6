// Package waiting brings events to what waits for them in Temporal: a Workflow
// that waits for a Signal or an Update, or an Activity that is completed from
// outside.
package waiting

import (
	"context"
	"errors"
	"fmt"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

// Activities are Hookyard's own steps of a route with signal, update or complete.
// Each is idempotent: Temporal takes a second one under the same key for the
// first. Unavailable, and retried, is whatever is not there yet. Permanent are
// BadPayload (the event has not the ids) and Refused.
type Activities struct {
	Client    client.Client
	Namespace string
}

// key is the context's key for the name under which a call is made once.
type key struct{}

// Once is a gRPC interceptor. It gives a Signal that these Activities send the
// event's key as its request id, by which Temporal drops a second one. The SDK
// would make up another id for each call. The completion of an Activity has no
// request id; there the key is the identity, which the history keeps.
func Once(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if name, ok := ctx.Value(key{}).(string); ok {
		switch r := req.(type) {
		case *workflowservice.SignalWorkflowExecutionRequest:
			r.RequestId = name
		case *workflowservice.SignalWithStartWorkflowExecutionRequest:
			r.RequestId = name
		case *workflowservice.RespondActivityTaskCompletedByIdRequest:
			r.Identity = name
		case *workflowservice.RespondActivityTaskFailedByIdRequest:
			r.Identity = name
		}
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// SignalWorkflow sends the Event and its payload as a Signal to the Workflow
// that waits for it, or starts that Workflow with it.
func (a *Activities) SignalWorkflow(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	to := ev.Route.Waiting
	id, err := fill(to.Workflow, ev, payload)
	if err != nil {
		return err
	}
	ctx = context.WithValue(ctx, key{}, ev.Key("Signal"))
	received := event.NewReceived(ev, payload.Payload().GetData())
	if to.Start == "" {
		return a.failed(ctx, id, a.Client.SignalWorkflow(ctx, id, "", to.Name, received))
	}
	started := ev
	started.Route = event.Route{} // the Workflow runs the handler of its type
	queue := to.TaskQueue
	if queue == "" {
		queue = activity.GetInfo(ctx).TaskQueue
	}
	_, err = a.Client.SignalWithStartWorkflow(ctx, id, to.Name, received, client.StartWorkflowOptions{
		TaskQueue:             queue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		Priority:              temporal.Priority{FairnessKey: ev.Source},
	}, to.Start, started, payload)
	return a.failed(ctx, id, err)
}

// UpdateWorkflow sends the Event and its payload as an Update to the Workflow
// that waits for it, and waits until that has handled it.
func (a *Activities) UpdateWorkflow(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	to := ev.Route.Waiting
	id, err := fill(to.Workflow, ev, payload)
	if err != nil {
		return err
	}
	update, err := a.Client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		UpdateID: ev.Key("Update"), WorkflowID: id, UpdateName: to.Name,
		Args: []any{event.NewReceived(ev, payload.Payload().GetData())}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = update.Get(ctx, nil)
	}
	return a.failed(ctx, id, err)
}

// CompleteActivity completes the Activity that waits for the event: with the
// payload or a part of it, or with a failure of the type event.ErrorFailed.
func (a *Activities) CompleteActivity(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	to := ev.Route.Waiting
	id, err := fill(to.Workflow, ev, payload)
	if err != nil {
		return err
	}
	activityID, err := fill(to.Activity, ev, payload)
	if err != nil {
		return err
	}
	result, failed, err := outcome(ev, payload)
	if err != nil {
		return failure.Permanent(failure.TypeBadPayload, "%v", err)
	}
	name := ev.Key("Complete")
	err = a.Client.CompleteActivityByID(context.WithValue(ctx, key{}, name), a.Namespace, id, "", activityID, result, failed)
	if isNotFound(err) {
		if done, lookErr := a.completed(ctx, id, activityID, name); lookErr == nil && done {
			return nil // the answer to an earlier attempt was lost
		}
		return failure.Unavailable(ctx, 0, "the Workflow %q has no Activity %q that waits", id, activityID)
	}
	return a.failed(ctx, id, err)
}

// outcome returns the result of the Activity, or the error that it fails with.
func outcome(ev event.Event, payload converter.RawValue) (result any, failed, err error) {
	to, subject := ev.Route.Waiting, event.NewSubject(ev, payload.Payload().GetData())
	result = payload
	if to.Result != "" {
		part, err := event.ParseLookup(to.Result)
		if err != nil {
			return nil, nil, err
		}
		data, err := part.JSON(subject)
		if err != nil {
			return nil, nil, err
		}
		result = jsonValue(data)
	}
	if to.FailsIf == "" {
		return result, nil, nil
	}
	condition, err := event.ParseCondition(to.FailsIf)
	if err != nil {
		return nil, nil, err
	}
	holds, err := condition.Holds(subject)
	if err != nil || !holds {
		return result, nil, err
	}
	return nil, temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("%s holds of the event %s", to.FailsIf, ev.WorkflowID()), event.ErrorFailed, nil, result), nil
}

// completed reports whether the Activity was completed, or failed, by an event of
// that name. It reads the history from its end.
func (a *Activities) completed(ctx context.Context, workflowID, activityID, name string) (bool, error) {
	history := a.Client.GetWorkflowHistory(ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	ids := map[int64]bool{} // the scheduled events of that Activity
	for history.HasNext() {
		e, err := history.Next()
		if err != nil {
			return false, err
		}
		if e.GetActivityTaskScheduledEventAttributes().GetActivityId() == activityID {
			ids[e.GetEventId()] = true
		}
		if c := e.GetActivityTaskCompletedEventAttributes(); c != nil && ids[c.GetScheduledEventId()] && c.GetIdentity() == name {
			return true, nil
		}
		if f := e.GetActivityTaskFailedEventAttributes(); f != nil && ids[f.GetScheduledEventId()] && f.GetIdentity() == name {
			return true, nil
		}
	}
	return false, nil
}

// fill returns a text with the event's values in it.
func fill(text string, ev event.Event, payload converter.RawValue) (string, error) {
	template, err := event.ParseTemplate(text)
	if err == nil {
		var filled string
		if filled, err = template.Text(event.NewSubject(ev, payload.Payload().GetData())); err == nil {
			return filled, nil
		}
	}
	return "", failure.Permanent(failure.TypeBadPayload, "%q cannot be filled in: %v; amend the payload", text, err)
}

// failed returns the step's error for one of Temporal's.
func (a *Activities) failed(ctx context.Context, id string, err error) error {
	if err == nil {
		return nil
	}
	if isNotFound(err) {
		return failure.Unavailable(ctx, 0, "no Workflow %q is open", id)
	}
	if _, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return failure.Unavailable(ctx, 0, "the Workflow %q has closed", id)
	}
	if _, ok := errors.AsType[*serviceerror.InvalidArgument](err); ok {
		return failure.Permanent(failure.TypeRefused, "Temporal refuses it for the Workflow %q: %s", id, failure.Printable(err.Error(), 500))
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return failure.Permanent(failure.TypeRefused, "the Workflow %q refuses it: %s", id, failure.Printable(app.Error(), 500))
	}
	return failure.Unavailable(ctx, 0, "the Workflow %q cannot be reached: %s", id, failure.Printable(err.Error(), 500))
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*serviceerror.NotFound](err)
	return ok || err != nil && strings.Contains(err.Error(), "workflow execution already completed")
}
