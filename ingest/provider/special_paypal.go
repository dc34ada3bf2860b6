package provider

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"
)

const (
	paypalWebhook   = "webhook_id" // the option
	paypalID        = "PAYPAL-TRANSMISSION-ID"
	paypalTime      = "PAYPAL-TRANSMISSION-TIME"
	paypalSignature = "PAYPAL-TRANSMISSION-SIG"
	paypalCert      = "PAYPAL-CERT-URL"
	paypalAlgorithm = "PAYPAL-AUTH-ALGO"
)

// paypal signs its id of the transmission, a time, our id of the webhook and
// the body's CRC-32 with a certificate that it publishes.
//
// A CRC-32 is no digest: whoever has a signed delivery can write another body
// with the same one. Where that matters, look the event up at PayPal.
type paypal struct{}

// Bind implements Scheme. There is no secret. PayPal names no window for its
// times, and sends again for three days, so there is none by default.
func (paypal) Bind(b Binding) (Verifier, error) {
	id := b.Options[paypalWebhook]
	if id == "" {
		return nil, errors.New("option webhook_id is missing: give the id that PayPal shows beside the webhook")
	}
	return paypalVerifier{
		webhook: id,
		time:    bindTime(b, "iso8601", 0),
		certificates: newCertificateStore(b,
			regexp.MustCompile(`^api(-m)?(\.sandbox)?\.paypal\.com$`),
			regexp.MustCompile(`^/v1/notifications/certs/CERT-[A-Za-z0-9-]+$`)),
	}, nil
}

type paypalVerifier struct {
	webhook      string
	time         timestamp
	certificates certificateStore
}

// Verify implements Verifier.
func (v paypalVerifier) Verify(ctx context.Context, d *Delivery) error {
	signature, err := oneBase64(d.Header, paypalSignature)
	if err != nil {
		return err
	}
	algorithm, err := oneHeader(d.Header, paypalAlgorithm)
	if err != nil {
		return err
	}
	if algorithm != "SHA256withRSA" {
		return fmt.Errorf("%w: unknown algorithm %q; known: SHA256withRSA", ErrMalformed, clip(algorithm))
	}
	address, err := oneHeader(d.Header, paypalCert)
	if err != nil {
		return err
	}
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	if err := v.certificates.verify(ctx, address, crypto.SHA256, content, signature, d); err != nil {
		return err
	}
	return v.time.check(d.Header.Get(paypalTime), d.ReceivedAt)
}

// SignedContent implements Explainer.
func (v paypalVerifier) SignedContent(d *Delivery) ([]byte, error) {
	id, err := oneHeader(d.Header, paypalID)
	if err != nil {
		return nil, err
	}
	at, err := oneHeader(d.Header, paypalTime)
	if err != nil {
		return nil, err
	}
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(d.Body)), 10)
	return []byte(strings.Join([]string{id, at, v.webhook, sum}, "|")), nil
}

var _ Explainer = paypalVerifier{}
