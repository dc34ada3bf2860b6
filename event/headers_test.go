package event_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

func TestHeaders(t *testing.T) {
	t.Parallel()
	ev := event.Event{Headers: event.Headers{"X-Shopify-Shop-Domain": {"one.myshopify.com", "two"}, "X-Shopify-Topic": {"orders/create"}, "Date": {}}}
	require.Equal(t, "one.myshopify.com", ev.Header("X-Shopify-Shop-Domain"))
	require.Equal(t, "one.myshopify.com", ev.Header("x-shopify-SHOP-domain"))
	require.Empty(t, ev.Header("Date"), "a header without a value")
	require.Empty(t, ev.Header("X-Missing"))
	require.Empty(t, event.Event{}.Header("X-Shopify-Topic"), "an Event without headers")

	require.Empty(t, cmp.Diff(event.Headers{"X-Shopify-Shop-Domain": {"one.myshopify.com", "two"}, "X-Shopify-Topic": {"orders/create"}}, ev.Headers.Matching([]string{"x-shopify-*"})))
	require.Empty(t, cmp.Diff(event.Headers{"X-Shopify-Topic": {"orders/create"}}, ev.Headers.Matching([]string{"X-Other", "X-Shopify-Topic"})))
	require.Nil(t, ev.Headers.Matching([]string{"X-Other-*"}))
	require.Nil(t, ev.Headers.Matching(nil))

	data, err := json.Marshal(ev)
	require.NoError(t, err)
	var stored event.Event
	require.NoError(t, json.Unmarshal(data, &stored))
	require.Empty(t, cmp.Diff(ev, stored))
}

// FuzzCanonicalHeader holds the form of names against that of net/http, which
// the edge has them in.
func FuzzCanonicalHeader(f *testing.F) {
	for _, name := range []string{"x-hub-signature-256", "X-HUB", "eTag", "a--b", "-a", "", "x_y-z", "x-shopify-*"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		canonical := event.CanonicalHeader(name)
		require.Equal(t, canonical, event.CanonicalHeader(canonical))
		require.Equal(t, canonical, event.Headers{canonical: {canonical}}.Get(name))
		for i := range len(name) {
			if name[i] <= ' ' || name[i] >= 0x7f || !isToken(name[i]) {
				return // no header of HTTP: net/http leaves it as it is
			}
		}
		require.Equal(t, http.CanonicalHeaderKey(name), canonical)
	})
}

func isToken(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=', '{', '}':
		return false
	}
	return true
}
