// Package attempt holds the Activities of sending, and what starts its
// Workflows.
package attempt

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// Starter starts the Workflows of sending.
type Starter struct {
	Client    client.Client
	TaskQueue string
	Book      *endpoint.Book
}

// startTimeout bounds one start. The SDK allows one call half of it.
const startTimeout = 10 * time.Second

// Direct is how many deliveries are started without a Workflow that starts
// them: it would cost as much as two of them.
const Direct = 20

// parallel is how many starts are under way at once.
const parallel = 16

// pageSize is how many endpoints of a tenant are looked at for one page.
const pageSize = 500

func (s *Starter) options(id string, reuse enumspb.WorkflowIdReusePolicy) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: id, TaskQueue: s.TaskQueue, WorkflowIDReusePolicy: reuse,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}
}

// already reports that the start was refused, because there was one before.
func already(err error) bool {
	_, there := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err)
	return there
}

// Delivery starts the delivery of a message to an endpoint, once: reuse says
// whether one that has closed is started again. started is false where there is
// one that the policy does not replace.
func (s *Starter) Delivery(ctx context.Context, e *endpoint.Endpoint, m endpoint.Message, reuse enumspb.WorkflowIdReusePolicy) (started bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if e.Ordered && reuse == enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE {
		o := s.options(delivery.LaneID(e.ID), enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
		o.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
		_, err := s.Client.SignalWithStartWorkflow(ctx, o.ID, delivery.SignalNext,
			delivery.Next{Tenant: m.Tenant, Message: m.ID, Type: m.Type, Published: m.CreatedAt}, o, delivery.LaneWorkflow, delivery.Queue{Endpoint: e.ID})
		return err == nil, err
	}
	held := e.State == endpoint.Failing
	o := s.options(delivery.ID(e.ID, m.ID), reuse)
	o.StaticSummary = event.Code(m.Type) + " to " + e.ID
	o.TypedSearchAttributes = delivery.Attributes(e.ID, m.Type, m.Tenant, m.ID, held)
	o.Priority.FairnessKey = e.ID
	_, err = s.Client.ExecuteWorkflow(ctx, o, event.DeliveryWorkflow,
		delivery.Event(e.ID, m.ID, m.Type, m.CreatedAt, held), delivery.Ref{Tenant: m.Tenant})
	if already(err) {
		return false, nil
	}
	return err == nil, err
}

// Deliveries starts several deliveries of a message, and returns once each is
// started. It may be repeated.
func (s *Starter) Deliveries(ctx context.Context, to []*endpoint.Endpoint, m endpoint.Message) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, e := range to {
		group.Go(func() error {
			_, err := s.Delivery(ctx, e, m, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
			return err
		})
	}
	return group.Wait()
}

// Message starts the deliveries of a message that is stored, and notes that.
// first are the endpoints that it goes to where all is true.
func (s *Starter) Message(ctx context.Context, m endpoint.Message, first []*endpoint.Endpoint, all bool) error {
	var err error
	if all && len(first) <= Direct {
		err = s.Deliveries(ctx, first, m)
	} else {
		err = s.fanOut(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("start the deliveries of %q: %w", m.ID, err)
	}
	return s.Book.Started(ctx, m.Tenant, m.ID)
}

func (s *Starter) fanOut(ctx context.Context, m endpoint.Message) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := s.options(delivery.FanOutID(m.Tenant, m.ID), enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
	_, err := s.Client.ExecuteWorkflow(ctx, o, delivery.FanOutWorkflow, delivery.Page{Tenant: m.Tenant, Message: m.ID})
	if already(err) {
		return nil
	}
	return err
}

// Watch has somebody look at an endpoint whose state has changed.
func (s *Starter) Watch(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := s.options(delivery.WatchID(id), enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	o.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	_, err := s.Client.SignalWithStartWorkflow(ctx, o.ID, delivery.SignalChanged, nil, o, delivery.WatchWorkflow, delivery.Watching{Endpoint: id})
	return err
}

// Verify has an endpoint challenged. A challenge that is under way ends.
func (s *Starter) Verify(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := s.options(delivery.VerifyID(id), enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	o.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
	_, err := s.Client.ExecuteWorkflow(ctx, o, delivery.VerifyWorkflow, id)
	return err
}

// Replay starts a replay and returns its id.
func (s *Starter) Replay(ctx context.Context, r delivery.Resend) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	id = endpoint.NewID("rp_")
	_, err = s.Client.ExecuteWorkflow(ctx, s.options(delivery.ReplayID(id), enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE), delivery.ReplayWorkflow, r)
	return id, err
}

// ReplayProgress asks how far a replay is; endpoint.ErrNotFound where there is
// none.
func (s *Starter) ReplayProgress(ctx context.Context, id string) (p delivery.Progress, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	value, err := s.Client.QueryWorkflow(ctx, delivery.ReplayID(id), "", delivery.QueryProgress)
	if _, none := errors.AsType[*serviceerror.NotFound](err); none {
		return p, endpoint.ErrNotFound
	}
	if err != nil {
		return p, err
	}
	return p, value.Get(&p)
}
