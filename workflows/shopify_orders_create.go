package workflows

import (
	"encoding/json"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/event"
)

// Order is what orders/create carries.
// https://shopify.dev/docs/api/admin-rest/latest/resources/order
type Order struct {
	ID         json.Number `json:"id"` // beyond what a float64 holds
	Name       string      `json:"name"`
	Email      string      `json:"email"`
	TotalPrice string      `json:"total_price"` // decimal, in major units
	Currency   string      `json:"currency"`
	CreatedAt  time.Time   `json:"created_at"`
}

// OrderCreated records the order. One app may be in many shops, and which one an
// order is from stands in a header alone.
func OrderCreated(ctx workflow.Context, ev event.Event, order Order) error {
	var ledger *activities.Ledger
	ctx = summarized(ctx, order.Name+", "+order.TotalPrice+" "+order.Currency)
	return workflow.ExecuteActivity(ctx, ledger.RecordOrder, activities.Order{
		Key:       ev.Key("RecordOrder"),
		Source:    ev.Source,
		EventID:   ev.ID,
		Shop:      ev.Header("X-Shopify-Shop-Domain"),
		OrderID:   order.ID.String(),
		Number:    order.Name,
		Email:     order.Email,
		Total:     order.TotalPrice,
		Currency:  order.Currency,
		CreatedAt: order.CreatedAt,
	}).Get(ctx, nil)
}
