// Command hookyard is Hookyard with the examples: what a team's own main looks
// like.
package main

import (
	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/workflows"
)

func main() {
	hookyard.Main(hookyard.App{
		Workflows: []hookyard.Handler{
			hookyard.On("github.push", workflows.Push),
			hookyard.On("shopify.orders/create", workflows.OrderCreated),
			hookyard.On("stripe.invoice.paid", workflows.InvoicePaid),
		},
		Activities: []any{(*activities.Ledger)(nil), (*activities.Mail)(nil), (*activities.Build)(nil)},
		Open:       activities.Open,
		Config:     activities.Config{},
		Demo:       activities.Demo,
	})
}
