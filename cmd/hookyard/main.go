// Command hookyard is Hookyard with the examples: what a team's own main looks
// like.
package main

import (
	_ "gocloud.dev/blob/s3blob" // payload_store: {url: "s3://…"}; gcsblob and azureblob are added alike

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/workflows"
)

func main() {
	hookyard.Main(hookyard.App{
		Workflows: []hookyard.Handler{
			hookyard.On("github.push", workflows.Push, (*activities.Build)(nil)),
			hookyard.On("shopify.orders/create", workflows.OrderCreated, (*activities.Ledger)(nil)),
			hookyard.On("stripe.invoice.paid", workflows.InvoicePaid, (*activities.Ledger)(nil), (*activities.Mail)(nil)),
		},
		Open:   activities.Open,
		Config: activities.Config{},
		Demo:   activities.Demo,
	})
}
