package workflows_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/alert"
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
	env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{Policies: policies})}})
	require.NoError(t, worker.Register(env, handlers))
	env.RegisterActivity(&activities.Ledger{})
	env.RegisterActivity(&activities.Mail{})
	env.RegisterActivity(&activities.Build{})
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

func TestInvoicePaid(t *testing.T) {
	t.Parallel()
	env := environment(t, examples())
	at := time.Unix(1767225590, 0).UTC()
	env.OnActivity("RecordPayment", mock.Anything, activities.Payment{
		Key: "stripe-eu:evt_1:RecordPayment", Source: "stripe-eu", EventID: "evt_1", Invoice: "in_1",
		Customer: "cus_1", Email: "ada@example.com", Amount: 4900, Currency: "eur", PaidAt: at,
	}).Return(nil).Once()
	env.OnActivity("SendReceipt", mock.Anything, activities.Receipt{
		Key: "stripe-eu:evt_1:SendReceipt", To: "ada@example.com", Customer: "Ada", Invoice: "HY-1", Amount: 4900, Currency: "eur", PaidAt: at,
	}).Return(nil).Once()
	env.ExecuteWorkflow("stripe.invoice.paid", paid, payload(invoice))
	require.NoError(t, env.GetWorkflowError())
	env.AssertExpectations(t)
}

func TestInvoicePaidWithoutAddress(t *testing.T) {
	t.Parallel()
	env := environment(t, examples())
	env.OnActivity("RecordPayment", mock.Anything, mock.Anything).Return(nil).Once()
	env.ExecuteWorkflow("stripe.invoice.paid", paid, payload(`{"created":1,"data":{"object":{"id":"in_1"}}}`))
	require.NoError(t, env.GetWorkflowError(), "and SendReceipt, which nobody expects, was not called")
	env.AssertExpectations(t)
}

// TestOrderOfSteps sees that no receipt is sent for a payment that is not
// recorded.
func TestOrderOfSteps(t *testing.T) {
	t.Parallel()
	env := environment(t, examples())
	env.OnActivity("RecordPayment", mock.Anything, mock.Anything).Return(temporal.NewNonRetryableApplicationError("no", activities.LedgerRejected, nil)).Once()
	env.RegisterActivity(&alert.Activities{})
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour) // it is parked by then
	env.ExecuteWorkflow("stripe.invoice.paid", paid, payload(invoice))
	require.True(t, temporal.IsCanceledError(env.GetWorkflowError()), "and SendReceipt, which nobody expects, was not called")
	env.AssertExpectations(t)
}

func TestPush(t *testing.T) {
	t.Parallel()
	push := event.Event{Source: "github", Provider: "github", ID: "1", Type: "push"}
	for _, tt := range []struct {
		name, body, contentType string
		builds                  int
	}{
		{"a branch", `{"ref":"refs/heads/main","after":"c0ffee","repository":{"full_name":"acme/shop"},"pusher":{"name":"ada"}}`, "", 1},
		{"a form", `payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%2C%22after%22%3A%22c0ffee%22%2C%22repository%22%3A%7B%22full_name%22%3A%22acme%2Fshop%22%7D%2C%22pusher%22%3A%7B%22name%22%3A%22ada%22%7D%7D`, "application/x-www-form-urlencoded", 1},
		{"a tag", `{"ref":"refs/tags/v1","after":"c0ffee"}`, "", 0},
		{"a deleted branch", `{"ref":"refs/heads/old","after":"0000","deleted":true}`, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := environment(t, examples())
			if tt.builds > 0 {
				env.OnActivity("TriggerBuild", mock.Anything, activities.BuildRequest{
					Key: "github:1:TriggerBuild", Repository: "acme/shop", Ref: "refs/heads/main", Commit: "c0ffee", Pusher: "ada",
				}).Return(nil).Times(tt.builds)
			}
			ev := push
			ev.ContentType = tt.contentType
			env.ExecuteWorkflow("github.push", ev, payload(tt.body))
			require.NoError(t, env.GetWorkflowError())
			env.AssertExpectations(t)
		})
	}
}

func TestOrderCreated(t *testing.T) {
	t.Parallel()
	env := environment(t, examples())
	env.OnActivity("RecordOrder", mock.Anything, activities.Order{
		Key: "shop:9:RecordOrder", Source: "shop", EventID: "9", OrderID: "820982911946154508", Number: "#1001",
		Email: "ada@example.com", Total: "129.90", Currency: "EUR", CreatedAt: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC),
	}).Return(nil).Once()
	env.ExecuteWorkflow("shopify.orders/create", event.Event{Source: "shop", Provider: "shopify", ID: "9", Type: "orders/create"},
		payload(`{"id":820982911946154508,"name":"#1001","email":"ada@example.com","total_price":"129.90","currency":"EUR","created_at":"2026-01-01T09:00:00Z"}`))
	require.NoError(t, env.GetWorkflowError())
	env.AssertExpectations(t)
}

func examples() []worker.Handler {
	return []worker.Handler{
		worker.On("github.push", workflows.Push),
		worker.On("shopify.orders/create", workflows.OrderCreated),
		worker.On("stripe.invoice.paid", workflows.InvoicePaid),
	}
}
