package provider_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// mistake makes a genuine delivery unverifiable.
type mistake struct {
	name, provider string
	// secret is the sender's; configured the receiver's ("" for the same).
	secret, configured string
	sign               string // the provider that signs, where it is another one
	url                string
	change             func(d *provider.Delivery)
	want               string
}

func mistakes() []mistake {
	body := func(change func([]byte) []byte) func(d *provider.Delivery) {
		return func(d *provider.Delivery) { d.Body = change(d.Body) }
	}
	const (
		text = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
		bare = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	)
	indent := func(b []byte) []byte {
		var out bytes.Buffer
		_ = json.Indent(&out, b, "", "  ")
		return out.Bytes()
	}
	return []mistake{
		{name: "a line break after the secret", provider: "stripe", secret: text, configured: text + "\n", want: "secret 1: it matches without the blank or line break"},
		{name: "a blank before the secret", provider: "github", secret: "geheim", configured: " geheim", want: "without the blank or line break"},
		{name: "the sender's line break", provider: "github", secret: "geheim\n", configured: "geheim", want: "with a line break after the secret"},
		{name: "quotes", provider: "github", secret: "geheim", configured: `"geheim"`, want: "without the quotes"},
		{name: "a prefix too few", provider: "stripe", secret: text, configured: bare, want: `with "whsec_" before the secret`},
		{name: "a prefix too many", provider: "github", secret: "geheim", configured: "ghs_geheim", want: "without the prefix of the secret"},
		{name: "not to be decoded", provider: "standard-webhooks", secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte(text)), configured: text, want: "with the text of the secret as the key"},
		{name: "to be decoded", provider: "stripe", secret: "0123456789abcdef0123456789abcdef", configured: text, want: "decoded from base64"},
		{name: "to be decoded from hex", provider: "github", secret: "0123456789", configured: "30313233343536373839", want: "decoded from hex"},
		{name: "to be decoded, in Go", provider: "hubspot", secret: "0123456789", configured: "MDEyMzQ1Njc4OQ==", want: "decoded from base64"},
		{name: "a line break in the file", provider: "github", secret: "s", change: body(func(b []byte) []byte { return append(b, '\n') }), want: "without the line break at the end; editors add one"},
		{name: "indented", provider: "shopify", secret: "s", change: body(indent), want: "the JSON was parsed and written again on its way"},
		{name: "CRLF", provider: "sendgrid-like", secret: "s", change: body(func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), "\n", "\r\n")) }), want: "LF for each CRLF"},
		{name: "http for https", provider: "square", secret: "s", change: func(d *provider.Delivery) { d.URL = strings.Replace(d.URL, "https", "http", 1) }, want: `it matches with the URL "https://hooks.example.com/webhooks/x"`},
		{name: "a port", provider: "trello", secret: "s", url: "https://hooks.example.com:443/webhooks/x", want: ""},
		{name: "a trailing slash", provider: "square", secret: "s", url: "https://hooks.example.com/webhooks/x", change: func(d *provider.Delivery) { d.URL += "/" }, want: `it matches with the URL "https://hooks.example.com/webhooks/x"`},
		{name: "the Host of the request", provider: "hubspot", secret: "s", change: func(d *provider.Delivery) {
			d.Header.Set("X-Forwarded-Host", "hooks.example.com")
			d.URL = "http://10.0.0.1:8080/webhooks/x"
		}, want: "public_url has to say so"},
		{name: "a path behind a proxy", provider: "square", secret: "s", change: func(d *provider.Delivery) {
			d.Header.Set("X-Forwarded-Prefix", "/webhooks")
			d.URL = "https://hooks.example.com/x"
		}, want: `it matches with the URL "https://hooks.example.com/webhooks/x"`},
		{name: "the older signature", provider: "github", secret: "s", sign: "github-legacy", want: `provider "github-legacy", which signs in X-Hub-Signature`},
		{name: "another version", provider: "hubspot-v3", secret: "s", sign: "hubspot-v1", want: `provider "hubspot-v1"`},
		{name: "another provider", provider: "stripe", secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZg==", sign: "paddle", want: `provider "paddle"`},
		{name: "base64 for hex", provider: "cal-com", secret: "s", change: recode, want: "the signature is written in base64"},
		{name: "no prefix", provider: "github", secret: "s", change: func(d *provider.Delivery) {
			d.Header.Set("X-Hub-Signature-256", strings.TrimPrefix(d.Header.Get("X-Hub-Signature-256"), "sha256="))
		}, want: `without the prefix "sha256="`},
		{name: "another time", provider: "slack", secret: "s", change: func(d *provider.Delivery) {
			n, _ := strconv.ParseInt(d.Header.Get("X-Slack-Request-Timestamp"), 10, 64)
			d.Header.Set("X-Slack-Request-Timestamp", strconv.FormatInt(n*1000, 10))
		}, want: "with the timestamp in seconds"},
		{name: "two mistakes", provider: "github", secret: "geheim", configured: "geheim\n", change: body(func(b []byte) []byte { return append(b, '\n') }), want: "besides, the body has a line break"},
		{name: "a forgery", provider: "stripe", secret: "other", configured: text, want: ""},
		{name: "a changed amount", provider: "stripe", secret: text, change: body(func(b []byte) []byte { return []byte(strings.Replace(string(b), "4900", "1", 1)) }), want: ""},
	}
}

