package provider

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Braintree signs so
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	braintreeKey       = "public_key" // the option
	braintreeSignature = "bt_signature"
	braintreePayload   = "bt_payload"
	braintreeChallenge = "bt_challenge"
)

// braintree sends a form of two fields: base64 of XML, and a signature for
// each key of the API, as PUBLIC_KEY|HEX&PUBLIC_KEY|HEX.
type braintree struct{}

// Bind implements Scheme. The secrets are private keys of the API, whose
// SHA-1 is the key.
func (braintree) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha1.New)
	if err != nil {
		return nil, err
	}
	public := strings.Fields(b.Options[braintreeKey])
	if len(public) == 0 {
		return nil, errors.New("option public_key is missing: give the public key that belongs to the private one")
	}
	for i, secret := range secrets.secrets {
		sum := sha1.Sum(secret) //nolint:gosec // as above
		secrets.secrets[i] = sum[:]
	}
	return braintreeVerifier{sharedSecrets: secrets, publicKeys: public, challenge: regexp.MustCompile(`^[a-f0-9]{20,32}$`)}, nil
}

type braintreeVerifier struct {
	sharedSecrets
	publicKeys []string // the first one answers challenges
	challenge  *regexp.Regexp
}

// Verify implements Verifier.
func (v braintreeVerifier) Verify(_ context.Context, d *Delivery) error {
	signed, err := readBraintree(d)
	if err != nil {
		return err
	}
	var signatures [][]byte
	for pair := range strings.SplitSeq(signed.signature, "&") {
		public, text, _ := strings.Cut(pair, "|")
		signature, err := hex.DecodeString(text)
		if !slices.Contains(v.publicKeys, public) || err != nil || len(signature) == 0 {
			continue
		}
		if signatures = append(signatures, signature); len(signatures) > maxItems {
			return fmt.Errorf("%w: %s holds more than %d signatures", ErrMalformed, braintreeSignature, maxItems)
		}
	}
	if len(signatures) == 0 {
		return fmt.Errorf("%w: %s holds no signature for any of the public keys", ErrMalformed, braintreeSignature)
	}
	// Braintree's own libraries take it with a line break more, too.
	if err := v.check(signatures, []byte(signed.payload), []byte(signed.payload+"\n")); err != nil {
		return err
	}
	_, err = signed.open()
	return err
}

// braintreeForm is what Braintree sends.
type braintreeForm struct{ signature, payload string }

// readBraintree refuses a form with anything else in it, since it would not be
// signed.
func readBraintree(d *Delivery) (braintreeForm, error) {
	form, err := formBody(d)
	if err != nil {
		return braintreeForm{}, err
	}
	for _, name := range []string{braintreeSignature, braintreePayload} {
		if form.Get(name) == "" {
			return braintreeForm{}, fmt.Errorf("%w: the body holds no %s", ErrUnsigned, name)
		}
	}
	if len(form) != 2 || len(form[braintreeSignature]) != 1 || len(form[braintreePayload]) != 1 {
		return braintreeForm{}, fmt.Errorf("%w: the body holds more than one %s and one %s", ErrMalformed, braintreeSignature, braintreePayload)
	}
	return braintreeForm{form.Get(braintreeSignature), form.Get(braintreePayload)}, nil
}

// open returns the XML. That it is some is checked because challenges, which
// anyone may send, are answered under the key that signs payloads: a challenge
// is never the base64 of a "<".
func (f braintreeForm) open() ([]byte, error) {
	plain, err := base64.StdEncoding.DecodeString(f.payload) // it passes over line breaks
	if err != nil || !bytes.HasPrefix(plain, []byte("<")) {
		return nil, fmt.Errorf("%w: %s is not base64 of XML", ErrMalformed, braintreePayload)
	}
	return plain, nil
}

// SignedContent implements Explainer.
func (v braintreeVerifier) SignedContent(d *Delivery) ([]byte, error) {
	signed, err := readBraintree(d)
	return []byte(signed.payload), err
}

// Greet implements Greeter.
func (v braintreeVerifier) Greet(_ context.Context, d *Delivery, verified bool) (*Answer, error) {
	if verified || d.Method != http.MethodGet {
		return nil, nil //nolint:nilnil // no handshake and no error is the usual case
	}
	challenge, _ := (&view{Delivery: d}).queryParameter(braintreeChallenge)
	if !v.challenge.MatchString(challenge) {
		return nil, nil //nolint:nilnil // a text of a caller's choice is not answered
	}
	answer := v.publicKeys[0] + "|" + hex.EncodeToString(v.sign([]byte(challenge)))
	return &Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(answer)}, nil
}

// Identify implements Identifier. The XML is the payload. It holds a time and
// no id, so that it goes by its bytes.
func (v braintreeVerifier) Identify(d *Delivery) ([]Identity, error) {
	signed, err := readBraintree(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoEvent, err)
	}
	plain, err := signed.open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoEvent, err)
	}
	var notification struct {
		Kind string `xml:"kind"`
	}
	if err := xml.Unmarshal(plain, &notification); err != nil {
		return nil, fmt.Errorf("%w: %s is not XML that can be read", ErrNoEvent, braintreePayload)
	}
	if len(notification.Kind) > maxType || !printable(notification.Kind) {
		return nil, fmt.Errorf("%w: the kind of the notification is no name", ErrNoEvent)
	}
	return []Identity{{ID: hexSHA256(plain), Type: notification.Kind, Payload: plain}}, nil
}

// Sign implements Signer.
func (v braintreeVerifier) Sign(d *Delivery) error {
	form, err := url.ParseQuery(string(d.Body))
	if err != nil {
		return fmt.Errorf("the body is not a form: %w", err)
	}
	d.Body = []byte(url.Values{
		braintreePayload:   {form.Get(braintreePayload)},
		braintreeSignature: {v.publicKeys[0] + "|" + hex.EncodeToString(v.sign([]byte(form.Get(braintreePayload))))},
	}.Encode())
	return nil
}

// Stamp implements Stamper.
func (v braintreeVerifier) Stamp(d *Delivery, id string) error {
	form, err := url.ParseQuery(string(d.Body))
	if err != nil {
		return fmt.Errorf("the body is not a form: %w", err)
	}
	plain, err := braintreeForm{payload: form.Get(braintreePayload)}.open()
	if err != nil {
		return err
	}
	var escaped bytes.Buffer
	if err := xml.EscapeText(&escaped, []byte(id)); err != nil {
		return fmt.Errorf("the id cannot be written: %w", err)
	}
	const end = "</notification>"
	stamped := strings.Replace(string(plain), end, "<sample>"+escaped.String()+"</sample>"+end, 1)
	form.Set(braintreePayload, base64.StdEncoding.EncodeToString([]byte(stamped)))
	d.Body = []byte(form.Encode())
	return nil
}

var (
	_ Signer     = braintreeVerifier{}
	_ Explainer  = braintreeVerifier{}
	_ Greeter    = braintreeVerifier{}
	_ Identifier = braintreeVerifier{}
	_ Stamper    = braintreeVerifier{}
)
