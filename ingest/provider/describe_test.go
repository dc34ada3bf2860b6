package provider_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// TestGenerateKey signs with the private half and verifies with the public
// one, in each form that the catalog's providers have for keys.
func TestGenerateKey(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	var pairs []string
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		if !p.SignsWithPair() {
			_, _, err := p.GenerateKey()
			require.ErrorContains(t, err, name+" does not sign with a key pair")
			continue
		}
		pairs = append(pairs, name)
		public, private, err := p.GenerateKey()
		require.NoError(t, err)
		receiver, err := p.Bind(provider.Binding{Secrets: []string{public}})
		require.NoError(t, err)
		signer, err := receiver.Rebind(func(b *provider.Binding) { b.Secrets = []string{private} })
		require.NoError(t, err)

		sample, _, _ := p.Sample("")
		d := provider.SampleDelivery("https://h/", sample)
		d.ReceivedAt = time.Now()
		require.NoError(t, signer.Stamp(d, "evt_1", ""))
		require.Error(t, receiver.Sign(d), "a public key")
		require.NoError(t, signer.Sign(d))
		require.NoError(t, receiver.Verify(t.Context(), d))

		other, _, err := p.GenerateKey()
		require.NoError(t, err)
		stranger, err := p.Bind(provider.Binding{Secrets: []string{other}})
		require.NoError(t, err)
		require.ErrorIs(t, stranger.Verify(t.Context(), d), provider.ErrMismatch)
		require.NotContains(t, public+private, "\n", "a key is one line")
	}
	require.Empty(t, cmp.Diff([]string{"discord", "sendgrid", "standard-webhooks-v1a", "telnyx", "wechat", "wechat-pay", "wise"}, pairs))
}

// TestAbilities asks schemes in Go, of which no file tells, what they can do.
func TestAbilities(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, tt := range []struct {
		name                       string
		needsSecret, sign, signURL bool
		greets                     []string
	}{
		{name: "stripe", needsSecret: true, sign: true},
		{name: "square", needsSecret: true, sign: true, signURL: true},
		{name: "twilio", needsSecret: true, sign: true, signURL: true},
		{name: "mailgun", needsSecret: true, sign: true},
		{name: "sendgrid", needsSecret: true, sign: true},
		{name: "paypal"},
		{name: "aws-sns", greets: []string{"POST"}},
		{name: "meta", needsSecret: true, sign: true, greets: []string{"GET"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, ok := catalog.Lookup(tt.name)
			require.True(t, ok)
			require.Equal(t, tt.needsSecret, p.NeedsSecret())
			require.Equal(t, tt.sign, p.CanSign())
			require.Equal(t, tt.signURL, p.SignsURL())
			require.Empty(t, cmp.Diff(tt.greets, p.Greets()))
		})
	}
}
