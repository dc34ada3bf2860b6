package provider_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// TestAddSchemes adds what a team's program brings along, or nothing of it.
func TestAddSchemes(t *testing.T) {
	t.Parallel()
	const file = "name: own\ndocs: https://own.example\nsignature: {scheme: %s}\nevent: {id: [body:sha256]}\n"
	for _, tt := range []struct {
		name    string
		schemes map[string]provider.Scheme
		errs    []string
	}{
		{"none", nil, nil},
		{"one", map[string]provider.Scheme{"wharf": wharf{}}, nil},
		{"a taken name", map[string]provider.Scheme{"wharf": wharf{}, "twilio": wharf{}}, []string{`there is a scheme "twilio" already`}},
		{"two mistakes", map[string]provider.Scheme{"Wharf": wharf{}, "quay": nil}, []string{`scheme "Wharf": want a name of lower-case`, `scheme "quay" is nil`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			catalog, err := provider.Builtin()
			require.NoError(t, err)
			err = catalog.AddSchemes(tt.schemes)
			for _, want := range tt.errs {
				require.ErrorContains(t, err, want)
			}
			if tt.errs == nil {
				require.NoError(t, err)
			}
			problems := catalog.Add(fstest.MapFS{"own.yaml": {Data: fmt.Appendf(nil, file, "wharf")}})
			if tt.name == "one" {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.Contains(t, problems[0].Error(), `own.yaml:3: unknown scheme "wharf"; known: adyen-payments, `)
		})
	}
	first, err := provider.Builtin()
	require.NoError(t, err)
	require.NoError(t, first.AddSchemes(map[string]provider.Scheme{"wharf": wharf{}}))
	require.ErrorContains(t, first.AddSchemes(map[string]provider.Scheme{"wharf": wharf{}}), "already")
	second, err := provider.Builtin()
	require.NoError(t, err)
	require.NoError(t, second.AddSchemes(map[string]provider.Scheme{"wharf": wharf{}}), "catalogs share nothing")
}

// TestSensitiveHeaders names what the Event must not keep.
func TestSensitiveHeaders(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"stripe":       {"Stripe-Signature"},
		"asana":        {"X-Hook-Secret", "X-Hook-Signature"},
		"shopify":      {"Shopify-Hmac-Sha256", "X-Shopify-Hmac-Sha256"},
		"gitlab-token": {"X-Gitlab-Token"},
		"chargebee":    {"Authorization"},
		"plivo":        {"X-Plivo-Signature-Ma-V3", "X-Plivo-Signature-V3"},
		"paypal":       {"Paypal-Transmission-Sig"},
		"plaid":        {"Plaid-Verification"},
		"aws-sns":      nil, // all of it is in the body
	} {
		require.Empty(t, cmp.Diff(want, lookup(t, name).SensitiveHeaders()), name)
	}
	require.Len(t, lookup(t, "docusign").SensitiveHeaders(), 100)
	bad := "name: own\ndocs: https://own.example\nsignature: {scheme: twilio, header: \"X-{9..1}\"}\nevent: {id: [body:sha256]}\n"
	problems := new(provider.Catalog).Add(fstest.MapFS{"own.yaml": {Data: []byte(bad)}})
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Error(), "own.yaml:3: signature.header")
}

// sensitive: a header that depends on the secret is one that the Event must
// not keep.
func (l law) sensitive(t *testing.T) {
	one, other := l.signed(t, l.receiver, "evt_1", now), l.stamped(t, "evt_1", now)
	require.NoError(t, l.bind(t, l.other).Sign(other))
	for name, values := range one.Header {
		if strings.Join(values, "\n") != strings.Join(other.Header[name], "\n") && !strings.HasSuffix(name, "Nonce") {
			require.Contains(t, l.provider.SensitiveHeaders(), name, "name it under signature.header")
		}
	}
}
