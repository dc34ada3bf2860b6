package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"time"

	"github.com/tidwall/sjson"
)

// mailgunTolerance is a little more than the eight hours for which Mailgun
// sends a delivery again, in case it does so under the first time.
const mailgunTolerance = 9 * time.Hour

// mailgun signs a time and a random token, and sends both beside the event, as
// "signature" of a JSON body or as three fields of a form, which is a multipart
// one where a mail has attachments.
//
// The event itself is not signed. Whoever has seen one delivery can make up
// others within the tolerance, so the sender has to be known otherwise too:
// by an unguessable path or an address list.
type mailgun struct{}

// Bind implements Scheme.
func (mailgun) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return mailgunVerifier{sharedSecrets: secrets, time: bindTime(b, "s", mailgunTolerance)}, err
}

type mailgunVerifier struct {
	sharedSecrets
	time timestamp
}

// mailgunSignature is what Mailgun sends beside the event.
type mailgunSignature struct{ timestamp, token, signature string }

// Verify implements Verifier.
func (v mailgunVerifier) Verify(_ context.Context, d *Delivery) error {
	sent, err := readMailgun(d)
	if err != nil {
		return err
	}
	if sent.timestamp == "" || sent.token == "" || sent.signature == "" {
		return fmt.Errorf("%w: the body holds no timestamp, token and signature", ErrUnsigned)
	}
	signature, err := decodeHex("the body", sent.signature)
	if err != nil {
		return err
	}
	if err := v.check([][]byte{signature}, []byte(sent.timestamp+sent.token)); err != nil {
		return err
	}
	return v.time.check(sent.timestamp, d.ReceivedAt)
}

// SignedContent implements Explainer.
func (v mailgunVerifier) SignedContent(d *Delivery) ([]byte, error) {
	sent, err := readMailgun(d)
	return []byte(sent.timestamp + sent.token), err
}

// Sign implements Signer. It keeps the token that the body holds.
func (v mailgunVerifier) Sign(d *Delivery) error {
	sent, err := readMailgun(d)
	if err != nil {
		return err
	}
	if sent.token == "" {
		sum := sha256.Sum256(d.Body)
		sent.token = hex.EncodeToString(sum[:25]) // as long as Mailgun's
	}
	sent.timestamp = v.time.format(d.ReceivedAt)
	sent.signature = hex.EncodeToString(v.sign([]byte(sent.timestamp + sent.token)))
	fields := map[string]string{"timestamp": sent.timestamp, "token": sent.token, "signature": sent.signature}
	if isForm(d.Header) {
		return putForm(d, fields)
	}
	return putJSON(d, "signature.", fields)
}

// readMailgun returns the parts of the signature, "" for one that is not
// there.
func readMailgun(d *Delivery) (mailgunSignature, error) {
	if isForm(d.Header) || isMultipart(d.Header) {
		return readMailgunForm(d)
	}
	body, err := membersOf("the body", d.Body)
	if err != nil {
		return mailgunSignature{}, err
	}
	if body["signature"].raw == nil {
		return mailgunSignature{}, nil
	}
	sent, err := membersOf(`"signature"`, body["signature"].raw)
	return mailgunSignature{
		timestamp: sent["timestamp"].scalar(),
		token:     sent["token"].scalar(),
		signature: sent["signature"].scalar(),
	}, err
}

func readMailgunForm(d *Delivery) (sent mailgunSignature, err error) {
	form := formFields(d)
	for name, target := range map[string]*string{
		"timestamp": &sent.timestamp, "token": &sent.token, "signature": &sent.signature,
	} {
		if len(form[name]) > 1 {
			return mailgunSignature{}, fmt.Errorf("%w: the form has %q twice", ErrMalformed, name)
		}
		*target = form.Get(name)
	}
	return sent, nil
}

// putForm sets fields of a form body.
func putForm(d *Delivery, fields map[string]string) error {
	form, err := url.ParseQuery(string(d.Body))
	if err != nil {
		return fmt.Errorf("the body is not a form: %w", err)
	}
	for name, value := range fields {
		form.Set(name, value)
	}
	d.Body = []byte(form.Encode())
	return nil
}

// putJSON sets texts of a JSON body at prefix and name.
func putJSON(d *Delivery, prefix string, fields map[string]string) error {
	for _, name := range sortedKeys(fields) {
		body, err := sjson.SetBytes(d.Body, prefix+name, fields[name])
		if err != nil {
			return fmt.Errorf("%s%s cannot be written: %w", prefix, name, err)
		}
		d.Body = body
	}
	return nil
}

var (
	_ Signer    = mailgunVerifier{}
	_ Explainer = mailgunVerifier{}
)
