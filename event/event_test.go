package event_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

func TestWorkflowID(t *testing.T) {
	t.Parallel()
	digest := "sha256-" // what every hashed id starts with
	for _, tt := range []struct {
		name, id string
		hashed   bool
	}{
		{"a provider's id", "evt_1NG8Du2eZvKYlo2CUI79vXWy", false},
		{"every allowed character", "aZ09._:@-", false},
		{"a slash", "orders/1", true},
		{"a space", "a b", true},
		{"not ASCII", "événement", true},
		{"not UTF-8", "\xff\xfe", true},
		{"a line break", "a\nb", true},
		{"empty", "", true},
		{"poses as a digest", digest + strings.Repeat("0", 64), true},
		{"exactly 200 bytes", strings.Repeat("a", 200-len("src:")), false},
		{"201 bytes", strings.Repeat("a", 201-len("src:")), true},
		{"a megabyte", strings.Repeat("a", 1<<20), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := event.WorkflowID("src", tt.id)
			require.Regexp(t, `^[A-Za-z0-9._:@-]+$`, got)
			require.LessOrEqual(t, len(got), event.MaxWorkflowID)
			if tt.hashed {
				require.True(t, strings.HasPrefix(got, "src:"+digest), got)
				require.NotEqual(t, "src:"+tt.id, got)
			} else {
				require.Equal(t, "src:"+tt.id, got)
			}
		})
	}
}

func TestWorkflowTypeAndKey(t *testing.T) {
	t.Parallel()
	ev := event.Event{Source: "stripe-eu", Provider: "stripe", ID: "evt_1", Type: "invoice.paid"}
	require.Equal(t, "stripe.invoice.paid", ev.WorkflowType())
	require.Equal(t, "stripe-eu:evt_1:SendReceipt", ev.Key("SendReceipt"))
	ev.Type = ""
	require.Equal(t, "stripe.untyped", ev.WorkflowType())
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"invoice.paid", "invoice.paid", true},
		{"invoice.paid", "invoice.paid2", false},
		{"invoice.*", "invoice.paid", true},
		{"invoice.*", "invoice.payment.failed", true},
		{"invoice.*", "invoice", false},
		{"invoice.*", "charge.paid", false},
		{"*", "", true},
		{"*", "orders/create", true},
		{"orders/*", "orders/create", true},
		{"*.created", "customer.created", true},
		{"*.created", "customer.created.x", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*a", "a", false},
		{"**", "x", true},
	} {
		require.Equal(t, tt.want, event.Match(tt.pattern, tt.name), "%q ~ %q", tt.pattern, tt.name)
	}
	require.Equal(t, 8, event.Literals("invoice.*"))
}
