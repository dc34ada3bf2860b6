package provider

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxToken is far above the length of a provider's token, in bytes.
	maxToken = 8 << 10
	// tokenLeeway is how far two clocks may be apart: a token that is not
	// valid yet by seconds comes from a clock that is ahead of ours.
	tokenLeeway = time.Minute
)

// tokenRules say which tokens a scheme takes. The algorithms are the scheme's,
// never the token's to choose.
type tokenRules struct {
	algorithms []string
	issuer     string // "" for any
	leeway     time.Duration
	// longest is the most bytes of a token; 0 for maxToken.
	longest int
	// expires is false for tokens that carry only the time of their issue,
	// which the scheme then holds against the clock.
	expires bool
}

// parse verifies a token and fills in its claims.
func (r tokenRules) parse(token string, claims jwt.Claims, keys jwt.Keyfunc, now time.Time) error {
	if longest := cmp.Or(r.longest, maxToken); len(token) > longest {
		return fmt.Errorf("%w: the token is longer than %d bytes", ErrMalformed, longest)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(r.algorithms),
		jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithLeeway(r.leeway),
		jwt.WithStrictDecoding(),
	}
	if r.issuer != "" {
		options = append(options, jwt.WithIssuer(r.issuer))
	}
	if r.expires {
		options = append(options, jwt.WithExpirationRequired())
	}
	var noKey error
	_, err := jwt.NewParser(options...).ParseWithClaims(token, claims, func(t *jwt.Token) (key any, err error) {
		key, noKey = keys(t)
		return key, noKey
	})
	if noKey != nil {
		return noKey // it need not be the token's fault
	}
	return tokenError(err)
}

// tokenError finds the sentinel for a parser's error, and keeps the parser's
// words out of it: they may quote the token.
func tokenError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return fmt.Errorf("%w: the token is not signed under a configured key with the provider's algorithm", ErrMismatch)
	case errors.Is(err, jwt.ErrTokenExpired):
		return fmt.Errorf("%w: the token has expired", ErrStale)
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return fmt.Errorf("%w: the token is not valid yet", ErrStale)
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return fmt.Errorf("%w: the token's claims are not the provider's", ErrMismatch)
	default:
		return fmt.Errorf("%w: it is not a JWT", ErrMalformed)
	}
}

// anySecret is the keys of a scheme with shared secrets.
func (s sharedSecrets) anySecret(*jwt.Token) (any, error) {
	var set jwt.VerificationKeySet
	for _, secret := range s.secrets {
		set.Keys = append(set.Keys, secret)
	}
	return set, nil
}
