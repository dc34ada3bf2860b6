package provider

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// webKeySet is the JSON Web Key Set of RSA keys, by their ids.
func webKeySet(t testing.TB, keys map[string]*rsa.PrivateKey) document {
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	for _, id := range sortedKeys(keys) {
		set.Keys = append(set.Keys, map[string]string{
			"kid": id, "kty": "RSA", "alg": "RS256", "use": "sig",
			"n": base64.RawURLEncoding.EncodeToString(keys[id].N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(keys[id].E)).Bytes()),
		})
	}
	data, err := json.Marshal(set)
	require.NoError(t, err)
	return document(data)
}

func TestGooglePubSub(t *testing.T) {
	t.Parallel()
	key, stranger := rsaKey(t), rsaKey(t)
	const audience, account = "https://hooks.example.com/webhooks/p", "push@project.iam.gserviceaccount.com"
	claims := func(change jwt.MapClaims) jwt.MapClaims {
		c := jwt.MapClaims{
			"iss": "https://accounts.google.com", "aud": audience, "email": account, "email_verified": true,
			"sub": "113774264463038321964", "iat": specialNow.Unix(), "exp": specialNow.Add(time.Hour).Unix(),
		}
		maps.Copy(c, change)
		for name, value := range c {
			if value == nil {
				delete(c, name)
			}
		}
		return c
	}
	sign := func(method jwt.SigningMethod, with any, header map[string]any, change jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, claims(change))
		token.Header["kid"] = "k-1"
		maps.Copy(token.Header, header)
		text, err := token.SignedString(with)
		require.NoError(t, err)
		return "Bearer " + text
	}
	good := func(change jwt.MapClaims) string { return sign(jwt.SigningMethodRS256, key, nil, change) }
	kid := func(id any) map[string]any { return map[string]any{"kid": id} }
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"good", good(nil), nil},
		{"the other issuer", good(jwt.MapClaims{"iss": "accounts.google.com"}), nil},
		{"about to expire as clocks differ", good(jwt.MapClaims{"exp": specialNow.Add(-59 * time.Second).Unix()}), nil},
		{"no algorithm", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil), ErrMismatch},
		{"HMAC under the public key", sign(jwt.SigningMethodHS256, key.N.Bytes(), nil, nil), ErrMismatch},
		{"another RSA algorithm", sign(jwt.SigningMethodPS256, key, nil, nil), ErrMismatch},
		{"another's key under a known id", sign(jwt.SigningMethodRS256, stranger, nil, nil), ErrMismatch},
		{"a key that is not published", sign(jwt.SigningMethodRS256, stranger, kid("k-9"), nil), ErrMismatch},
		{"a key of the token's own", sign(jwt.SigningMethodRS256, stranger, map[string]any{"kid": "k-9", "jku": "https://evil.example/keys", "jwk": map[string]any{"kty": "RSA"}}, nil), ErrMismatch},
		{"a key id that is a path", sign(jwt.SigningMethodRS256, key, kid("../k-1"), nil), ErrMismatch},
		{"a key id that is a number", sign(jwt.SigningMethodRS256, key, kid(1), nil), ErrMalformed},
		{"no key id", sign(jwt.SigningMethodRS256, key, kid(""), nil), ErrMalformed},
		{"another issuer", good(jwt.MapClaims{"iss": "https://accounts.google.com.evil.example"}), ErrMismatch},
		{"no issuer", good(jwt.MapClaims{"iss": nil}), ErrMismatch},
		{"another audience", good(jwt.MapClaims{"aud": "https://hooks.example.com/webhooks/q"}), ErrMismatch},
		{"two audiences", good(jwt.MapClaims{"aud": []string{audience, "another"}}), ErrMismatch},
		{"no audience", good(jwt.MapClaims{"aud": nil}), ErrMismatch},
		{"another account", good(jwt.MapClaims{"email": "push@evil.iam.gserviceaccount.com"}), ErrMismatch},
		{"an account that is not verified", good(jwt.MapClaims{"email_verified": false}), ErrMismatch},
		{"no account", good(jwt.MapClaims{"email": nil}), ErrMismatch},
		{"expired", good(jwt.MapClaims{"exp": specialNow.Add(-61 * time.Second).Unix()}), ErrStale},
		{"no expiry", good(jwt.MapClaims{"exp": nil}), ErrMismatch},
		{"issued in the future", good(jwt.MapClaims{"iat": specialNow.Add(2 * time.Minute).Unix()}), ErrStale},
		{"no time of issue", good(jwt.MapClaims{"iat": nil}), ErrUnsigned},
		{"no bearer", good(nil)[len("Bearer "):], ErrMalformed},
		{"basic", "Basic dTpw", ErrMalformed},
		{"no token", "Bearer ", ErrMalformed},
		{"nothing", "", ErrUnsigned},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := bindSpecial(t, "google-pubsub", Binding{
				Fetch:   webKeySet(t, map[string]*rsa.PrivateKey{"k-1": key}),
				Options: map[string]string{googleAudience: audience, googleAccount: account},
			})
			d := &Delivery{Method: http.MethodPost, Header: http.Header{}, Body: []byte(`{}`), ReceivedAt: specialNow}
			d.Header.Set(googleHeader, tt.token)
			err := v.Verify(t.Context(), d)
			require.ErrorIs(t, err, tt.want)
			if err != nil && tt.token != "" {
				require.NotContains(t, err.Error(), tt.token)
			}
		})
	}
}

