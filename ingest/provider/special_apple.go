package provider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	appleBundle      = "bundle_id"   // an option
	appleEnvironment = "environment" // an option
	// appleLongest is above the length of a notification, in bytes: it holds
	// two more tokens, each with its certificates.
	appleLongest = 512 << 10
	// appleChain is the number of certificates in a token: leaf,
	// intermediate and root.
	appleChain = 3
)

// appleRootG3 is "Apple Root CA - G3", which Apple publishes at
// https://www.apple.com/certificateauthority/. Its SHA-256 begins 63343abf.
const appleRootG3 = `-----BEGIN CERTIFICATE-----
MIICQzCCAcmgAwIBAgIILcX8iNLFS5UwCgYIKoZIzj0EAwMwZzEbMBkGA1UEAwwS
QXBwbGUgUm9vdCBDQSAtIEczMSYwJAYDVQQLDB1BcHBsZSBDZXJ0aWZpY2F0aW9u
IEF1dGhvcml0eTETMBEGA1UECgwKQXBwbGUgSW5jLjELMAkGA1UEBhMCVVMwHhcN
MTQwNDMwMTgxOTA2WhcNMzkwNDMwMTgxOTA2WjBnMRswGQYDVQQDDBJBcHBsZSBS
b290IENBIC0gRzMxJjAkBgNVBAsMHUFwcGxlIENlcnRpZmljYXRpb24gQXV0aG9y
aXR5MRMwEQYDVQQKDApBcHBsZSBJbmMuMQswCQYDVQQGEwJVUzB2MBAGByqGSM49
AgEGBSuBBAAiA2IABJjpLz1AcqTtkyJygRMc3RCV8cWjTnHcFBbZDuWmBSp3ZHtf
TjjTuxxEtX/1H7YyYl3J6YRbTzBPEVoA/VhYDKX1DyxNB0cTddqXl5dvMVztK517
IDvYuVTZXpmkOlEKMaNCMEAwHQYDVR0OBBYEFLuw3qFYM4iapIqZ3r6966/ayySr
MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gA
MGUCMQCD6cHEFl4aXTQY2e3v9GwOAEZLuN+yRhHFD/3meoyhpmvOwgPUnPWTxnS4
at+qIxUCMG1mihDK1A3UT82NQz60imOlM27jbdoXt2QfyFMm+YhidDkLF1vLUagM
6BgD56KyKA==
-----END CERTIFICATE-----`

// appleAppStore sends one token whose certificates lead to a root of Apple's.
// The event is what the token holds.
type appleAppStore struct {
	root string // in PEM
}

// Bind implements Scheme. There is no secret.
func (a appleAppStore) Bind(b Binding) (Verifier, error) {
	if b.Options[appleBundle] == "" {
		return nil, errors.New("option bundle_id is missing: give the app's bundle id, for Apple signs for all apps alike")
	}
	environment := cmp.Or(b.Options[appleEnvironment], "Production")
	if environment != "Production" && environment != "Sandbox" {
		return nil, fmt.Errorf("option environment is %q; known: Production, Sandbox", environment)
	}
	block, _ := pem.Decode([]byte(a.root))
	if block == nil {
		return nil, errors.New("the root certificate is not PEM")
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the root certificate cannot be read: %w", err)
	}
	return appleVerifier{
		root: root, bundle: b.Options[appleBundle], environment: environment,
		rules: tokenRules{algorithms: []string{"ES256"}, leeway: tokenLeeway, longest: appleLongest},
		time:  bindTime(b, "ms", 0),
	}, nil
}

type appleVerifier struct {
	root                *x509.Certificate
	bundle, environment string
	rules               tokenRules
	time                timestamp
}

// appleApp is how a notification names the app that it is about.
type appleApp struct {
	BundleID           string `json:"bundleId"`
	Environment        string `json:"environment"`
	ExternalPurchaseID string `json:"externalPurchaseId"`
}

type appleClaims struct {
	jwt.RegisteredClaims
	NotificationType string   `json:"notificationType"`
	Subtype          string   `json:"subtype"`
	NotificationUUID string   `json:"notificationUUID"`
	SignedDate       int64    `json:"signedDate"`
	Data             appleApp `json:"data"`
	Summary          appleApp `json:"summary"`
	AppData          appleApp `json:"appData"`
	Token            appleApp `json:"externalPurchaseToken"`
}

// app returns the one part that the notification has.
func (c appleClaims) app() appleApp {
	app := cmp.Or(c.Data, c.Summary, c.AppData, c.Token)
	if app == c.Token && app.Environment == "" {
		// Here the environment shows in the id.
		app.Environment = "Production"
		if strings.HasPrefix(app.ExternalPurchaseID, "SANDBOX") {
			app.Environment = "Sandbox"
		}
	}
	return app
}

