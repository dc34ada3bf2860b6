package provider

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// timedMAC is a scheme with an HMAC-SHA256 in one header, the signed time in
// another, and a content that no file can describe.
type timedMAC struct {
	header    string        // with the signature
	encoding  string        // of the signature: hex or base64
	timestamp string        // the header with the time
	unit      string        // of the time: s, ms or iso8601
	tolerance time.Duration // where the source sets none
	// content returns what is signed, given the time as sent.
	content func(d *Delivery, timestamp string) ([]byte, error)
	// prepare sets the other headers that a signature needs; nil for none.
	prepare func(d *Delivery)
}

// Bind implements Scheme.
func (m timedMAC) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return boundMAC{timedMAC: m, sharedSecrets: secrets, time: bindTime(b, m.unit, m.tolerance)}, err
}

type boundMAC struct {
	timedMAC
	sharedSecrets
	time timestamp
}

// Verify implements Verifier. The signature is checked before the clock, so
// that "stale" always means genuine.
func (m boundMAC) Verify(_ context.Context, d *Delivery) error {
	text, err := oneHeader(d.Header, m.header)
	if err != nil {
		return err
	}
	signature, err := encodings[m.encoding].decode(text)
	if err != nil || len(signature) == 0 {
		return fmt.Errorf("%w: header %s holds no %s signature", ErrMalformed, m.header, m.encoding)
	}
	content, err := m.SignedContent(d)
	if err != nil {
		return err
	}
	if err := m.check([][]byte{signature}, content); err != nil {
		return err
	}
	return m.time.check(d.Header.Get(m.timestamp), d.ReceivedAt)
}

// SignedContent implements Explainer.
func (m boundMAC) SignedContent(d *Delivery) ([]byte, error) {
	at, err := oneHeader(d.Header, m.timestamp)
	if err != nil {
		return nil, err
	}
	return m.content(d, at)
}

// Sign implements Signer.
func (m boundMAC) Sign(d *Delivery) error {
	d.Header.Set(m.timestamp, m.time.format(d.ReceivedAt))
	if m.prepare != nil {
		m.prepare(d)
	}
	content, err := m.SignedContent(d)
	if err != nil {
		return err
	}
	d.Header.Set(m.header, encodings[m.encoding].encode(m.sign(content)))
	return nil
}

var (
	_ Signer    = boundMAC{}
	_ Explainer = boundMAC{}
)
