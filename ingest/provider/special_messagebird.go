package provider

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	messagebirdJWT    = "MessageBird-Signature-JWT"
	messagebirdIssuer = "MessageBird"
	// messagebirdLifetime is how long MessageBird makes its tokens valid.
	messagebirdLifetime = time.Minute
	// messagebirdTolerance is a day: what could not be delivered is sent
	// again for that long, under its first time.
	messagebirdTolerance = 24 * time.Hour
)

// messagebirdTokens sends a JWT with the hashes of the URL and, unless it is
// empty, the body.
type messagebirdTokens struct{}

// Bind implements Scheme.
func (messagebirdTokens) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	leeway := tokenLeeway
	if b.Tolerance > 0 {
		leeway = b.Tolerance
	}
	return messagebirdTokenVerifier{sharedSecrets: secrets, rules: tokenRules{
		algorithms: []string{"HS256", "HS384", "HS512"},
		issuer:     messagebirdIssuer,
		leeway:     leeway,
		expires:    true,
	}}, err
}

type messagebirdTokenVerifier struct {
	sharedSecrets
	rules tokenRules
}

type messagebirdClaims struct {
	jwt.RegisteredClaims
	URLHash     string  `json:"url_hash"`
	PayloadHash *string `json:"payload_hash,omitempty"`
}

// Verify implements Verifier.
func (v messagebirdTokenVerifier) Verify(_ context.Context, d *Delivery) error {
	token, err := oneHeader(d.Header, messagebirdJWT)
	if err != nil {
		return err
	}
	var claims messagebirdClaims
	if err := v.rules.parse(token, &claims, v.anySecret, d.ReceivedAt); err != nil {
		return err
	}
	if !isHexSHA256(claims.URLHash, []byte(d.URL)) {
		return fmt.Errorf("%w: the token is for another URL", ErrMismatch)
	}
	switch {
	case claims.PayloadHash == nil && len(d.Body) > 0:
		return fmt.Errorf("%w: there is a body, and the token says there is none", ErrMismatch)
	case claims.PayloadHash != nil && (len(d.Body) == 0 || !isHexSHA256(*claims.PayloadHash, d.Body)):
		return fmt.Errorf("%w: the token is for another body", ErrMismatch)
	}
	return nil
}

// Sign implements Signer.
func (v messagebirdTokenVerifier) Sign(d *Delivery) error {
	claims := messagebirdClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    messagebirdIssuer,
			NotBefore: jwt.NewNumericDate(d.ReceivedAt),
			ExpiresAt: jwt.NewNumericDate(d.ReceivedAt.Add(messagebirdLifetime)),
			ID:        rand.Text(),
		},
		URLHash: hexSHA256([]byte(d.URL)),
	}
	if len(d.Body) > 0 {
		hash := hexSHA256(d.Body)
		claims.PayloadHash = &hash
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(v.secrets[0])
	d.Header.Set(messagebirdJWT, token)
	return err
}

func isHexSHA256(claimed string, data []byte) bool {
	return subtle.ConstantTimeCompare([]byte(strings.ToLower(claimed)), []byte(hexSHA256(data))) == 1
}

// messagebirdRequests is the older scheme: time, sorted query and the body's
// digest, as bytes, each on a line. The path is not signed.
func messagebirdRequests() Scheme {
	return timedMAC{
		header: "MessageBird-Signature", encoding: "base64",
		timestamp: "MessageBird-Request-Timestamp", unit: "s", tolerance: messagebirdTolerance,
		content: messagebirdContent,
	}
}

func messagebirdContent(d *Delivery, timestamp string) ([]byte, error) {
	_, raw, _ := strings.Cut(d.URL, "?")
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL's query cannot be read", ErrMalformed)
	}
	sum := sha256.Sum256(d.Body)
	return append([]byte(timestamp+"\n"+query.Encode()+"\n"), sum[:]...), nil
}

var _ Signer = messagebirdTokenVerifier{}
