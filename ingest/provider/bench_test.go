package provider_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// largeDelivery is a signed delivery with a body of about two kibibytes.
func largeDelivery(t testing.TB, r *provider.Receiver) *provider.Delivery {
	body, eventType, _ := r.Sample("")
	d := provider.SampleDelivery("https://hooks.example.com/webhooks/x", bytes.Clone(body))
	d.ReceivedAt = now
	if missing := 2048 - len(d.Body); missing > 0 && json.Valid(d.Body) && d.Body[0] == '{' {
		d.Body = append(bytes.TrimSuffix(bytes.TrimSpace(d.Body), []byte("}")), `,"filler":"`+strings.Repeat("x", missing)+`"}`...)
	}
	require.NoError(t, r.Stamp(d, "evt_1", eventType))
	require.NoError(t, r.Sign(d))
	return d
}

// BenchmarkVerifyIdentify is what the edge does with a delivery between
// reading and starting it.
func BenchmarkVerifyIdentify(b *testing.B) {
	catalog, err := provider.Builtin()
	require.NoError(b, err)
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		if p.Spec().Name != name || !p.CanSign() {
			continue
		}
		r, err := p.Bind(binding(p, keys(b, p, "one")))
		require.NoError(b, err)
		d := largeDelivery(b, r)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(d.Body)))
			for b.Loop() {
				verifyIdentify(b, r, d)
			}
		})
	}
}

func verifyIdentify(t testing.TB, r *provider.Receiver, d *provider.Delivery) {
	if err := r.Verify(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	events, err := r.Identify(d)
	if err != nil || len(events) == 0 {
		t.Fatal(err, events)
	}
}
