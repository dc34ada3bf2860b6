package workflows

import "github.com/hookyard/hookyard/internal/worker"

// All lists the Workflows. A run is matched to its Workflow by name for as
// long as it is open, so a line may be removed only once it has no open runs.
func All() []worker.Handler {
	return []worker.Handler{
		worker.On("github.push", Push),
		worker.On("shopify.orders/create", OrderCreated),
		worker.On("stripe.invoice.paid", InvoicePaid),
	}
}
