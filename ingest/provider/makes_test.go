package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// TestSecretMakes verifies under each make that a secret's text is of, and
// under no other.
func TestSecretMakes(t *testing.T) {
	t.Parallel()
	const makes = "secret: {encoding: utf8, also: [{encoding: base64, prefix: [whsec_, ws_]}, {encoding: hex}]}"
	plain := func(secret string) *provider.Receiver {
		return ownReceiver(t, "", provider.Binding{Secrets: []string{secret}})
	}
	const text = "0123456789abcdef"
	encoded := base64.StdEncoding.EncodeToString([]byte("a key"))
	for _, tt := range []struct {
		name, secret, signsWith string
		matches                 bool
	}{
		{"as it stands", text, text, true},
		{"as it stands, with a prefix", "whsec_" + encoded, "whsec_" + encoded, true},
		{"decoded", "whsec_" + encoded, "a key", true},
		{"decoded, the other prefix", "ws_" + encoded, "a key", true},
		{"without the prefix it is not of that make", encoded, "a key", false},
		{"with another prefix it is not of that make", "xs_" + encoded, "a key", false},
		{"no prefix is asked for", "6120 6b6579", "a key", false},
		{"any text of that encoding", "61206b6579", "a key", true},
		{"nothing after the prefix makes no key", "whsec_", "", false},
		{"the prefix alone is no key", "whsec_" + encoded, encoded, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := ownReceiver(t, makes, provider.Binding{Secrets: []string{"another", tt.secret}})
			d := provider.SampleDelivery("https://hooks.example.com/", []byte(`{"id":"1"}`))
			if tt.signsWith == "" {
				d.Header.Set("X-Sig", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad") // of an empty message
			} else {
				require.NoError(t, plain(tt.signsWith).Sign(d))
			}
			err := r.Verify(t.Context(), d)
			if tt.matches {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, provider.ErrMismatch)
			require.ErrorContains(t, err, "any of the 2 configured secrets", "the makes of one secret are one secret")
			require.NotContains(t, err.Error(), tt.secret)
		})
	}
	first := ownReceiver(t, makes, provider.Binding{Secrets: []string{"whsec_" + encoded}})
	d := provider.SampleDelivery("https://hooks.example.com/", []byte(`{"id":"1"}`))
	require.NoError(t, first.Sign(d))
	require.NoError(t, plain("whsec_"+encoded).Verify(t.Context(), d), "the usual make signs")
}

// TestRSAKeys reads the forms in which RSA keys are handed out.
func TestRSAKeys(t *testing.T) {
	t.Parallel()
	const signature = "signature: {header: X-Sig, algorithm: rsa-sha256, encoding: base64, content: \"{body}\"}\n"
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(t, err)
		return der
	}
	private, err := x509.MarshalPKCS8PrivateKey(pair)
	require.NoError(t, err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a platform"}}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, &pair.PublicKey, pair)
	require.NoError(t, err)
	armored := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	signer := ownReceiver(t, signature, provider.Binding{Secrets: []string{armored("PRIVATE KEY", private)}})
	d := provider.SampleDelivery("https://hooks.example.com/", []byte(`{"id":"1"}`))
	require.NoError(t, signer.Sign(d))
	for _, tt := range []struct{ name, encoding, secret, want string }{
		{"PEM", "utf8", armored("PUBLIC KEY", public(&pair.PublicKey)), ""},
		{"PEM with blanks about it", "utf8", "\n " + armored("PUBLIC KEY", public(&pair.PublicKey)) + "\n\n", ""},
		{"certificate", "utf8", armored("CERTIFICATE", certificate), ""},
		{"private", "utf8", armored("PRIVATE KEY", private), ""},
		{"base64", "utf8", base64.StdEncoding.EncodeToString(public(&pair.PublicKey)) + "\n", ""},
		{"base64 of a certificate", "utf8", base64.StdEncoding.EncodeToString(certificate), ""},
		{"base64 of something else", "utf8", "c2VjcmV0", "it is not an RSA key"},
		{"DER", "base64", base64.StdEncoding.EncodeToString(public(&pair.PublicKey)), ""},
		{"text", "utf8", "a secret", "it is not an RSA key"},
		{"another kind", "utf8", armored("PUBLIC KEY", public(&curve.PublicKey)), "not an RSA one"},
		{"another key", "utf8", armored("PUBLIC KEY", public(&short.PublicKey)), "under any"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := own(t, signature+"secret: {encoding: "+tt.encoding+"}")
			r, err := p.Bind(provider.Binding{Secrets: []string{tt.secret}})
			if err == nil {
				err = r.Verify(t.Context(), d)
			}
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), tt.secret)
		})
	}
	changed := clone(d)
	changed.Body[0] ^= 1
	require.ErrorIs(t, signer.Verify(t.Context(), changed), provider.ErrMismatch)
}
