package provider

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// googleKeys is where Google publishes the keys that sign its ID tokens.
	googleKeys     = "https://www.googleapis.com/oauth2/v3/certs"
	googleHeader   = "Authorization"
	googleAudience = "audience"        // an option
	googleAccount  = "service_account" // an option
	// googleRenewal is how old the keys have to be before a token that names
	// another one makes us ask for them again.
	googleRenewal = time.Minute
)

// googlePubSub sends an ID token of the service account that a push
// subscription is set up with.
//
// The token does not cover the body: whoever has one can send another body
// with it until it expires, within an hour.
type googlePubSub struct{}

// Bind implements Scheme. There is no secret: any customer of Google can have
// a token made for any audience, so that the service account has to be known.
func (googlePubSub) Bind(b Binding) (Verifier, error) {
	for _, name := range []string{googleAudience, googleAccount} {
		if b.Options[name] == "" {
			return nil, fmt.Errorf("option %s is missing: give what the push subscription is set up with", name)
		}
	}
	leeway := tokenLeeway
	if b.Tolerance > 0 {
		leeway = b.Tolerance
	}
	return googleVerifier{
		audience: b.Options[googleAudience], account: b.Options[googleAccount],
		rules: tokenRules{algorithms: []string{"RS256"}, leeway: leeway, expires: true},
		keys:  newKeyring(fetcherOf(b), parseWebKeys),
	}, nil
}

type googleVerifier struct {
	audience, account string
	rules             tokenRules
	keys              *keyring[map[string]*rsa.PublicKey]
}

type googleClaims struct {
	jwt.RegisteredClaims
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
}

// Verify implements Verifier.
func (v googleVerifier) Verify(ctx context.Context, d *Delivery) error {
	text, err := oneHeader(d.Header, googleHeader)
	if err != nil {
		return err
	}
	token, found := strings.CutPrefix(text, "Bearer ")
	if !found {
		return fmt.Errorf("%w: header %s holds no bearer token", ErrMalformed, googleHeader)
	}
	var claims googleClaims
	keys := func(t *jwt.Token) (any, error) { return v.key(ctx, t, d) }
	if err := v.rules.parse(token, &claims, keys, d.ReceivedAt); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"https://accounts.google.com", "accounts.google.com"}, claims.Issuer):
		return fmt.Errorf("%w: the token is not issued by Google", ErrMismatch)
	case !slices.Equal(claims.Audience, jwt.ClaimStrings{v.audience}):
		return fmt.Errorf("%w: the token is for another audience than %q", ErrMismatch, v.audience)
	case claims.Email != v.account || !claims.EmailVerified:
		return fmt.Errorf("%w: the token is of another service account than %q", ErrMismatch, v.account)
	case claims.IssuedAt == nil:
		return fmt.Errorf("%w: the token has no iat", ErrUnsigned)
	case claims.IssuedAt.Sub(d.ReceivedAt) > v.rules.leeway:
		return fmt.Errorf("%w: the token was issued in the future", ErrStale)
	}
	return nil
}

// key finds the key that a token names among those that Google publishes. A
// new one is published before it signs, so that keys which are a minute old
// hold all that sign.
func (v googleVerifier) key(ctx context.Context, t *jwt.Token, d *Delivery) (any, error) {
	id, _ := t.Header["kid"].(string)
	if id == "" {
		return nil, fmt.Errorf("%w: the token names no key", ErrMalformed)
	}
	keys, err := v.keys.get(ctx, googleKeys, d)
	if err != nil {
		return nil, err
	}
	if key := keys[id]; key != nil {
		return key, nil
	}
	if keys, err = v.keys.renewed(ctx, googleKeys, googleRenewal, d); err != nil {
		return nil, err
	}
	if key := keys[id]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("%w: the token names a key that Google does not publish", ErrMismatch)
}

// parseWebKeys reads the RSA keys of a JSON Web Key Set, by their ids.
func parseWebKeys(document []byte) (map[string]*rsa.PublicKey, error) {
	var set struct {
		Keys []struct{ Kid, Kty, Alg, Use, N, E string }
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, errors.New("the keys are not JSON")
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(k.N)
		e, errE := base64.RawURLEncoding.DecodeString(k.E)
		if k.Kty != "RSA" || k.Kid == "" || k.Use != "sig" || errN != nil || errE != nil || len(n) < 256 || len(e) == 0 || len(e) > 4 {
			continue
		}
		keys[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no RSA key among the keys")
	}
	return keys, nil
}
