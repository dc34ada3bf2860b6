package provider

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// TestBraintreeChallenge sees that nothing which a caller has signed by way of
// a challenge is a payload.
func TestBraintreeChallenge(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "braintree", Binding{Secrets: []string{"private"}, Options: map[string]string{braintreeKey: "new old"}})
	ask := func(method, challenge string) *Answer {
		a, err := v.(Greeter).Greet(t.Context(), &Delivery{Method: method, URL: "https://h.example/x?bt_challenge=" + url.QueryEscape(challenge), ReceivedAt: specialNow}, false)
		require.NoError(t, err)
		return a
	}
	xml := base64.StdEncoding.EncodeToString([]byte("<notification><kind>check</kind></notification>"))
	for _, refused := range []string{
		"", "20f9f8ed05f77439fe9", "20f9f8ed05f77439fe955c977e4c8a53a", "20F9F8ED05F77439FE955C977E4C8A53",
		"20f9f8ed05f77439fe955c977e4c8a53\n", " 20f9f8ed05f77439fe955c977e4c8a53", xml, xml[:32], "PA==PA==PA==PA==PA==",
	} {
		require.Nil(t, ask(http.MethodGet, refused), "%q", refused)
	}
	const challenge = "20f9f8ed05f77439fe955c977e4c8a53"
	require.Nil(t, ask(http.MethodPost, challenge))
	a := ask(http.MethodGet, challenge)
	require.NotNil(t, a)
	require.True(t, strings.HasPrefix(string(a.Body), "new|"))

	post := func(payload, signature string) error {
		form := url.Values{braintreePayload: {payload}, braintreeSignature: {signature}}
		d := &Delivery{Method: http.MethodPost, Header: http.Header{"Content-Type": {formType}}, Body: []byte(form.Encode()), ReceivedAt: specialNow}
		return v.Verify(t.Context(), d)
	}
	require.ErrorIs(t, post(challenge, string(a.Body)), ErrMalformed, "signed, and no XML")
	key := sha1.Sum([]byte("private"))
	for _, c := range "0123456789abcdef" {
		plain, err := base64.StdEncoding.DecodeString(strings.Repeat(string(c), 4))
		require.NoError(t, err)
		require.NotEqual(t, byte('<'), plain[0], "no challenge is the base64 of XML")
	}
	mac := sharedSecrets{hash: sha1.New, secrets: [][]byte{key[:]}}
	good := hex.EncodeToString(mac.sign([]byte(xml)))
	require.NoError(t, post(xml, "old|"+good), "the second public key")
	require.NoError(t, post(xml, "other|00&old|00&new|"+good), "one of several pairs")
	require.ErrorIs(t, post(xml, "other|"+good), ErrMalformed, "for another key only")
	require.ErrorIs(t, post(xml, good), ErrMalformed, "without a public key")
	require.ErrorIs(t, post(xml, strings.Repeat("new|00&", maxItems+1)+"new|"+good), ErrMalformed, "too many")
	require.ErrorIs(t, post(xml+"\n\n", "new|"+good), ErrMismatch)
}

// TestBraintreeForms takes two fields and nothing else.
func TestBraintreeForms(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "braintree", Binding{Secrets: []string{"private"}, Options: map[string]string{braintreeKey: "public"}})
	signed := &Delivery{Method: http.MethodPost, Header: http.Header{"Content-Type": {formType}}, ReceivedAt: specialNow}
	signed.Body = []byte(url.Values{braintreePayload: {base64.StdEncoding.EncodeToString([]byte("<notification><kind>check</kind></notification>"))}}.Encode())
	require.NoError(t, v.(Signer).Sign(signed))
	require.NoError(t, v.Verify(t.Context(), signed))
	for _, tt := range []struct {
		name, contentType, more string
		want                    error
	}{
		{"JSON", "application/json", "", ErrMalformed},
		{"a field more", formType, "&kind=disbursement", ErrMalformed},
		{"the payload twice", formType, "&bt_payload=PA==", ErrMalformed},
		{"the signature twice", formType, "&bt_signature=public|00", ErrMalformed},
		{"no form", formType, "&%zz", ErrMalformed},
	} {
		d := *signed
		d.Header = http.Header{"Content-Type": {tt.contentType}}
		d.Body = append([]byte(string(signed.Body)), tt.more...)
		require.ErrorIs(t, v.Verify(t.Context(), &d), tt.want, tt.name)
		_, err := v.(Identifier).Identify(&d)
		require.ErrorIs(t, err, ErrNoEvent, tt.name)
	}
	for _, plain := range []string{"<notification>", "<a", "<notification><kind>\x01</kind></notification>", "<notification><kind>" + strings.Repeat("k", maxType+1) + "</kind></notification>"} {
		d := *signed
		d.Body = []byte(url.Values{braintreePayload: {base64.StdEncoding.EncodeToString([]byte(plain))}, braintreeSignature: {"x"}}.Encode())
		_, err := v.(Identifier).Identify(&d)
		require.ErrorIs(t, err, ErrNoEvent, "%q", plain)
	}
}

