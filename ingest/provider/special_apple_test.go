package provider

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate with Apple's extensions of the given numbers,
// signed by a, or by itself where a is nil.
func (a *authority) issue(t testing.TB, curve elliptic.Curve, change func(c *x509.Certificate), extensions ...[2]int) *authority {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, BasicConstraintsValid: true,
		NotBefore: specialNow.Add(-time.Hour), NotAfter: specialNow.Add(time.Hour),
	}
	for _, e := range extensions {
		id := asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, e[0], e[1]}
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: id, Value: []byte{5, 0}})
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{certificate: certificate, key: key}
}

func isCA(c *x509.Certificate) {
	c.IsCA = true
	c.Subject.CommonName = "test authority"
	c.KeyUsage = x509.KeyUsageCertSign
}

// chainOf is the x5c of a token.
func chainOf(links ...*authority) []string {
	var chain []string
	for _, l := range links {
		chain = append(chain, base64.StdEncoding.EncodeToString(l.certificate.Raw))
	}
	return chain
}

func appleToken(t testing.TB, method jwt.SigningMethod, key any, chain any, change map[string]any) string {
	claims := jwt.MapClaims{
		"notificationType": "SUBSCRIBED", "subtype": "INITIAL_BUY", "notificationUUID": "002e14d5-51f5-4503-b5a8-c3a1af68eb20",
		"version": "2.0", "signedDate": specialNow.UnixMilli(), "data": map[string]any{"bundleId": "com.example", "environment": "Production"},
	}
	maps.Copy(claims, change)
	token := jwt.NewWithClaims(method, claims)
	token.Header["x5c"] = chain
	text, err := token.SignedString(key)
	require.NoError(t, err)
	return text
}

