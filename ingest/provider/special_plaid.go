package provider

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	plaidHeader      = "Plaid-Verification"
	plaidClient      = "client_id"   // an option
	plaidEnvironment = "environment" // an option
	plaidTolerance   = 5 * time.Minute
	plaidKeyPath     = "/webhook_verification_key/get"
)

// plaid sends a JWT with the digest of the body, signed with a key that its
// API hands out to those who have an account.
type plaid struct{}

// Bind implements Scheme. The secrets are those of the API.
func (plaid) Bind(b Binding) (Verifier, error) {
	secrets, err := decodeSecrets(b, "utf8")
	if err != nil {
		return nil, err
	}
	hosts := map[string]string{"": "production.plaid.com", "production": "production.plaid.com", "sandbox": "sandbox.plaid.com"}
	host, known := hosts[b.Options[plaidEnvironment]]
	if !known {
		return nil, fmt.Errorf("option environment is %q; known: production, sandbox", b.Options[plaidEnvironment])
	}
	fetch := b.Fetch
	if fetch == nil {
		if b.Options[plaidClient] == "" {
			return nil, errors.New("option client_id is missing: the keys of Plaid are had with it and the API secret")
		}
		fetch = plaidAPI{network: newNetwork(), client: b.Options[plaidClient], secrets: secrets}
	}
	tolerance := plaidTolerance
	if b.Tolerance > 0 {
		tolerance = b.Tolerance
	}
	return plaidVerifier{
		host: host, tolerance: tolerance, keys: newKeyring(fetch, parsePlaidKey),
		keyID: regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`),
	}, nil
}

type plaidVerifier struct {
	host      string
	tolerance time.Duration
	keys      *keyring[plaidKey]
	keyID     *regexp.Regexp
}

type plaidClaims struct {
	jwt.RegisteredClaims
	BodySHA256 string `json:"request_body_sha256"`
}

// Verify implements Verifier.
func (v plaidVerifier) Verify(ctx context.Context, d *Delivery) error {
	token, err := oneHeader(d.Header, plaidHeader)
	if err != nil {
		return err
	}
	var claims plaidClaims
	rules := tokenRules{algorithms: []string{"ES256"}, leeway: v.tolerance}
	keys := func(t *jwt.Token) (any, error) { return v.key(ctx, t, d) }
	if err := rules.parse(token, &claims, keys, d.ReceivedAt); err != nil {
		return err
	}
	if !isHexSHA256(claims.BodySHA256, d.Body) {
		return fmt.Errorf("%w: the token is for another body", ErrMismatch)
	}
	if claims.IssuedAt == nil {
		return fmt.Errorf("%w: the token has no iat", ErrUnsigned)
	}
	switch age := d.ReceivedAt.Sub(claims.IssuedAt.Time).Truncate(time.Second); {
	case age > v.tolerance:
		return fmt.Errorf("%w: it is %s old, at most %s is taken", ErrStale, age, v.tolerance)
	case age < -v.tolerance:
		return fmt.Errorf("%w: it is %s in the future, at most %s is taken", ErrStale, -age, v.tolerance)
	}
	return nil
}

func (v plaidVerifier) key(ctx context.Context, t *jwt.Token, d *Delivery) (any, error) {
	id, _ := t.Header["kid"].(string)
	if !v.keyID.MatchString(id) {
		return nil, fmt.Errorf("%w: the token names no key", ErrMalformed)
	}
	address := url.URL{Scheme: "https", Host: v.host, Path: plaidKeyPath, RawQuery: url.Values{"key_id": {id}}.Encode()}
	key, err := v.keys.get(ctx, address.String(), d)
	if err != nil {
		return nil, err
	}
	if key.expired {
		return nil, fmt.Errorf("%w: Plaid has taken the key back", ErrMismatch)
	}
	return key.public, nil
}

// plaidAPI is the Fetcher for Plaid's keys, which are asked for by a POST with
// credentials. The URL names the key in its query.
type plaidAPI struct {
	network
	client  string
	secrets [][]byte
}

// Fetch implements Fetcher.
func (a plaidAPI) Fetch(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the URL cannot be asked")
	}
	id := u.Query().Get("key_id")
	u.RawQuery = ""
	var failed error
	for _, secret := range a.secrets {
		body, err := json.Marshal(map[string]string{"client_id": a.client, "secret": string(secret), "key_id": id})
		if err != nil {
			return nil, errors.New("the request cannot be written")
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
		if err != nil {
			return nil, errors.New("the URL cannot be asked")
		}
		req.Header.Set("Content-Type", "application/json")
		document, err := a.do(req)
		if err == nil {
			return document, nil
		}
		failed = err
	}
	return nil, failed
}

type plaidKey struct {
	public  *ecdsa.PublicKey
	expired bool
}

// parsePlaidKey reads a JSON Web Key on P-256, with or without Plaid's
// envelope.
func parsePlaidKey(document []byte) (plaidKey, error) {
	type webKey struct {
		Kty, Crv, X, Y, Alg string
		ExpiredAt           *int64 `json:"expired_at"`
	}
	var answer struct {
		webKey
		Key *webKey
	}
	if err := json.Unmarshal(document, &answer); err != nil {
		return plaidKey{}, errors.New("the key is not JSON")
	}
	k := answer.webKey
	if answer.Key != nil {
		k = *answer.Key
	}
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	if k.Kty != "EC" || k.Crv != "P-256" || errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return plaidKey{}, errors.New("the key is not a P-256 web key")
	}
	point := slices.Concat([]byte{4}, x, y) // 4 marks a point that is not compressed
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return plaidKey{}, errors.New("the key is not on its curve")
	}
	return plaidKey{public: public, expired: k.ExpiredAt != nil}, nil
}
