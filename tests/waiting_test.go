package tests

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/worker/waiting"
	"github.com/hookyard/hookyard/tests/harness"
)

type payment struct {
	ID string `json:"id"`
}

// order waits for its payment, and a while longer for a second one.
func order(ctx workflow.Context) ([]string, error) {
	ev, paid, err := hookyard.Receive[payment](ctx, "payment")
	if err != nil {
		return nil, err
	}
	got := []string{ev.WorkflowID() + " " + paid.ID}
	var done bool
	workflow.GetSignalChannel(ctx, "done").Receive(ctx, &done)
	var again event.Received
	for workflow.GetSignalChannel(ctx, "payment").ReceiveAsync(&again) {
		got = append(got, again.Event.WorkflowID()+" again")
	}
	return got, nil
}

// startedOrder is an order that its payment starts.
func startedOrder(ctx workflow.Context, _ event.Event, _ json.RawMessage) ([]string, error) {
	return order(ctx)
}

// updatedOrder waits for its payment as an Update.
func updatedOrder(ctx workflow.Context) (int, error) {
	handled := 0
	err := workflow.SetUpdateHandler(ctx, "payment", func(_ workflow.Context, r event.Received) error {
		if string(r.Payload) == `{"id":"bad"}` {
			return temporal.NewApplicationError("no such payment", "Bad")
		}
		handled++
		return nil
	})
	if err != nil {
		return 0, err
	}
	var done bool
	workflow.GetSignalChannel(ctx, "done").Receive(ctx, &done)
	return handled, nil
}

// deploy waits for an Activity that somebody else completes.
func deploy(ctx workflow.Context) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{ActivityID: "build", StartToCloseTimeout: time.Hour})
	var conclusion string
	err := workflow.ExecuteActivity(ctx, build).Get(ctx, &conclusion)
	return conclusion, err
}

func build(context.Context) (string, error) { return "", activity.ErrResultPending }

// startWaiting has a worker of another program poll the queue.
func startWaiting(t *testing.T, c client.Client, queue string) {
	t.Helper()
	w := sdkworker.New(c, queue, sdkworker.Options{})
	w.RegisterWorkflow(order)
	w.RegisterWorkflow(startedOrder)
	w.RegisterWorkflow(updatedOrder)
	w.RegisterWorkflow(deploy)
	w.RegisterActivity(build)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

// TestWaiting has an event come before and after the Workflow, or the Activity,
// that waits for it. The worker is killed while it tries to reach it.
func TestWaiting(t *testing.T) {
	t.Parallel()
	queue := t.Name() + "-waiting"
	s := startSystem(t, startTemporal(t, ""), `
sources:
  stripe:
    provider: stripe
    secrets: [env:SECRET]
    routes:
      - {type: payment.started, signal: {workflow: "started-{json:order}", name: payment, start: {workflow: startedOrder, task_queue: `+queue+`}}}
      - {type: "payment.*", signal: {workflow: "order-{json:order}", name: payment}}
      - {type: "short.*", signal: {workflow: "order-{json:order}", name: payment, wait: 2s}}
  github:
    provider: github
    secrets: [env:SECRET]
    routes:
      - {type: workflow_run, complete: {workflow: "deploy-{json:workflow_run.head_sha}", activity: build, result: "json:workflow_run.conclusion", fails_if: "json:workflow_run.conclusion!=success"}}
queues: {`+queue+`: {external: true}}
`)
	startWaiting(t, s.client, queue)
	start := func(id string, run any) client.WorkflowRun {
		started, err := s.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, run)
		require.NoError(t, err)
		return started
	}
	trying := func(id string) {
		harness.Eventually(t, id+" tries", func() bool {
			d, err := s.client.DescribeWorkflowExecution(t.Context(), id, "")
			return err == nil && len(d.GetPendingActivities()) == 1 && d.GetPendingActivities()[0].GetAttempt() > 1
		})
	}

	// Before.
	s.accept("stripe", "stripe", "evt_before", "payment.made", `{"id":"evt_before","type":"payment.made","order":"before"}`)
	s.accept("github", "github", "run_before", "workflow_run", `{"workflow_run":{"head_sha":"before","conclusion":"success"}}`)
	s.accept("stripe", "stripe", "evt_late", "short.made", `{"id":"evt_late","type":"short.made","order":"never"}`)
	s.accept("stripe", "stripe", "evt_none", "payment.made", `{"id":"evt_none","type":"payment.made"}`)
	trying("stripe:evt_before")
	trying("github:run_before")
	s.restart()
	before, built := start("order-before", order), start("deploy-before", deploy)
	s.completed("stripe:evt_before")
	s.completed("github:run_before")
	// After.
	after, failing := start("order-after", order), start("deploy-after", deploy)
	s.accept("stripe", "stripe", "evt_after", "payment.made", `{"id":"evt_after","type":"payment.made","order":"after"}`)
	s.accept("github", "github", "run_after", "workflow_run", `{"workflow_run":{"head_sha":"after","conclusion":"failure"}}`)
	s.accept("stripe", "stripe", "evt_starts", "payment.started", `{"id":"evt_starts","type":"payment.started","order":"1"}`)
	s.completed("stripe:evt_after")
	s.completed("github:run_after")
	s.completed("stripe:evt_starts")

	for id, run := range map[string]client.WorkflowRun{
		"evt_before": before, "evt_after": after, "evt_starts": s.client.GetWorkflow(t.Context(), "started-1", ""),
	} {
		require.NoError(t, s.client.SignalWorkflow(t.Context(), run.GetID(), "", "done", true))
		var got []string
		require.NoError(t, run.Get(t.Context(), &got))
		require.Equal(t, []string{"stripe:" + id + " " + id}, got)
	}
	var conclusion string
	require.NoError(t, built.Get(t.Context(), &conclusion))
	require.Equal(t, "success", conclusion)
	var app *temporal.ApplicationError
	require.ErrorAs(t, failing.Get(t.Context(), nil), &app)
	require.Equal(t, event.ErrorFailed, app.Type())

	require.Equal(t, event.ReasonPermanent, s.parked("stripe:evt_none").Steps[0].Reason)
	require.Equal(t, event.ReasonTimeout, s.parked("stripe:evt_late").Steps[0].Reason)
}