func TestAppleAppStore(t *testing.T) {
	t.Parallel()
	p256, p384 := elliptic.P256(), elliptic.P384()
	root := (*authority)(nil).issue(t, p384, isCA)
	stranger := (*authority)(nil).issue(t, p384, isCA)
	middle := root.issue(t, p384, isCA, [2]int{2, 1})
	leaf := middle.issue(t, p256, nil, [2]int{11, 1})
	plainMiddle := root.issue(t, p384, isCA)
	notCA := root.issue(t, p384, nil, [2]int{2, 1})
	secondMiddle := middle.issue(t, p384, isCA, [2]int{2, 1})
	late := func(c *x509.Certificate) { c.NotAfter = specialNow.Add(-time.Second) }
	chain := chainOf(leaf, middle, root)
	es256 := jwt.SigningMethodES256
	signed := func(l *authority, chain any) string { return appleToken(t, es256, l.key, chain, nil) }
	about := func(change map[string]any) string { return appleToken(t, es256, leaf.key, chain, change) }
	bare, strange := middle.issue(t, p256, nil), stranger.issue(t, p256, nil, [2]int{11, 1})
	developer := plainMiddle.issue(t, p256, nil, [2]int{11, 1})
	underNoCA := notCA.issue(t, p256, nil, [2]int{11, 1})
	direct := root.issue(t, p256, nil, [2]int{11, 1})
	deep := secondMiddle.issue(t, p256, nil, [2]int{11, 1})
	expired := middle.issue(t, p256, late, [2]int{11, 1})
	wide := middle.issue(t, p384, nil, [2]int{11, 1})
	copied := stranger.issue(t, p384, isCA, [2]int{2, 1}) // names that are alike
	underCopied := copied.issue(t, p256, nil, [2]int{11, 1})

	for _, tt := range []struct {
		name, token string
		want        error
		text        string
	}{
		{"good", signed(leaf, chain), nil, ""},
		{"a summary", about(map[string]any{"data": nil, "summary": map[string]any{"bundleId": "com.example", "environment": "Production"}}), nil, ""},
		{"an external purchase", about(map[string]any{"data": nil, "externalPurchaseToken": map[string]any{"bundleId": "com.example", "externalPurchaseId": "1234"}}), nil, ""},
		{"an external purchase in the sandbox", about(map[string]any{"data": nil, "externalPurchaseToken": map[string]any{"bundleId": "com.example", "externalPurchaseId": "SANDBOX_1"}}), ErrMismatch, "environment"},
		{"another app", about(map[string]any{"data": map[string]any{"bundleId": "com.evil", "environment": "Production"}}), ErrMismatch, `"com.evil"`},
		{"the sandbox", about(map[string]any{"data": map[string]any{"bundleId": "com.example", "environment": "Sandbox"}}), ErrMismatch, `"Sandbox"`},
		{"no app", about(map[string]any{"data": nil}), ErrMismatch, "for the app"},
		{"signed by another key", appleToken(t, es256, strange.key, chain, nil), ErrMismatch, "not signed"},
		{"no algorithm", appleToken(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, chain, nil), ErrMismatch, "not signed"},
		{"HMAC under the certificate", appleToken(t, jwt.SigningMethodHS256, leaf.certificate.Raw, chain, nil), ErrMismatch, "not signed"},
		{"HMAC under the public key", appleToken(t, jwt.SigningMethodHS256, leaf.certificate.RawSubjectPublicKeyInfo, chain, nil), ErrMismatch, "not signed"},
		{"a wider curve", appleToken(t, jwt.SigningMethodES384, wide.key, chainOf(wide, middle, root), nil), ErrMismatch, "not signed"},
		{"another root", signed(strange, chainOf(strange, stranger, stranger)), ErrMismatch, "another root"},
		{"another root, and Apple's at the end", signed(strange, chainOf(strange, stranger, root)), ErrMismatch, "not vouched for"},
		{"an intermediate with the names of Apple's", signed(underCopied, chainOf(underCopied, copied, root)), ErrMismatch, "not vouched for"},
		{"a leaf for another use", signed(bare, chainOf(bare, middle, root)), ErrMismatch, "not for the App Store"},
		{"a developer's certificate", signed(developer, chainOf(developer, plainMiddle, root)), ErrMismatch, "not for the App Store"},
		{"under a certificate that may not issue", signed(underNoCA, chainOf(underNoCA, notCA, root)), ErrMismatch, "not vouched for"},
		{"under the leaf of somebody else", signed(strange, chainOf(strange, leaf, root)), ErrMismatch, "not vouched for"},
		{"straight from the root", signed(direct, chainOf(direct, middle, root)), ErrMismatch, "a chain of 2"},
		{"one link too many", signed(deep, chainOf(deep, secondMiddle, middle, root)), ErrMalformed, "holds 4 certificates"},
		{"a link left out", signed(leaf, chainOf(leaf, root)), ErrMalformed, "holds 2 certificates"},
		{"out of order", signed(leaf, chainOf(middle, leaf, root)), ErrMismatch, ""},
		{"an expired leaf", signed(expired, chainOf(expired, middle, root)), ErrMismatch, "not vouched for"},
		{"no certificates", signed(leaf, nil), ErrMalformed, "holds 0"},
		{"certificates that are one text", signed(leaf, strings.Join(chain, ",")), ErrMalformed, "holds 0"},
		{"certificates that are numbers", signed(leaf, []int{1, 2, 3}), ErrMalformed, "cannot be read"},
		{"certificates that are no base64", signed(leaf, []string{"~", chain[1], chain[2]}), ErrMalformed, "not base64"},
		{"certificates that are none", signed(leaf, []string{"AAAA", chain[1], chain[2]}), ErrMalformed, "cannot be read"},
		{"too long", about(map[string]any{"x": strings.Repeat("x", appleLongest)}), ErrMalformed, "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scheme := appleAppStore{root: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.certificate.Raw}))}
			v, err := scheme.Bind(Binding{Options: map[string]string{appleBundle: "com.example"}})
			require.NoError(t, err)
			err = v.Verify(t.Context(), appleDelivery(tt.token))
			require.ErrorIs(t, err, tt.want)
			if tt.want != nil {
				require.ErrorContains(t, err, tt.text)
			}
			atApple := bindSpecial(t, "apple-app-store", Binding{Options: map[string]string{appleBundle: "com.example"}})
			require.NotEmpty(t, Reason(atApple.Verify(t.Context(), appleDelivery(tt.token))), "a root of our own is not Apple's")
		})
	}
}

