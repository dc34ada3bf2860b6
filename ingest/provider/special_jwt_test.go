package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// segment is one part of a JWT.
func segment(t testing.TB, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(data)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	const secret, url = "a test secret", "https://hooks.example.com/webhooks/x"
	body := []byte(`{"id":"1"}`)
	claims := func(change map[string]any) jwt.MapClaims {
		c := jwt.MapClaims{
			"iss": "MessageBird", "nbf": specialNow.Unix(), "exp": specialNow.Add(time.Minute).Unix(),
			"url_hash": hexSHA256([]byte(url)), "payload_hash": hexSHA256(body),
		}
		for name, value := range change {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
		return c
	}
	sign := func(method jwt.SigningMethod, key any, c jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(method, c).SignedString(key)
		require.NoError(t, err)
		return token
	}
	hmac := func(change map[string]any) string {
		return sign(jwt.SigningMethodHS256, []byte(secret), claims(change))
	}
	private := rsaKey(t)
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"good", hmac(nil), nil},
		{"HS512", sign(jwt.SigningMethodHS512, []byte(secret), claims(nil)), nil},
		{"none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)), ErrMismatch},
		{"None", segment(t, map[string]string{"alg": "None"}) + "." + segment(t, claims(nil)) + ".", ErrMalformed},
		{"no algorithm", segment(t, map[string]string{}) + "." + segment(t, claims(nil)) + ".", ErrMalformed},
		{"RS256", sign(jwt.SigningMethodRS256, private, claims(nil)), ErrMismatch},
		{"another issuer", hmac(map[string]any{"iss": "Somebird"}), ErrMismatch},
		{"no issuer", hmac(map[string]any{"iss": nil}), ErrMismatch},
		{"no expiry", hmac(map[string]any{"exp": nil}), ErrMismatch},
		{"expired", hmac(map[string]any{"exp": specialNow.Add(-61 * time.Second).Unix()}), ErrStale},
		{"expired as clocks differ", hmac(map[string]any{"exp": specialNow.Add(-59 * time.Second).Unix()}), nil},
		{"not valid yet", hmac(map[string]any{"nbf": specialNow.Add(61 * time.Second).Unix()}), ErrStale},
		{"not valid yet as clocks differ", hmac(map[string]any{"nbf": specialNow.Add(59 * time.Second).Unix()}), nil},
		{"another URL", hmac(map[string]any{"url_hash": hexSHA256([]byte(url + "/"))}), ErrMismatch},
		{"no URL", hmac(map[string]any{"url_hash": nil}), ErrMismatch},
		{"another body", hmac(map[string]any{"payload_hash": hexSHA256(nil)}), ErrMismatch},
		{"no body", hmac(map[string]any{"payload_hash": nil}), ErrMismatch},
		{"expiry is text", hmac(map[string]any{"exp": "soon"}), ErrMalformed},
		{"two parts", strings.Join(strings.Split(hmac(nil), ".")[:2], "."), ErrMalformed},
		{"four parts", hmac(nil) + ".x", ErrMalformed},
		{"padded", hmac(nil) + "=", ErrMalformed},
		{"too long", hmac(map[string]any{"jti": strings.Repeat("x", maxToken)}), ErrMalformed},
		{"none at all", "Bearer", ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := bindSpecial(t, "messagebird-jwt", Binding{Secrets: []string{"an old secret", secret}})
			d := &Delivery{Method: http.MethodPost, URL: url, Header: http.Header{}, Body: body, ReceivedAt: specialNow}
			d.Header.Set(messagebirdJWT, tt.token)
			err := v.Verify(t.Context(), d)
			require.ErrorIs(t, err, tt.want)
			if err != nil {
				require.NotContains(t, err.Error(), tt.token)
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestLivekitIssuer(t *testing.T) {
	t.Parallel()
	ours := bindSpecial(t, "livekit", Binding{Secrets: []string{"s"}, Options: map[string]string{"api_key": "ours"}})
	theirs := bindSpecial(t, "livekit", Binding{Secrets: []string{"s"}, Options: map[string]string{"api_key": "theirs"}})
	d := &Delivery{Header: http.Header{}, Body: []byte("{}"), ReceivedAt: specialNow}
	require.NoError(t, theirs.(Signer).Sign(d))
	require.NoError(t, theirs.Verify(t.Context(), d))
	require.ErrorIs(t, ours.Verify(t.Context(), d), ErrMismatch)
	other, err := jwt.NewWithClaims(jwt.SigningMethodHS512, jwt.MapClaims{
		"iss": "theirs", "exp": specialNow.Add(time.Minute).Unix(), "sha256": base64SHA256(d.Body),
	}).SignedString([]byte("s"))
	require.NoError(t, err)
	strong := &Delivery{Header: http.Header{livekitHeader: {other}}, Body: d.Body, ReceivedAt: specialNow}
	require.ErrorIs(t, theirs.Verify(t.Context(), strong), ErrMismatch, "an algorithm that LiveKit does not use")
	d.ReceivedAt = specialNow.Add(livekitLifetime + tokenLeeway)
	require.ErrorIs(t, theirs.Verify(t.Context(), d), ErrStale)
}

// webKey returns the JSON Web Key as Plaid answers with it.
func webKey(t testing.TB, key *ecdsa.PrivateKey, expiredAt any) document {
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	data, err := json.Marshal(map[string]any{"request_id": "r", "key": map[string]any{
		"alg": "ES256", "kty": "EC", "crv": "P-256", "use": "sig", "kid": "k-1", "expired_at": expiredAt,
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}})
	require.NoError(t, err)
	return document(data)
}

func TestPlaid(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	body := []byte(`{"webhook_type":"ITEM","webhook_code":"ERROR"}`)
	sign := func(method jwt.SigningMethod, with any, kid any, claims jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"] = kid
		text, err := token.SignedString(with)
		require.NoError(t, err)
		return text
	}
	good := jwt.MapClaims{"iat": specialNow.Unix(), "request_body_sha256": hexSHA256(body)}
	at := func(age time.Duration) jwt.MapClaims {
		return jwt.MapClaims{"iat": specialNow.Add(-age).Unix(), "request_body_sha256": hexSHA256(body)}
	}
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	for _, tt := range []struct {
		name, token string
		document    document
		want        error
	}{
		{"good", sign(jwt.SigningMethodES256, key, "k-1", good), webKey(t, key, nil), nil},
		{"five minutes old", sign(jwt.SigningMethodES256, key, "k-1", at(5*time.Minute)), webKey(t, key, nil), nil},
		{"older", sign(jwt.SigningMethodES256, key, "k-1", at(5*time.Minute+time.Second)), webKey(t, key, nil), ErrStale},
		{"from the future", sign(jwt.SigningMethodES256, key, "k-1", at(-5*time.Minute-time.Second)), webKey(t, key, nil), ErrStale},
		{"without a time", sign(jwt.SigningMethodES256, key, "k-1", jwt.MapClaims{"request_body_sha256": hexSHA256(body)}), webKey(t, key, nil), ErrUnsigned},
		{"another body", sign(jwt.SigningMethodES256, key, "k-1", jwt.MapClaims{"iat": specialNow.Unix(), "request_body_sha256": hexSHA256(nil)}), webKey(t, key, nil), ErrMismatch},
		{"no body", sign(jwt.SigningMethodES256, key, "k-1", jwt.MapClaims{"iat": specialNow.Unix()}), webKey(t, key, nil), ErrMismatch},
		{"signed by HMAC with the public key", sign(jwt.SigningMethodHS256, point, "k-1", good), webKey(t, key, nil), ErrMismatch},
		{"no key id", sign(jwt.SigningMethodES256, key, nil, good), webKey(t, key, nil), ErrMalformed},
		{"a key id that is a path", sign(jwt.SigningMethodES256, key, "../../item/get", good), webKey(t, key, nil), ErrMalformed},
		{"a key that was taken back", sign(jwt.SigningMethodES256, key, "k-1", good), webKey(t, key, specialNow.Unix()), ErrMismatch},
	} {
		v := bindSpecial(t, "plaid", Binding{Secrets: []string{"s"}, Fetch: tt.document})
		d := &Delivery{Header: http.Header{plaidHeader: {tt.token}}, Body: body, ReceivedAt: specialNow}
		require.ErrorIs(t, v.Verify(t.Context(), d), tt.want, tt.name)
	}
	for _, broken := range []document{
		"", "<html>", "{}", `{"key":null}`, `{"key":{"kty":"RSA"}}`,
		document(strings.Replace(string(webKey(t, key, nil)), "P-256", "P-384", 1)),
		`{"kty":"EC","crv":"P-256","x":"` + document(strings.Repeat("A", 43)) + `","y":"` + document(strings.Repeat("A", 43)) + `"}`,
	} {
		v := bindSpecial(t, "plaid", Binding{Secrets: []string{"s"}, Fetch: broken})
		d := &Delivery{Header: http.Header{plaidHeader: {sign(jwt.SigningMethodES256, key, "k-1", good)}}, Body: body, ReceivedAt: specialNow}
		err := v.Verify(t.Context(), d)
		require.ErrorContains(t, err, "cannot be had now", "%s", broken)
		require.Empty(t, Reason(err))
	}
}

func TestPlaidAsksWithCredentials(t *testing.T) {
	t.Parallel()
	n, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var asked map[string]string
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Method != http.MethodPost || r.URL.Path != plaidKeyPath || r.URL.RawQuery != "" {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		if asked["client_id"] != "c" || asked["secret"] != "new" {
			http.Error(w, "who?", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, "key "+asked["key_id"])
	})
	api := plaidAPI{network: n, client: "c", secrets: [][]byte{[]byte("old"), []byte("new")}}
	got, err := api.Fetch(t.Context(), base+plaidKeyPath+"?key_id=k-1")
	require.NoError(t, err)
	require.Equal(t, "key k-1", string(got))
	api.secrets = api.secrets[:1]
	_, err = api.Fetch(t.Context(), base+plaidKeyPath+"?key_id=k-1")
	require.ErrorContains(t, err, "answered 400")
	require.NotContains(t, err.Error(), "old")
}

// TestTokenHashes keeps the two encodings of a body's digest apart.
func TestTokenHashes(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("x"))
	require.Equal(t, base64.StdEncoding.EncodeToString(sum[:]), base64SHA256([]byte("x")))
	require.True(t, isHexSHA256(strings.ToUpper(hexSHA256([]byte("x"))), []byte("x")))
	require.False(t, isHexSHA256("", nil))
}
