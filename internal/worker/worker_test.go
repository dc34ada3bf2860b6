package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/forward"
	"github.com/hookyard/hookyard/workflows"
)

// environment is Temporal's test environment with what a worker has.
func environment(t *testing.T, handlers []worker.Handler) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	policies := worker.NewPolicies(worker.PolicySet{Entries: worker.Entries{
		Default: worker.Policy{
			Timeout: 7 * time.Second,
			Retry:   temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 3},
		},
		ByActivity: map[string]worker.Policy{
			"SendReceipt": {Timeout: 3 * time.Second, Retry: temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 1, MaximumAttempts: 5}},
		},
	}})
	env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{worker.WithoutParking(worker.Options{Policies: policies})}})
	require.NoError(t, worker.Register(env, handlers))
	env.RegisterActivity(&activities.Ledger{})
	env.RegisterActivity(&activities.Mail{})
	env.RegisterActivity(&activities.Build{})
	env.RegisterActivity(&forward.Activities{})
	return env
}

func payload(body string) converter.RawValue {
	encoding := converter.MetadataEncodingJSON
	if !json.Valid([]byte(body)) {
		encoding = converter.MetadataEncodingBinary
	}
	return converter.NewRawValue(&commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding)}, Data: []byte(body),
	})
}

const invoice = `{"id":"evt_1","created":1767225600,"data":{"object":{"id":"in_1","number":"HY-1","customer":"cus_1",
	"customer_email":"ada@example.com","customer_name":"Ada","amount_paid":4900,"currency":"eur","status_transitions":{"paid_at":1767225590}}}}`

var paid = event.Event{Source: "stripe-eu", Provider: "stripe", ID: "evt_1", Type: "invoice.paid"}

func TestUndecodable(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{`, `[]`, `{"created":"yesterday"}`, "\xff\xfe"} {
		env := environment(t, examples())
		env.ExecuteWorkflow("stripe.invoice.paid", paid, payload(body))
		var failed *temporal.ApplicationError
		require.ErrorAs(t, env.GetWorkflowError(), &failed, "%q", body)
		require.Equal(t, worker.TypeUndecodable, failed.Type())
		require.True(t, failed.NonRetryable())
	}
}

func TestRoutedElsewhere(t *testing.T) {
	t.Parallel()
	ev := event.Event{Source: "acme", Provider: "standard-webhooks", ID: "1", Type: "order.created"}
	const body = "{ \"a\" : 1.0 }"

	forwarded := environment(t, examples())
	ev.Route = event.Route{Name: "*", Action: event.ActionForward}
	var sent string
	forwarded.OnActivity("ForwardEvent", mock.Anything, ev, mock.Anything).Return(
		func(_ context.Context, _ event.Event, p converter.RawValue) error {
			sent = string(p.Payload().GetData())
			return nil
		}).Once()
	forwarded.ExecuteWorkflow(ev.WorkflowType(), ev, payload(body))
	require.NoError(t, forwarded.GetWorkflowError())
	require.Equal(t, body, sent, "byte for byte")

	kept := environment(t, examples())
	kept.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyKeyword("HookState").ValueSet("kept"))).Return(nil).Once()
	ev.Route = event.Route{Name: "*", Action: event.ActionKeep}
	kept.ExecuteWorkflow(ev.WorkflowType(), ev, payload(body))
	require.NoError(t, kept.GetWorkflowError())
	kept.AssertExpectations(t)

	for _, route := range []event.Route{{}, {Name: "order.*", TaskQueue: "billing"}} {
		parked := environment(t, examples())
		ev.Route = route
		parked.ExecuteWorkflow(ev.WorkflowType(), ev, payload(body))
		var failed *temporal.ApplicationError
		require.ErrorAs(t, parked.GetWorkflowError(), &failed)
		require.Equal(t, worker.TypeUnhandled, failed.Type())
		require.ErrorContains(t, failed, `no Workflow handles "standard-webhooks.order.created"`)
	}
}

// TestPatterns sees which of several patterns takes an event.
func TestPatterns(t *testing.T) {
	t.Parallel()
	var ran string
	note := func(name string) func(workflow.Context, event.Event, []byte) error {
		return func(workflow.Context, event.Event, []byte) error { ran = name; return nil }
	}
	handlers := []worker.Handler{
		worker.On("stripe.*", note("all of stripe")),
		worker.On("stripe.customer.*", note("customers")),
		worker.On("stripe.customer.created", note("the exact one")),
		worker.On("*.deleted", note("what is deleted")),
	}
	for name, want := range map[string]string{
		"stripe.customer.created": "the exact one",
		"stripe.customer.updated": "customers",
		"stripe.charge.failed":    "all of stripe",
		"github.repo.deleted":     "what is deleted",
		"stripe.untyped":          "all of stripe",
	} {
		env := environment(t, handlers)
		env.ExecuteWorkflow(name, paid, payload("{}"))
		require.NoError(t, env.GetWorkflowError())
		require.Equal(t, want, ran, name)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	nothing := func(workflow.Context, event.Event, []byte) error { return nil }
	for _, tt := range []struct {
		patterns []string
		want     string
	}{
		{[]string{"stripe.a", "stripe.a"}, `there are two Workflows for "stripe.a"`},
		{[]string{"stripe.*", "stripe.*"}, `there are two Workflows for "stripe.*"`},
		{[]string{"invoice"}, `workflow "invoice": want`},
		{[]string{".a"}, `workflow ".a": want`},
	} {
		var handlers []worker.Handler
		for _, p := range tt.patterns {
			handlers = append(handlers, worker.On(p, nothing))
		}
		var suite testsuite.WorkflowTestSuite
		require.ErrorContains(t, worker.Register(suite.NewTestWorkflowEnvironment(), handlers), tt.want)
	}
}

// TestPolicies sees that Activities are attempted as the config declares, and
// that a Workflow's own options win.
func TestPolicies(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	own := func(ctx workflow.Context, _ event.Event, _ []byte) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
		})
		return workflow.ExecuteActivity(ctx, "RecordPayment", activities.Payment{}).Get(ctx, nil)
	}
	for _, tt := range []struct {
		name, workflow string
		fails          string
		timeout        time.Duration
		attempts       int
	}{
		{"the default", "stripe.invoice.paid", "RecordPayment", 7 * time.Second, 3},
		{"the Activity's own", "stripe.invoice.paid", "SendReceipt", 3 * time.Second, 5},
		{"the Workflow's", "stripe.own", "RecordPayment", time.Minute, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := environment(t, append(examples(), worker.On("stripe.own", own)))
			attempts := 0
			attempt := func(ctx context.Context, name string) error {
				if name != tt.fails {
					return nil
				}
				attempts++
				require.Equal(t, tt.timeout, activity.GetInfo(ctx).StartToCloseTimeout)
				return down
			}
			env.OnActivity("RecordPayment", mock.Anything, mock.Anything).Return(func(ctx context.Context, _ activities.Payment) error {
				return attempt(ctx, "RecordPayment")
			})
			env.OnActivity("SendReceipt", mock.Anything, mock.Anything).Return(func(ctx context.Context, _ activities.Receipt) error {
				return attempt(ctx, "SendReceipt")
			})
			env.ExecuteWorkflow(tt.workflow, paid, payload(invoice))
			require.Error(t, env.GetWorkflowError())
			require.Equal(t, tt.attempts, attempts)
		})
	}
}

func examples() []worker.Handler {
	return []worker.Handler{
		worker.On("github.push", workflows.Push),
		worker.On("shopify.orders/create", workflows.OrderCreated),
		worker.On("stripe.invoice.paid", workflows.InvoicePaid),
	}
}