func appleDelivery(token string) *Delivery {
	return &Delivery{Method: http.MethodPost, Header: http.Header{}, Body: []byte(`{"signedPayload":"` + token + `"}`), ReceivedAt: specialNow}
}

func TestAppleBodies(t *testing.T) {
	t.Parallel()
	root := (*authority)(nil).issue(t, elliptic.P384(), isCA)
	middle := root.issue(t, elliptic.P384(), isCA, [2]int{2, 1})
	leaf := middle.issue(t, elliptic.P256(), nil, [2]int{11, 1})
	scheme := appleAppStore{root: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.certificate.Raw}))}
	v, err := scheme.Bind(Binding{Options: map[string]string{appleBundle: "com.example"}, Tolerance: time.Minute})
	require.NoError(t, err)
	token := appleToken(t, jwt.SigningMethodES256, leaf.key, chainOf(leaf, middle, root), nil)
	d := appleDelivery(token)
	require.NoError(t, v.Verify(t.Context(), d))

	events, err := v.(Identifier).Identify(d)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "002e14d5-51f5-4503-b5a8-c3a1af68eb20", events[0].ID)
	require.Equal(t, "SUBSCRIBED.INITIAL_BUY", events[0].Type)
	require.True(t, json.Valid(events[0].Payload))
	require.Equal(t, strings.Split(token, ".")[1], base64.RawURLEncoding.EncodeToString(events[0].Payload))

	late := appleDelivery(token)
	late.ReceivedAt = specialNow.Add(2 * time.Minute)
	require.ErrorIs(t, v.Verify(t.Context(), late), ErrStale)
	from := len(`{"signedPayload":"`) + strings.IndexByte(token, '.')
	for i := from; i < len(d.Body); i += 5 { // what follows the certificates
		changed := bytes.Clone(d.Body)
		changed[i] ^= 1
		require.Error(t, v.Verify(t.Context(), &Delivery{Body: changed, ReceivedAt: specialNow}), "byte %d", i)
	}
	for _, tt := range []struct {
		body string
		want error
	}{
		{"", ErrMalformed},
		{"[]", ErrMalformed},
		{"{}", ErrUnsigned},
		{`{"signedPayload":""}`, ErrUnsigned},
		{`{"signedPayload":1}`, ErrUnsigned},
		{`{"signedPayload":"a.b.c"}`, ErrMalformed},
		{`{"signedPayload":"` + token + `","signedpayload":"` + token + `"}`, ErrMalformed},
		{`{"signedPayload":"` + token + `","notificationUUID":"another"}`, ErrMalformed},
	} {
		err := v.Verify(t.Context(), &Delivery{Body: []byte(tt.body), ReceivedAt: specialNow})
		require.ErrorIs(t, err, tt.want, tt.body)
		_, err = v.(Identifier).Identify(&Delivery{Body: []byte(tt.body)})
		require.ErrorIs(t, err, ErrNoEvent, tt.body)
	}
}

// TestAppleRoot holds the root against the digest that Apple publishes.
func TestAppleRoot(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode([]byte(appleRootG3))
	require.NotNil(t, block)
	sum := sha256.Sum256(block.Bytes)
	require.Equal(t, "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179", hex.EncodeToString(sum[:]))
	for _, environment := range []string{"production", "Xcode", "LocalTesting"} {
		_, err := appleAppStore{root: appleRootG3}.Bind(Binding{Options: map[string]string{appleBundle: "b", appleEnvironment: environment}})
		require.ErrorContains(t, err, "known: Production, Sandbox")
	}
}
