package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
)

// TestUnregistered parks a step whose Activity no worker has, for a reason of
// its own, after some minutes and not after a day.
func TestUnregistered(t *testing.T) {
	t.Parallel()
	env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
	env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{})}})
	attempts := 0
	missing := worker.Unregistered([]string{"SendReceipt", "RecordPayment"})
	env.RegisterDynamicActivity(func(ctx context.Context, args converter.EncodedValues) error {
		attempts++
		return missing(ctx, args)
	}, activity.DynamicRegisterOptions{})
	var reports []event.ParkedReport
	env.RegisterActivityWithOptions(func(_ context.Context, r event.ParkedReport) error {
		reports = append(reports, r)
		return nil
	}, activity.RegisterOptions{Name: event.ReportActivity})
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ event.Event, _ converter.RawValue) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Hour, MaximumInterval: 24 * time.Hour, MaximumAttempts: 1000},
		})
		return workflow.ExecuteActivity(ctx, "SendReciept", 1).Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "test.event"})
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow("test.event", paid, payload(`{}`))
	require.Equal(t, 10, attempts)
	require.Len(t, reports, 1)
	require.Equal(t, event.ReasonUnregistered, reports[0].Reason)
	require.Contains(t, reports[0].Error, `no Activity "SendReciept" is registered: give it to the Workflow's hookyard.On and deploy`)
	require.Contains(t, reports[0].Error, "registered: RecordPayment, SendReceipt")
}
