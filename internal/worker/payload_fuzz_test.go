package worker

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// invoice has a member of each kind that JSON has.
type invoice struct {
	ID   string `json:"id"`
	Data struct {
		Object struct {
			ID         string   `json:"id"`
			AmountPaid int64    `json:"amount_paid"`
			Lines      []string `json:"lines"`
			Live       bool     `json:"livemode"`
		} `json:"object"`
	} `json:"data"`
}

// FuzzFits gives payloads to the Workflows, as the edge and
// as people who amend them do. Each is taken or refused with an error that a
// history can hold.
func FuzzFits(f *testing.F) {
	f.Add("stripe.invoice.paid", "application/json", []byte(`{"id":"evt_1","data":{"object":{"id":"in_1","amount_paid":4900,"currency":"eur"}}}`))
	f.Add("github.push", "application/x-www-form-urlencoded", []byte("payload=%7B%22ref%22%3A%22main%22%7D"))
	f.Add("github.push", "application/x-www-form-urlencoded; charset=\xff", []byte("payload=%zz"))
	f.Add("shopify.orders/create", "text/\u009b31m", []byte(`{"id":1e999}`))
	f.Add("nobody's", "", []byte("\xff"))
	fits := Fits([]Handler{
		On("stripe.invoice.paid", func(workflow.Context, event.Event, invoice) error { return nil }),
		On("github.push", func(workflow.Context, event.Event, map[string]string) error { return nil }),
	})
	f.Fuzz(func(t *testing.T, workflowType, contentType string, body []byte) {
		ev := event.Event{Source: "s", ContentType: contentType}
		if err := fits(workflowType, ev, body); err != nil {
			require.Contains(t, err.Error(), TypeUndecodable)
			require.NotPanics(t, func() { _, _ = json.Marshal(err.Error()) })
		}
		raw, err := decode[[]byte](ev, body)
		require.NoError(t, err)
		require.Equal(t, string(body), string(raw))
		decoded, err := decode[map[string]any](ev, body)
		if err == nil && decoded != nil {
			require.True(t, json.Valid(event.JSONOf(ev, body)))
		}
	})
}