// recode writes a hex signature in base64.
func recode(d *provider.Delivery) {
	for name, values := range d.Header {
		if raw, err := hex.DecodeString(values[0]); err == nil && strings.Contains(name, "Signature") {
			d.Header.Set(name, base64.StdEncoding.EncodeToString(raw))
		}
	}
}

// TestDiagnose names the mistake that was made, or none.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if m.configured == "" {
				m.configured = m.secret
			}
			if m.sign == "" {
				m.sign = m.provider
			}
			bound := func(name, secret string) *provider.Receiver {
				if name == "sendgrid-like" {
					return ownReceiver(t, "", provider.Binding{Secrets: []string{secret}})
				}
				return bind(t, name, secret)
			}
			signer, r := bound(m.sign, m.secret), bound(m.provider, m.configured)
			sample, _, _ := signer.Sample("")
			if sample == nil {
				sample = []byte("{\n\"id\": 1\n}")
			}
			var compact bytes.Buffer
			if m.provider == "sendgrid-like" || json.Compact(&compact, sample) != nil {
				compact.Write(sample)
			}
			d := provider.SampleDelivery("https://hooks.example.com/webhooks/x", compact.Bytes())
			if m.url != "" {
				d.URL = m.url
			}
			d.ReceivedAt = now
			if strings.Contains(m.sign, "standard") {
				d.Header.Set("webhook-id", "msg_1")
			}
			require.NoError(t, signer.Sign(d))
			if m.change != nil {
				m.change(d)
			}
			got := r.Diagnose(t.Context(), d, provider.Surroundings{Catalog: catalog})
			if m.want == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, got, m.want)
			require.NotContains(t, got, "geheim")
			require.NotContains(t, got, "MDEyMzQ1")
		})
	}
}

// TestDiagnoseBesides looks into other sources and other addresses.
func TestDiagnoseBesides(t *testing.T) {
	t.Parallel()
	d := provider.SampleDelivery("https://hooks.example.com/webhooks/x", []byte(`{"id":"1"}`))
	d.ReceivedAt = now
	require.NoError(t, bind(t, "stripe", "right").Sign(d))
	wrong := bind(t, "stripe", "wrong")
	around := provider.Surroundings{Sources: map[string]*provider.Receiver{"stripe-eu": bind(t, "stripe", "right"), "gh": bind(t, "github", "x")}}
	require.Equal(t, `it matches under the secret of source "stripe-eu"`, wrong.Diagnose(t.Context(), d, around))
	require.Equal(t, `it is a delivery for source "stripe-eu", of provider "stripe"`, bind(t, "github", "x").Diagnose(t.Context(), d, provider.Surroundings{Sources: map[string]*provider.Receiver{"stripe-eu": around.Sources["stripe-eu"]}}))
	require.Empty(t, bind(t, "stripe", "right").Diagnose(t.Context(), d, around), "it is verified")
	d.ReceivedAt = now.Add(time.Hour)
	require.Empty(t, bind(t, "stripe", "right").Diagnose(t.Context(), d, around), "it is stale, and says so")

	d = provider.SampleDelivery("https://a.example/in", []byte(`{"id":"1"}`))
	require.NoError(t, bind(t, "square", "s").Sign(d))
	d.URL = "https://b.example/in"
	require.Contains(t, bind(t, "square", "s").Diagnose(t.Context(), d, provider.Surroundings{URLs: []string{"http://a.example/in"}}), `the URL "https://a.example/in"`)
}

// TestMisreadTime tells another unit from a clock that is wrong.
func TestMisreadTime(t *testing.T) {
	t.Parallel()
	const file = `signature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: "{timestamp}.{body}", timestamp: {from: header:X-Time, unit: %s, tolerance: 5m}}`
	for _, tt := range []struct{ unit, time, want string }{
		{"s", strconv.FormatInt(now.UnixMilli(), 10), "is a time in ms, and the provider's are in s"},
		{"ms", strconv.FormatInt(now.Unix(), 10), "is a time in s, and the provider's are in ms"},
		{"s", "0", "in s is in the year 1970"},
		{"s", "999999999999999", "in s is in the year"},
		{"s", strconv.FormatInt(now.Add(-time.Hour).Unix(), 10), "it is 1h0m0s old"},
	} {
		r := ownReceiver(t, strings.ReplaceAll(file, "%s", tt.unit), provider.Binding{})
		d := &provider.Delivery{Method: http.MethodPost, Header: http.Header{"X-Time": {tt.time}}, Body: []byte(`{"id":1}`), ReceivedAt: now}
		d.Header.Set("X-Sig", macHex("s", tt.time+`.{"id":1}`))
		err := r.Verify(t.Context(), d)
		require.ErrorIs(t, err, provider.ErrStale, tt.time)
		require.ErrorContains(t, err, tt.want)
		require.NotContains(t, err.Error(), "2562047h")
	}
}

func macHex(secret, content string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(content))
	return hex.EncodeToString(mac.Sum(nil))
}