// Verify implements Verifier.
func (v appleVerifier) Verify(_ context.Context, d *Delivery) error {
	token, err := readApple(d)
	if err != nil {
		return err
	}
	var claims appleClaims
	keys := func(t *jwt.Token) (any, error) { return v.key(t, d.ReceivedAt) }
	if err := v.rules.parse(token, &claims, keys, d.ReceivedAt); err != nil {
		return err
	}
	app := claims.app()
	switch {
	case app.BundleID != v.bundle:
		return fmt.Errorf("%w: the notification is for the app %q, not %q", ErrMismatch, clip(app.BundleID), v.bundle)
	case app.Environment != v.environment:
		return fmt.Errorf("%w: the notification is of the environment %q, not %q", ErrMismatch, clip(app.Environment), v.environment)
	}
	return v.time.check(strconv.FormatInt(claims.SignedDate, 10), d.ReceivedAt)
}

// readApple takes the token out of the body, which holds nothing else: it
// would not be signed.
func readApple(d *Delivery) (string, error) {
	top, err := membersOf("the body", d.Body)
	if err != nil {
		return "", err
	}
	token, ok := top["signedPayload"].text()
	switch {
	case !ok || token == "":
		return "", fmt.Errorf("%w: the body holds no signedPayload", ErrUnsigned)
	case len(top) > 1:
		return "", fmt.Errorf("%w: the body holds more than signedPayload", ErrMalformed)
	}
	return token, nil
}

// key returns the key of the token's first certificate, once its chain leads
// to the root and each of its links is one that Apple marks for this use:
// Apple's root also vouches for certificates of its developers.
func (v appleVerifier) key(t *jwt.Token, now time.Time) (any, error) {
	listed, _ := t.Header["x5c"].([]any)
	if len(listed) != appleChain {
		return nil, fmt.Errorf("%w: the token holds %d certificates, want %d", ErrMalformed, len(listed), appleChain)
	}
	var chain []*x509.Certificate
	for i, item := range listed {
		text, _ := item.(string)
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d of the token is not base64", ErrMalformed, i+1)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %d of the token cannot be read", ErrMalformed, i+1)
		}
		chain = append(chain, certificate)
	}
	leaf, intermediate := chain[0], chain[1]
	if !bytes.Equal(chain[2].Raw, v.root.Raw) {
		return nil, fmt.Errorf("%w: the token's certificates lead to another root than Apple's", ErrMismatch)
	}
	options := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	options.Roots.AddCert(v.root)
	options.Intermediates.AddCert(intermediate)
	chains, err := leaf.Verify(options)
	if err != nil {
		return nil, fmt.Errorf("%w: the token's certificate is not vouched for by Apple's root", ErrMismatch)
	}
	if len(chains[0]) != appleChain {
		return nil, fmt.Errorf("%w: the token's certificate has a chain of %d, want %d", ErrMismatch, len(chains[0]), appleChain)
	}
	if !marked(leaf, 11, 1) || !marked(intermediate, 2, 1) {
		return nil, fmt.Errorf("%w: the token's certificate is one of Apple's, but not for the App Store", ErrMismatch)
	}
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: the token's certificate holds no P-256 key", ErrMismatch)
	}
	return public, nil
}

// marked reports whether the certificate has Apple's extension
// 1.2.840.113635.100.6.KIND.NUMBER.
func marked(c *x509.Certificate, kind, number int) bool {
	want := asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, kind, number}
	for _, e := range c.Extensions {
		if e.Id.Equal(want) {
			return true
		}
	}
	return false
}

// Identify implements Identifier. The payload is what the token holds, byte
// for byte.
func (v appleVerifier) Identify(d *Delivery) ([]Identity, error) {
	token, err := readApple(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoEvent, err)
	}
	var claims appleClaims
	parsed, parts, err := jwt.NewParser().ParseUnverified(token, &claims)
	if err != nil || parsed == nil {
		return nil, fmt.Errorf("%w: signedPayload is not a JWT", ErrNoEvent)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("%w: signedPayload is not a JWT", ErrNoEvent)
	}
	id := claims.NotificationUUID
	if id == "" || len(id) > maxID {
		return nil, fmt.Errorf("%w: signedPayload holds no notificationUUID", ErrNoEvent)
	}
	eventType := claims.NotificationType
	if claims.Subtype != "" {
		eventType += "." + claims.Subtype
	}
	if len(eventType) > maxType || !printable(eventType) {
		return nil, fmt.Errorf("%w: the notification's type is no name", ErrNoEvent)
	}
	return []Identity{{ID: id, Type: eventType, Payload: payload, JSON: true}}, nil
}

var _ Identifier = appleVerifier{}
