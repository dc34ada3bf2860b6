package ingest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

func TestHeadersKept(t *testing.T) {
	t.Parallel()
	f := headerFilter{provider: []string{"X-Mark"}, operator: []string{"X-Internal-*", "Date"}}
	for name, kept := range map[string]bool{
		"X-Shopify-Shop-Domain": true, "X-Github-Event": true, "User-Agent": true, "Content-Type": true, "Idempotency-Key": true,
		"X-Event-Key": true, "X-Author": true, "X-Design": true, "X-Request-Id": true, "Traceparent": true, "Content-Digest": true,

		"Authorization": false, "Cookie": false, "Set-Cookie": false, "Proxy-Authorization": false, "Proxy-Whatever": false,
		"Connection": false, "Keep-Alive": false, "Te": false, "Trailer": false, "Transfer-Encoding": false, "Upgrade": false,
		"Content-Length": false, "Expect": false, "X-Only-Here": false, "X-Nor-There": false,
		"Forwarded": false, "X-Forwarded-For": false, "X-Forwarded-Proto": false, "X-Real-Ip": false, "Via": false,
		"X-Mark": false, "X-Internal-Id": false, "Date": false,
		"X-Hub-Signature-256": false, "X-Gitlab-Token": false, "X-Shopify-Hmac-Sha256": false, "X-Api-Key": false, "X_secret": false,
		"X-Auth": false, "Ocp-Apim-Subscription-Key": false, "X-Session": false, "Apikey": false,
	} {
		h := http.Header{"Connection": {"close, x-only-here", "X-Nor-There"}, name: {"one", "two"}}
		if name == "Connection" {
			h = http.Header{name: {"close"}}
		}
		got, leftOut := f.keep(h)
		require.Empty(t, leftOut)
		want := event.Headers{}
		if kept {
			want[name] = []string{"one", "two"}
		}
		require.Empty(t, cmp.Diff(want, got), name)
	}
}

// TestNoSensitiveHeaderIsKept holds every provider to it: no header that it
// signs in, or sends a secret in, becomes part of an Event.
func TestNoSensitiveHeaderIsKept(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		f := headerFilter{provider: p.SensitiveHeaders()}
		for _, header := range p.SensitiveHeaders() {
			kept, _ := f.keep(http.Header{header: {"s"}, "X-Other": {"o"}})
			require.Empty(t, cmp.Diff(event.Headers{"X-Other": {"o"}}, kept), "%s %s", name, header)
		}
	}
}

// TestHeadersAreBounded sees that the largest headers are left out, always the
// same ones, and that the Event says which.
func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	f := headerFilter{}
	h := http.Header{"X-Small": {"s"}, "X-Large": {strings.Repeat("l", 9<<10)}, "X-Larger": {strings.Repeat("l", 5<<10), strings.Repeat("l", 5<<10)}}
	kept, leftOut := f.keep(h)
	require.Empty(t, cmp.Diff([]string{"X-Larger"}, leftOut))
	require.Empty(t, cmp.Diff(event.Headers{"X-Small": {"s"}, "X-Large": h["X-Large"]}, kept))

	exact := http.Header{"A": {strings.Repeat("l", event.MaxHeaders-1)}}
	kept, leftOut = f.keep(exact)
	require.Len(t, kept, 1)
	require.Empty(t, leftOut)

	many := http.Header{}
	for i := range 5000 {
		many[fmt.Sprintf("X-%04d", i)] = []string{"0123456789"}
	}
	kept, leftOut = f.keep(many)
	size := 0
	for name, values := range kept {
		size += headerSize(name, values)
	}
	require.LessOrEqual(t, size, event.MaxHeaders)
	require.Greater(t, size, event.MaxHeaders-20, "no more is left out than has to be")
	require.Equal(t, "...", leftOut[len(leftOut)-1])
	require.LessOrEqual(t, len(strings.Join(leftOut, "")), maxLeftOut+3)
	for range 10 {
		again, names := f.keep(many)
		require.Empty(t, cmp.Diff(kept, again))
		require.Empty(t, cmp.Diff(leftOut, names))
	}
}

// TestHeadersAreText sees that a value is the same once it is stored.
func TestHeadersAreText(t *testing.T) {
	t.Parallel()
	values := []string{"caf\xe9", "café", "\xff\x80"}
	sent := slices.Clone(values)
	kept, _ := (&headerFilter{}).keep(http.Header{"X-Place": values})
	require.Empty(t, cmp.Diff([]string{"café", "café", "ÿ\u0080"}, kept["X-Place"]))
	require.Empty(t, cmp.Diff(sent, values), "what came is not changed")
}
