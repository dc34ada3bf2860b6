package attempt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// LookAtEndpoint returns the state of an endpoint, and disables one that has
// failed for too long.
func (a *Activities) LookAtEndpoint(ctx context.Context, id string) (delivery.Look, error) {
	e, err := a.Starter.Book.Get(ctx, id)
	if errors.Is(err, endpoint.ErrNotFound) {
		return delivery.Look{State: delivery.Deleted}, nil
	}
	if err != nil {
		return delivery.Look{}, err
	}
	if e.State == endpoint.Failing && !e.FailingSince.IsZero() && a.now().Sub(e.FailingSince) >= a.DisableAfter {
		why := fmt.Sprintf("it has failed since %s; %s", e.FailingSince.Format(time.RFC3339), e.Why)
		if e, _, err = a.Starter.Book.Move(ctx, id, endpoint.Disabled, why, endpoint.Failing); err != nil {
			return delivery.Look{}, err
		}
	}
	return delivery.Look{State: string(e.State), Why: e.Why, Told: string(e.Told)}, nil
}

// HoldEndpoint pauses an endpoint, as a person pauses a source: its runs that
// are held ask whether the pause is over.
func (a *Activities) HoldEndpoint(ctx context.Context, id, why string) error {
	o := a.Starter.options(event.PauseID(id), enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	p := event.Pause{Source: id, By: "hookyard", Why: why}
	o.Memo = map[string]any{event.PauseMemo: p}
	_, err := a.Starter.Client.ExecuteWorkflow(ctx, o, event.PauseWorkflow, p)
	if already(err) {
		return nil
	}
	return err
}

// waiting lists runs of an endpoint that are held or parked.
func (a *Activities) waiting(ctx context.Context, id, states string, limit int32) ([]string, error) {
	query := fmt.Sprintf(`%s = %q AND ExecutionStatus = "Running" AND %s IN (%s)`, event.SourceAttribute, id, event.StateAttribute, states)
	page, err := a.Starter.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: limit})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, info := range page.GetExecutions() {
		ids = append(ids, info.GetExecution().GetWorkflowId())
	}
	return ids, nil
}

const (
	held         = `"` + event.StateHeld + `"`
	heldOrParked = `"` + event.StateHeld + `", "` + event.StateParked + `"`
)

func (a *Activities) resume(ctx context.Context, id, why string) error {
	err := a.Starter.Client.SignalWorkflow(ctx, id, "", event.SignalResume, map[string]string{"by": "hookyard", "why": why})
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return nil
	}
	return err
}

// ProbeEndpoint lets one delivery of a failing endpoint through, if one is held.
func (a *Activities) ProbeEndpoint(ctx context.Context, id string) error {
	ids, err := a.waiting(ctx, id, held, 1)
	if err != nil || len(ids) == 0 {
		return err
	}
	return a.resume(ctx, ids[0], "one delivery tries whether the endpoint answers again")
}

// releasePerSecond is how fast what was held is let go: an endpoint that has
// just come back is not to fall over again.
const releasePerSecond = 20

// ReleaseEndpoint ends the pause of an endpoint and lets the deliveries go that
// are held or parked. One that it misses asks by itself, within half an hour.
func (a *Activities) ReleaseEndpoint(ctx context.Context, id string) error {
	err := a.Starter.Client.SignalWorkflow(ctx, event.PauseID(id), "", event.SignalUnpause, event.Unpause{By: "hookyard", Why: "the endpoint is not failing any more"})
	if _, none := errors.AsType[*serviceerror.NotFound](err); err != nil && !none {
		return err
	}
	limiter := rate.NewLimiter(releasePerSecond, 1)
	seen := map[string]bool{}
	for {
		ids, err := a.waiting(ctx, id, heldOrParked, 200)
		if err != nil {
			return err
		}
		fresh := 0
		for _, run := range ids {
			if seen[run] { // the list is behind
				continue
			}
			seen[run] = true
			fresh++
			if err := limiter.Wait(ctx); err != nil {
				return err
			}
			if err := a.resume(ctx, run, "the endpoint is not failing any more"); err != nil {
				return err
			}
			activity.RecordHeartbeat(ctx, len(seen))
		}
		if fresh == 0 {
			return nil
		}
	}
}

// TellOfEndpoint publishes a change of state to the tenant's operational
// endpoints, and has people told. It may be repeated: the event has one id.
func (a *Activities) TellOfEndpoint(ctx context.Context, n delivery.Notice) error {
	e, err := a.Starter.Book.Get(ctx, n.Endpoint)
	if errors.Is(err, endpoint.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"type": endpoint.OperationalPrefix + n.Kind, "timestamp": a.now().Format(time.RFC3339),
		"data": map[string]any{"endpoint": e.ID, "url": e.URL, "description": e.Description, "state": n.State, "why": n.Why, "failures": e.Failures},
	})
	if err != nil {
		return err
	}
	m := endpoint.Message{
		Tenant: e.Tenant, ID: "op_" + n.Change, Type: endpoint.OperationalPrefix + n.Kind,
		ContentType: "application/json", Body: body,
	}
	stored, _, err := a.Starter.Book.Put(ctx, m)
	switch {
	case errors.Is(err, endpoint.ErrConflict): // an attempt before this one said it a moment earlier
		if stored, err = a.Starter.Book.Message(ctx, m.Tenant, m.ID); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	if err := a.Starter.Message(ctx, stored, nil, false); err != nil {
		return err
	}
	if err := a.Starter.Book.Tell(ctx, e.ID, endpoint.State(n.State)); err != nil {
		return err
	}
	if a.Tell == nil {
		return nil
	}
	return a.Tell(ctx, e, n)
}
