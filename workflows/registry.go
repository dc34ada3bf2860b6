package workflows

// All lists the Workflows. A run is matched to its Workflow by name for as
// long as it is open, so a line may be removed only once it has no open runs.
func All() []Handler {
	return []Handler{
		On("github.push", Push),
		On("shopify.orders/create", OrderCreated),
		On("stripe.invoice.paid", InvoicePaid),
	}
}
