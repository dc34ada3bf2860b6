package provider

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// FuzzSpecial looks for a delivery that panics, or that passes without being
// the signed one: everything of it that a scheme parses is fuzzed.
func FuzzSpecial(f *testing.F) {
	cases := specialCases()
	verifiers := make([]Verifier, len(cases))
	genuine := make([]*Delivery, len(cases))
	for i, c := range cases {
		own, _ := c.secrets()
		verifiers[i] = bindSpecial(f, c.name, Binding{Secrets: []string{own}, Options: c.options})
		genuine[i] = &Delivery{
			Method: http.MethodPost, URL: "https://hooks.example.com/webhooks/x?a=1&b=2",
			Header: c.header.Clone(), Body: []byte(c.body), ReceivedAt: specialNow,
		}
		require.NoError(f, verifiers[i].(Signer).Sign(genuine[i]))
		f.Add(uint8(i), genuine[i].URL, c.signature, genuine[i].Header.Get(c.signature), genuine[i].Body)
		f.Add(uint8(i), "https://h.example:99/%zz?bodySHA256=", "Content-Type", "application/json", []byte(`{"a":1,"A":{}}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, url, name, value string, body []byte) {
		i := int(which) % len(cases)
		d := &Delivery{Method: http.MethodPost, URL: url, Header: genuine[i].Header.Clone(), Body: bytes.Clone(body), ReceivedAt: specialNow}
		d.Header.Set(name, value)
		err := verifiers[i].Verify(t.Context(), d)
		require.Equal(t, body, d.Body)
		own, _ := cases[i].secrets()
		if err == nil {
			require.Subset(t, signedParts(t, verifiers[i], genuine[i]), signedParts(t, verifiers[i], d), "only what was signed may pass")
		} else {
			require.NotEmpty(t, Reason(err), "%v", err)
			require.NotContains(t, err.Error(), own)
		}
		if g, ok := verifiers[i].(Greeter); ok {
			_, err := g.Greet(t.Context(), d, false)
			require.NoError(t, err)
		}
		if identifier, ok := verifiers[i].(Identifier); ok {
			if _, err := identifier.Identify(d); err != nil {
				require.ErrorIs(t, err, ErrNoEvent)
			}
		}
	})
}

// signedParts are what two deliveries with the same signature have in common;
// several where each has a signature of its own.
func signedParts(t *testing.T, v Verifier, d *Delivery) []string {
	switch v := v.(type) {
	case twilioVerifier: // the port does not count
		content, err := v.SignedContent(d)
		require.NoError(t, err)
		forms := portForms(string(content))
		return forms[len(forms)-1:]
	case adyenVerifier: // a notification can be left out, and another not be put in
		items, err := readAdyen(d.Body)
		require.NoError(t, err)
		var parts []string
		for _, item := range items {
			parts = append(parts, item.content)
		}
		return parts
	case Explainer:
		content, err := v.SignedContent(d)
		require.NoError(t, err)
		return []string{string(content)}
	case graphVerifier, mondayVerifier:
		return nil // nothing is signed, or the URL alone, in a token
	default:
		return []string{string(d.Body)}
	}
}

// FuzzSNS looks for a message that panics, that passes without being signed,
// or that makes us ask another host.
func FuzzSNS(f *testing.F) {
	key := rsaKey(f)
	host := snsHost()
	certificate := certify(f, key, specialNow.AddDate(1, 0, 0))
	var signed []string
	for _, m := range []map[string]string{
		message(f, key, nil),
		message(f, key, map[string]string{"Type": snsConfirmation, "Token": "t", "SubscribeURL": "https://evil.example/"}),
		message(f, key, map[string]string{"SigningCertURL": "https://sns.x.amazonaws.com@evil.example/a.pem"}),
	} {
		content, err := snsMessage(m).content()
		require.NoError(f, err)
		signed = append(signed, string(content))
		f.Add(delivery(f, m).Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		asked := fetchFunc(func(ctx context.Context, url string) ([]byte, error) {
			u, err := httpsURL(url, host)
			require.NoError(t, err)
			require.True(t, host.MatchString(u.Hostname()))
			return certificate.Fetch(ctx, url)
		})
		v := bindSpecial(t, "aws-sns", Binding{Fetch: asked}).(snsVerifier)
		d := &Delivery{Method: http.MethodPost, Header: http.Header{}, Body: body, ReceivedAt: specialNow}
		if err := v.Verify(t.Context(), d); err != nil {
			require.NotEmpty(t, Reason(err), "%v", err)
			return
		}
		content, err := v.SignedContent(d)
		require.NoError(t, err)
		require.Contains(t, signed, string(content), "only what was signed may pass")
		if _, err := v.Greet(t.Context(), d, true); err != nil {
			require.ErrorIs(t, err, ErrMismatch)
		}
	})
}

type fetchFunc func(ctx context.Context, url string) ([]byte, error)

func (f fetchFunc) Fetch(ctx context.Context, url string) ([]byte, error) { return f(ctx, url) }

// FuzzApple looks for a body that panics, or that passes with another token
// than the one that was signed.
func FuzzApple(f *testing.F) {
	root := (*authority)(nil).issue(f, elliptic.P384(), isCA)
	middle := root.issue(f, elliptic.P384(), isCA, [2]int{2, 1})
	leaf := middle.issue(f, elliptic.P256(), nil, [2]int{11, 1})
	scheme := appleAppStore{root: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.certificate.Raw}))}
	v, err := scheme.Bind(Binding{Options: map[string]string{appleBundle: "com.example"}})
	require.NoError(f, err)
	signed := appleToken(f, jwt.SigningMethodES256, leaf.key, chainOf(leaf, middle, root), nil)
	f.Add(appleDelivery(signed).Body)
	f.Add(appleDelivery(appleToken(f, jwt.SigningMethodES256, leaf.key, []any{1, nil, "AAAA"}, nil)).Body)
	f.Add([]byte(`{"signedPayload":"e30.e30.AAAA"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &Delivery{Method: http.MethodPost, Header: http.Header{}, Body: body, ReceivedAt: specialNow}
		if err := v.Verify(t.Context(), d); err != nil {
			require.NotEmpty(t, Reason(err), "%v", err)
		} else {
			token, err := readApple(d)
			require.NoError(t, err)
			want, _, _ := strings.Cut(signed[strings.IndexByte(signed, '.')+1:], ".")
			require.Contains(t, token, want, "only what was signed may pass")
		}
		if _, err := v.(Identifier).Identify(d); err != nil {
			require.ErrorIs(t, err, ErrNoEvent)
		}
	})
}

// FuzzDocuments looks for a fetched document that panics.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(certify(f, rsaKey(f), specialNow)))
	f.Add([]byte(`{"key":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if cert, err := parseCertificate(data); err == nil {
			require.NotNil(t, cert.PublicKey)
		}
		if key, err := parsePlaidKey(data); err == nil {
			require.NotNil(t, key.public)
		}
		if keys, err := parseWebKeys(data); err == nil {
			require.NotEmpty(t, keys)
		}
		if found, err := members(data); err == nil {
			for name, m := range found {
				require.Equal(t, string(m.raw), string(data[m.start:m.start+len(m.raw)]), name)
			}
		}
	})
}
