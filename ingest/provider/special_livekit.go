package provider

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	livekitHeader = "Authorization"
	livekitKey    = "api_key" // the option
	// livekitLifetime is how long LiveKit makes its tokens valid.
	livekitLifetime = 5 * time.Minute
)

// livekit sends a JWT, signed with the API secret and issued by the API key,
// that holds the digest of the body.
type livekit struct{}

// Bind implements Scheme.
func (livekit) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	if err != nil {
		return nil, err
	}
	if b.Options[livekitKey] == "" {
		return nil, errors.New("option api_key is missing: give the API key that belongs to the secret")
	}
	leeway := tokenLeeway
	if b.Tolerance > 0 {
		leeway = b.Tolerance
	}
	return livekitVerifier{sharedSecrets: secrets, rules: tokenRules{
		algorithms: []string{"HS256"},
		issuer:     b.Options[livekitKey],
		leeway:     leeway,
		expires:    true,
	}}, nil
}

type livekitVerifier struct {
	sharedSecrets
	rules tokenRules
}

type livekitClaims struct {
	jwt.RegisteredClaims
	SHA256 string `json:"sha256"`
}

// Verify implements Verifier.
func (v livekitVerifier) Verify(_ context.Context, d *Delivery) error {
	token, err := oneHeader(d.Header, livekitHeader)
	if err != nil {
		return err
	}
	var claims livekitClaims
	if err := v.rules.parse(token, &claims, v.anySecret, d.ReceivedAt); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(claims.SHA256), []byte(base64SHA256(d.Body))) != 1 {
		return fmt.Errorf("%w: the token is for another body", ErrMismatch)
	}
	return nil
}

// Sign implements Signer.
func (v livekitVerifier) Sign(d *Delivery) error {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, livekitClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    v.rules.issuer,
			NotBefore: jwt.NewNumericDate(d.ReceivedAt),
			ExpiresAt: jwt.NewNumericDate(d.ReceivedAt.Add(livekitLifetime)),
		},
		SHA256: base64SHA256(d.Body),
	}).SignedString(v.secrets[0])
	d.Header.Set(livekitHeader, token)
	return err
}

func base64SHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

var _ Signer = livekitVerifier{}
