package workflows_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/hookyardtest"
	"github.com/hookyard/hookyard/workflows"
)

// app has the Workflows that are tested.
func app() hookyard.App {
	return hookyard.App{Workflows: []hookyard.Handler{
		hookyard.On("github.push", workflows.Push, (*activities.Build)(nil)),
		hookyard.On("shopify.orders/create", workflows.OrderCreated, (*activities.Ledger)(nil)),
		hookyard.On("stripe.invoice.paid", workflows.InvoicePaid, (*activities.Ledger)(nil), (*activities.Mail)(nil)),
	}, Open: activities.Open, Config: activities.Config{}}
}

// invoice is an invoice.paid of that currency and address.
func invoice(t *testing.T, currency, email string) hookyardtest.Event {
	t.Helper()
	return hookyardtest.Body(t, app(), "stripe", "", nil, fmt.Appendf(nil, `{"id":"evt_1","type":"invoice.paid","created":1767225600,
		"data":{"object":{"id":"in_1","number":"HY-1","customer":"cus_1","customer_email":%q,"customer_name":"Ada",
		"amount_paid":4900,"currency":%q,"status_transitions":{"paid_at":1767225590}}}}`, email, currency))
}

func TestInvoicePaid(t *testing.T) {
	t.Parallel()
	for currency, mailed := range map[string]int64{"eur": 4900, "isk": 49, "ugx": 49, "mga": 490000, "jpy": 4900} {
		run := hookyardtest.Start(t, app(), invoice(t, currency, "ada@example.com"), hookyardtest.Options{
			Fakes: hookyardtest.Fakes{"RecordPayment": nil, "SendReceipt": nil},
		})
		run.Completed()
		at := time.Unix(1767225590, 0).UTC()
		run.Called("RecordPayment", activities.Payment{
			Key: "stripe:evt_1:RecordPayment", Source: "stripe", EventID: "evt_1", Invoice: "in_1",
			Customer: "cus_1", Email: "ada@example.com", Amount: 4900, Currency: currency, PaidAt: at,
		})
		run.Called("SendReceipt", activities.Receipt{
			Key: "stripe:evt_1:SendReceipt", To: "ada@example.com", Customer: "Ada", Invoice: "HY-1", Amount: mailed, Currency: currency, PaidAt: at,
		})
		require.Len(t, run.Calls(""), 2)
	}
}

func TestInvoicePaidWithoutAddress(t *testing.T) {
	t.Parallel()
	run := hookyardtest.Start(t, app(), invoice(t, "eur", ""), hookyardtest.Options{Fakes: hookyardtest.Fakes{"RecordPayment": nil}})
	run.Completed()
	require.Len(t, run.Calls("RecordPayment"), 1)
	run.NotCalled("SendReceipt")
}

// TestOrderOfSteps sees that no receipt is sent for a payment that is not
// recorded, and that it is sent once it is.
func TestOrderOfSteps(t *testing.T) {
	t.Parallel()
	run := hookyardtest.Start(t, app(), invoice(t, "eur", "ada@example.com"), hookyardtest.Options{Fakes: hookyardtest.Fakes{
		"RecordPayment": temporal.NewNonRetryableApplicationError("no", activities.LedgerRejected, nil), "SendReceipt": nil,
	}})
	run.Parked("RecordPayment", event.ReasonPermanent)
	run.NotCalled("SendReceipt")
	run.Fake("RecordPayment", nil)
	run.Resume("RecordPayment")
	run.Completed()
	require.Len(t, run.Calls("SendReceipt"), 1)
}

func TestPush(t *testing.T) {
	t.Parallel()
	const form = `payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%2C%22after%22%3A%22c0ffee%22%2C%22repository%22%3A%7B%22full_name%22%3A%22acme%2Fshop%22%7D%2C%22pusher%22%3A%7B%22name%22%3A%22ada%22%7D%7D`
	for _, tt := range []struct {
		name, body string
		builds     bool
	}{
		{"a branch", `{"ref":"refs/heads/main","after":"c0ffee","repository":{"full_name":"acme/shop"},"pusher":{"name":"ada"}}`, true},
		{"a form", form, true},
		{"a tag", `{"ref":"refs/tags/v1","after":"c0ffee"}`, false},
		{"a deleted branch", `{"ref":"refs/heads/old","after":"0000","deleted":true}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ev := hookyardtest.Body(t, app(), "github", "push", http.Header{"X-GitHub-Delivery": {"1"}}, []byte(tt.body))
			run := hookyardtest.Start(t, app(), ev, hookyardtest.Options{Fakes: hookyardtest.Fakes{"TriggerBuild": nil}})
			run.Completed()
			if !tt.builds {
				run.NotCalled("TriggerBuild")
				return
			}
			run.Called("TriggerBuild", activities.BuildRequest{
				Key: "github:1:TriggerBuild", Repository: "acme/shop", Ref: "refs/heads/main", Commit: "c0ffee", Pusher: "ada",
			})
		})
	}
}

func TestOrderCreated(t *testing.T) {
	t.Parallel()
	ev := hookyardtest.Body(t, app(), "shopify", "orders/create", http.Header{"X-Shopify-Event-Id": {"9"}, "X-Shopify-Shop-Domain": {"acme.myshopify.com"}},
		[]byte(`{"id":820982911946154508,"name":"#1001","email":"ada@example.com","total_price":"129.90","currency":"EUR","created_at":"2026-01-01T09:00:00Z"}`))
	run := hookyardtest.Start(t, app(), ev, hookyardtest.Options{Fakes: hookyardtest.Fakes{"RecordOrder": nil}})
	run.Completed()
	run.Called("RecordOrder", activities.Order{
		Key: ev.Key("RecordOrder"), Source: "shopify", EventID: ev.ID, Shop: "acme.myshopify.com", OrderID: "820982911946154508", Number: "#1001",
		Email: "ada@example.com", Total: "129.90", Currency: "EUR", CreatedAt: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC),
	})
}

// TestReplay sees that open runs of the examples go on after a deploy.
func TestReplay(t *testing.T) {
	t.Parallel()
	hookyardtest.Replay(t, app(), "../tests/histories")
}