func TestMonday(t *testing.T) {
	t.Parallel()
	const address = "https://hooks.example.com/webhooks/m?x=1"
	claims := func(change jwt.MapClaims) jwt.MapClaims {
		c := jwt.MapClaims{"aud": address, "iat": specialNow.Unix(), "exp": specialNow.Add(mondayLifetime).Unix()}
		for name, value := range change {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
		return c
	}
	sign := func(method jwt.SigningMethod, key any, change jwt.MapClaims) string {
		text, err := jwt.NewWithClaims(method, claims(change)).SignedString(key)
		require.NoError(t, err)
		return text
	}
	good := func(change jwt.MapClaims) string { return sign(jwt.SigningMethodHS256, []byte("signing"), change) }
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"good", good(nil), nil},
		{"under the client secret", sign(jwt.SigningMethodHS256, []byte("client"), nil), nil},
		{"for the URL without its query", good(jwt.MapClaims{"aud": "https://hooks.example.com/webhooks/m"}), nil},
		{"for several", good(jwt.MapClaims{"aud": []string{"https://other.example", address}}), nil},
		{"for another URL", good(jwt.MapClaims{"aud": "https://hooks.example.com/webhooks/n"}), ErrMismatch},
		{"for the beginning of it", good(jwt.MapClaims{"aud": "https://hooks.example.com/webhooks/"}), ErrMismatch},
		{"for nobody", good(jwt.MapClaims{"aud": nil}), ErrMismatch},
		{"no algorithm", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), ErrMismatch},
		{"another algorithm", sign(jwt.SigningMethodHS512, []byte("signing"), nil), ErrMismatch},
		{"another secret", sign(jwt.SigningMethodHS256, []byte("another"), nil), ErrMismatch},
		{"expired", good(jwt.MapClaims{"exp": specialNow.Add(-2 * time.Minute).Unix()}), ErrStale},
		{"no expiry", good(jwt.MapClaims{"exp": nil}), ErrMismatch},
		{"no time of issue", good(jwt.MapClaims{"iat": nil}), ErrUnsigned},
		{"issued in the future", good(jwt.MapClaims{"iat": specialNow.Add(2 * time.Minute).Unix()}), ErrStale},
		{"with a scheme before it", "Bearer " + good(nil), ErrMalformed},
		{"nothing", "", ErrUnsigned},
	} {
		v := bindSpecial(t, "monday", Binding{Secrets: []string{"signing", "client"}})
		d := &Delivery{Method: http.MethodPost, URL: address, Header: http.Header{}, Body: []byte("{}"), ReceivedAt: specialNow}
		d.Header.Set(mondayHeader, tt.token)
		require.ErrorIs(t, v.Verify(t.Context(), d), tt.want, tt.name)
	}
}

// TestMercadopagoBodies refuses a body that names another thing than the URL,
// which alone is signed.
func TestMercadopagoBodies(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "mercadopago", Binding{Secrets: []string{"s"}})
	signed := &Delivery{Method: http.MethodPost, URL: "https://h.example/x", Header: http.Header{}, Body: []byte(`{"data":{"id":"AB1"}}`), ReceivedAt: specialNow}
	require.NoError(t, v.(Signer).Sign(signed))
	require.Contains(t, signed.URL, "data.id=AB1")
	for _, tt := range []struct {
		body string
		want error
	}{
		{`{"data":{"id":"AB1"},"type":"payment"}`, nil},
		{`{"data":{"id":"ab1"}}`, nil},
		{`{"type":"payment"}`, nil},
		{``, nil},
		{`{"data":{"id":"AB2"}}`, ErrMismatch},
		{`{"data":{"id":1}}`, ErrMismatch},
		{`{"data":{"id":"AB1"},"Data":{"id":"AB2"}}`, ErrMalformed},
		{`{"data":{"id":"AB1"},"data":{"id":"AB2"}}`, ErrMalformed},
		{`{"data":{"id":"AB1","id":"AB2"}}`, ErrMalformed},
		{`{"data":{"id":"AB1","ID":"AB2"}}`, ErrMalformed},
		{`{"data":["AB2"]}`, ErrMalformed},
		{`[]`, ErrMalformed},
		{`id=AB2`, ErrMalformed},
	} {
		d := *signed
		d.Body = []byte(tt.body)
		require.ErrorIs(t, v.Verify(t.Context(), &d), tt.want, tt.body)
	}
	twice := *signed
	twice.URL += "&data.id=AB1"
	require.ErrorIs(t, v.Verify(t.Context(), &twice), ErrMismatch, "an id that is there twice is none")
}