// TestWaitingOnce loses Temporal's answer to a call that Temporal has acted on,
// which is what a worker that is killed between the two does. The attempt after
// it must not act again.
func TestWaitingOnce(t *testing.T) {
	t.Parallel()
	server, queue := startTemporal(t, ""), t.Name()
	plain := server.Client("")
	startWaiting(t, plain, queue)
	var lost atomic.Int32
	lose := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		switch req.(type) {
		case *workflowservice.SignalWorkflowExecutionRequest, *workflowservice.SignalWithStartWorkflowExecutionRequest,
			*workflowservice.UpdateWorkflowExecutionRequest, *workflowservice.RespondActivityTaskCompletedByIdRequest, *workflowservice.RespondActivityTaskFailedByIdRequest:
			if err == nil && lost.Add(1) == 1 {
				return status.Error(codes.PermissionDenied, "the answer is lost") // the SDK does not try that again by itself
			}
		}
		return err
	}
	losing := harness.Dial(t, client.Options{HostPort: server.Address, ConnectionOptions: client.ConnectionOptions{
		DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(waiting.Once, lose)},
	}})
	steps := &waiting.Activities{Client: losing, Namespace: client.DefaultNamespace}

	for name, c := range map[string]struct {
		step    func(context.Context, event.Event, converter.RawValue) error
		to      event.Waiting
		run     any // started beforehand; nil where the event starts it
		payload string
		want    any
	}{
		"signal":   {steps.SignalWorkflow, event.Waiting{Name: "payment"}, order, `{"id":"1"}`, []string{"shop:signal 1"}},
		"start":    {steps.SignalWorkflow, event.Waiting{Name: "payment", Start: "startedOrder", TaskQueue: queue}, nil, `{"id":"1"}`, []string{"shop:start 1"}},
		"update":   {steps.UpdateWorkflow, event.Waiting{Name: "payment"}, updatedOrder, `{"id":"1"}`, 1},
		"complete": {steps.CompleteActivity, event.Waiting{Activity: "build"}, deploy, `"built"`, "built"},
	} {
		lost.Store(0)
		id := t.Name() + "-" + name
		ev := event.Event{Source: "shop", ID: name}
		c.to.Workflow = id
		ev.Route.Waiting = &c.to
		if c.run != nil {
			_, err := plain.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, c.run)
			require.NoError(t, err)
		}
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestActivityEnvironment()
		env.RegisterActivity(steps)
		attempt := func() error {
			_, err := env.ExecuteActivity(c.step, ev, ingest.Payload([]byte(c.payload), true))
			return err
		}
		harness.Eventually(t, name+" is lost", func() bool {
			require.Error(t, attempt(), name)
			return lost.Load() > 0 // an Activity that has not started is not there yet
		})
		require.NoError(t, attempt(), name)
		if name != "complete" {
			require.NoError(t, plain.SignalWorkflow(t.Context(), id, "", "done", true))
		}
		value := plain.GetWorkflow(t.Context(), id, "")
		switch want := c.want.(type) {
		case []string:
			var got []string
			require.NoError(t, value.Get(t.Context(), &got), name)
			require.Equal(t, want, got, name)
		case int:
			var got int
			require.NoError(t, value.Get(t.Context(), &got), name)
			require.Equal(t, want, got, name)
		case string:
			var got string
			require.NoError(t, value.Get(t.Context(), &got), name)
			require.Equal(t, want, got, name)
		}
	}
}
