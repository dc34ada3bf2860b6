package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
)

func TestPause(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		input any
		want  event.Unpause
	}{
		"by the command":    {event.Unpause{By: "ada", Why: "it is moved"}, event.Unpause{By: "ada", Why: "it is moved"}},
		"without input":     {nil, event.Unpause{}},
		"a slip of the pen": {7, event.Unpause{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := environment(t, examples())
			env.RegisterDelayedCallback(func() {
				value, err := env.QueryWorkflow("__temporal_workflow_metadata")
				require.NoError(t, err)
				var metadata sdkpb.WorkflowMetadata
				require.NoError(t, value.Get(&metadata))
				require.Contains(t, metadata.GetCurrentDetails(), "- by: `ada`\n- why: `the ledger moves`")
				require.Equal(t, event.SignalUnpause, metadata.GetDefinition().GetSignalDefinitions()[0].GetName())
				env.SignalWorkflow(event.SignalUnpause, tt.input)
			}, 1000*time.Hour)
			env.ExecuteWorkflow(event.PauseWorkflow, event.Pause{Source: "stripe", By: "ada", Why: "the ledger moves"})
			var got event.Unpause
			require.NoError(t, env.GetWorkflowResult(&got))
			require.Empty(t, cmp.Diff(tt.want, got))
		})
	}
}

func TestPauseCanceled(t *testing.T) {
	t.Parallel()
	env := environment(t, examples())
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow(event.PauseWorkflow, event.Pause{Source: "stripe"})
	require.True(t, temporal.IsCanceledError(env.GetWorkflowError()))
}

// TestPoliciesReplaced sees that steps which begin after a change go by it.
func TestPoliciesReplaced(t *testing.T) {
	t.Parallel()
	policies := worker.NewPolicies(worker.PolicySet{Entries: worker.Entries{Default: worker.Policy{Timeout: time.Minute}}})
	require.Equal(t, time.Minute, timeoutOf(t, policies, "RecordPayment"))
	policies.Replace(worker.PolicySet{Entries: worker.Entries{
		Default:    worker.Policy{Timeout: time.Hour},
		ByActivity: map[string]worker.Policy{"RecordPayment": {Timeout: 2 * time.Hour}},
	}})
	require.Equal(t, 2*time.Hour, timeoutOf(t, policies, "RecordPayment"))
	require.Equal(t, time.Hour, timeoutOf(t, policies, "SendReceipt"))
}

// timeoutOf returns the timeout that a step is given.
func timeoutOf(t *testing.T, policies *worker.Policies, step string) (timeout time.Duration) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{Policies: policies})}})
	env.RegisterActivityWithOptions(func(ctx context.Context) error {
		timeout = activity.GetInfo(ctx).StartToCloseTimeout
		return nil
	}, activity.RegisterOptions{Name: step})
	env.ExecuteWorkflow(func(ctx workflow.Context) error { return workflow.ExecuteActivity(ctx, step).Get(ctx, nil) })
	require.NoError(t, env.GetWorkflowError())
	return timeout
}