// rotating is a Fetcher of keys that change.
type rotating struct {
	mu      sync.Mutex
	answer  document
	fetched int
	urls    map[string]int
}

func (r *rotating) Fetch(_ context.Context, url string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetched++
	r.urls[url]++
	if r.answer == "" {
		return nil, errors.New("it is down")
	}
	return []byte(r.answer), nil
}

// TestGoogleKeysRotate asks for the keys again when a token names a new one,
// however many tokens name keys that nobody has, and only where Google keeps
// its keys.
func TestGoogleKeysRotate(t *testing.T) {
	t.Parallel()
	old, fresh := rsaKey(t), rsaKey(t)
	source := &rotating{answer: webKeySet(t, map[string]*rsa.PrivateKey{"old": old}), urls: map[string]int{}}
	v := bindSpecial(t, "google-pubsub", Binding{Fetch: source, Options: map[string]string{googleAudience: "a", googleAccount: "e"}})
	deliver := func(kid string, key *rsa.PrivateKey, at time.Time) error {
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": "accounts.google.com", "aud": "a", "email": "e", "email_verified": true, "iat": at.Unix(), "exp": at.Add(time.Hour).Unix(),
		})
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		require.NoError(t, err)
		return v.Verify(t.Context(), &Delivery{Header: http.Header{googleHeader: {"Bearer " + text}}, Body: []byte("{}"), ReceivedAt: at})
	}
	require.NoError(t, deliver("old", old, specialNow))
	for range 5 {
		require.ErrorIs(t, deliver("new", fresh, specialNow.Add(30*time.Second)), ErrMismatch)
	}
	require.Equal(t, 1, source.fetched, "keys that are half a minute old are asked for once")

	source.answer = ""
	err := deliver("new", fresh, specialNow.Add(2*time.Minute))
	require.ErrorContains(t, err, "cannot be had now")
	require.Empty(t, Reason(err), "the token may be genuine: the sender comes again")
	require.NoError(t, deliver("old", old, specialNow.Add(2*time.Minute)), "a host that is down takes no key back")

	source.answer = webKeySet(t, map[string]*rsa.PrivateKey{"old": old, "new": fresh})
	require.NoError(t, deliver("new", fresh, specialNow.Add(3*time.Minute)))
	fetched := source.fetched
	for range 5 {
		require.ErrorIs(t, deliver("nobody's", fresh, specialNow.Add(3*time.Minute)), ErrMismatch)
		require.NoError(t, deliver("old", old, specialNow.Add(3*time.Minute)))
	}
	require.Equal(t, fetched, source.fetched)
	require.Empty(t, cmp.Diff(map[string]int{googleKeys: source.fetched}, source.urls))
}

func TestWebKeys(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{
		"", "<html>", "{}", `{"keys":[]}`, `{"keys":[{"kid":"a","kty":"EC","use":"sig"}]}`,
		`{"keys":[{"kid":"a","kty":"RSA","use":"sig","n":"AQAB","e":"AQAB"}]}`,
		`{"keys":[{"kid":"a","kty":"RSA","use":"enc","n":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 256)) + `","e":"AQAB"}]}`,
		`{"keys":[{"kid":"a","kty":"RSA","use":"sig","n":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 256)) + `","e":"AQABAQABAQAB"}]}`,
	} {
		_, err := parseWebKeys([]byte(broken))
		require.Error(t, err, broken)
	}
	key := rsaKey(t)
	keys, err := parseWebKeys([]byte(webKeySet(t, map[string]*rsa.PrivateKey{"a": key})))
	require.NoError(t, err)
	require.True(t, keys["a"].Equal(&key.PublicKey))
}
