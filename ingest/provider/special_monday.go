package provider

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	mondayHeader = "Authorization"
	// mondayLifetime is how long monday.com makes its tokens valid.
	mondayLifetime = 5 * time.Minute
)

// monday sends a JWT that names the endpoint, signed with a secret of the app.
//
// The token does not cover the body: whoever has one can send another body
// with it for five minutes.
type monday struct{}

// Bind implements Scheme.
func (monday) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	if err != nil {
		return nil, err
	}
	leeway := tokenLeeway
	if b.Tolerance > 0 {
		leeway = b.Tolerance
	}
	return mondayVerifier{sharedSecrets: secrets, rules: tokenRules{algorithms: []string{"HS256"}, leeway: leeway, expires: true}}, nil
}

type mondayVerifier struct {
	sharedSecrets
	rules tokenRules
}

// Verify implements Verifier.
func (v mondayVerifier) Verify(_ context.Context, d *Delivery) error {
	token, err := oneHeader(d.Header, mondayHeader)
	if err != nil {
		return err
	}
	var claims jwt.RegisteredClaims
	if err := v.rules.parse(token, &claims, v.anySecret, d.ReceivedAt); err != nil {
		return err
	}
	base := (&view{Delivery: d}).baseURL()
	if !slices.Contains(claims.Audience, d.URL) && !slices.Contains(claims.Audience, base) {
		return fmt.Errorf("%w: the token is for another URL than %q", ErrMismatch, clip(base))
	}
	if claims.IssuedAt == nil {
		return fmt.Errorf("%w: the token has no iat", ErrUnsigned)
	}
	if ahead := claims.IssuedAt.Sub(d.ReceivedAt); ahead > v.rules.leeway {
		return fmt.Errorf("%w: the token was issued %s in the future, at most %s is taken", ErrStale, ahead.Truncate(time.Second), v.rules.leeway)
	}
	return nil
}

// Sign implements Signer.
func (v mondayVerifier) Sign(d *Delivery) error {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"aud": (&view{Delivery: d}).baseURL(),
		"iat": d.ReceivedAt.Unix(),
		"exp": d.ReceivedAt.Add(mondayLifetime).Unix(),
	}).SignedString(v.secrets[0])
	d.Header.Set(mondayHeader, token)
	return err
}

var _ Signer = mondayVerifier{}
