package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
)

type received struct {
	ID    string `json:"id"`
	Event string
}

func receiving(ctx workflow.Context) (received, error) {
	ev, got, err := worker.Receive[received](ctx, "payment")
	got.Event = ev.WorkflowID()
	return got, err
}

func receivingBytes(ctx workflow.Context) ([]byte, error) {
	_, got, err := worker.Receive[[]byte](ctx, "payment")
	return got, err
}

// TestReceive has Signals with what a route sends, after a trip as JSON.
func TestReceive(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		run                     any
		contentType, body, want string // want is the result as JSON, or a part of the error
		fails                   bool
	}{
		"JSON":             {receiving, "application/json", `{"id":"<1>"}`, `{"id":"<1>","Event":"shop:1"}`, false},
		"a form":           {receiving, form, "payload=%7B%22id%22%3A%221%22%7D", `{"id":"1","Event":"shop:1"}`, false},
		"bytes":            {receivingBytes, "text/plain", "not json \xff", "not json \xff", false},
		"JSON as bytes":    {receivingBytes, "", `{"a":1}`, `{"a":1}`, false},
		"undecodable":      {receiving, "", `{"id":1}`, "does not fit", true},
		"undecodable text": {receiving, "text/plain", "text", "does not fit", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestWorkflowEnvironment()
			env.RegisterDelayedCallback(func() {
				ev := event.Event{Source: "shop", ID: "1", ContentType: c.contentType}
				env.SignalWorkflow("payment", event.NewReceived(ev, []byte(c.body)))
			}, time.Hour)
			env.ExecuteWorkflow(c.run)
			require.True(t, env.IsWorkflowCompleted())
			if c.fails {
				require.ErrorContains(t, env.GetWorkflowError(), c.want)
				return
			}
			require.NoError(t, env.GetWorkflowError())
			var bytes []byte
			if env.GetWorkflowResult(&bytes) == nil {
				require.Equal(t, c.want, string(bytes))
				return
			}
			var got received
			require.NoError(t, env.GetWorkflowResult(&got))
			require.JSONEq(t, c.want, `{"id":"`+got.ID+`","Event":"`+got.Event+`"}`)
		})
	}
}

func TestReceiveIsCanceled(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow(receiving)
	require.ErrorContains(t, env.GetWorkflowError(), "canceled")
}

// TestRoutesThatReach sees that each action has its Activity, and that the time
// of the route bounds it instead of the number of attempts.
func TestRoutesThatReach(t *testing.T) {
	t.Parallel()
	for action, name := range map[event.Action]string{
		event.ActionSignal: "SignalWorkflow", event.ActionUpdate: "UpdateWorkflow", event.ActionComplete: "CompleteActivity",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environment(t, nil)
			var asked event.Event
			attempts := 0
			env.RegisterActivityWithOptions(func(_ context.Context, ev event.Event, _ converter.RawValue) error {
				if attempts++; attempts < 9 {
					return errors.New("nobody waits yet")
				}
				asked = ev
				return nil
			}, activity.RegisterOptions{Name: name})
			ev := event.Event{Source: "shop", ID: "1", Provider: "x", Type: "y", Route: event.Route{Action: action, Waiting: &event.Waiting{Workflow: "w", Wait: time.Hour}}}
			env.ExecuteWorkflow(ev.WorkflowType(), ev, payload("{}"))
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, ev, asked)
			require.Equal(t, 9, attempts, "the policy's 3 attempts do not count")
		})
	}
}
