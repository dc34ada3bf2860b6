package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/event"
)

// Invoice is what invoice.paid carries.
// https://docs.stripe.com/api/invoices/object
type Invoice struct {
	Created int64 `json:"created"` // of the event, seconds
	Data    struct {
		Object struct {
			ID            string `json:"id"`
			Number        string `json:"number"`
			Customer      string `json:"customer"`
			CustomerEmail string `json:"customer_email"`
			CustomerName  string `json:"customer_name"`
			AmountPaid    int64  `json:"amount_paid"` // in the currency's minor unit
			Currency      string `json:"currency"`
			Transitions   struct {
				PaidAt int64 `json:"paid_at"` // seconds
			} `json:"status_transitions"`
		} `json:"object"`
	} `json:"data"`
}

func (i Invoice) paidAt() time.Time {
	if at := i.Data.Object.Transitions.PaidAt; at != 0 {
		return time.Unix(at, 0).UTC()
	}
	return time.Unix(i.Created, 0).UTC()
}

// InvoicePaid records the payment and mails the receipt. An invoice without
// an address to send to gets none.
func InvoicePaid(ctx workflow.Context, ev event.Event, invoice Invoice) error {
	var (
		ledger *activities.Ledger
		mail   *activities.Mail
		paid   = invoice.Data.Object
	)
	ctx = summarized(ctx, fmt.Sprintf("%s, %d %s", paid.ID, paid.AmountPaid, paid.Currency))
	err := workflow.ExecuteActivity(ctx, ledger.RecordPayment, activities.Payment{
		Key:      ev.Key("RecordPayment"),
		Source:   ev.Source,
		EventID:  ev.ID,
		Invoice:  paid.ID,
		Customer: paid.Customer,
		Email:    paid.CustomerEmail,
		Amount:   paid.AmountPaid,
		Currency: paid.Currency,
		PaidAt:   invoice.paidAt(),
	}).Get(ctx, nil)
	if err != nil || paid.CustomerEmail == "" {
		return err
	}
	return workflow.ExecuteActivity(ctx, mail.SendReceipt, activities.Receipt{
		Key:      ev.Key("SendReceipt"),
		To:       paid.CustomerEmail,
		Customer: paid.CustomerName,
		Invoice:  paid.Number,
		Amount:   isoAmount(paid.AmountPaid, paid.Currency),
		Currency: paid.Currency,
		PaidAt:   invoice.paidAt(),
	}).Get(ctx, nil)
}

// isoAmount converts an amount from Stripe's minor units to those of ISO 4217,
// which differ for three currencies.
// https://docs.stripe.com/currencies#special-cases
func isoAmount(amount int64, currency string) int64 {
	switch strings.ToLower(currency) {
	case "isk", "ugx": // counted in hundredths that ISO does not have
		return amount / 100
	case "mga": // counted whole; ISO has hundredths
		return amount * 100
	default:
		return amount
	}
}
