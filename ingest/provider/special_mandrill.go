package provider

import (
	"context"
	"crypto/sha1" //nolint:gosec // Mandrill signs with HMAC-SHA1
	"encoding/base64"
)

const mandrillHeader = "X-Mandrill-Signature"

// mandrill signs the URL it was given, user and password included, and the
// form's parameters: sorted by name, each name followed by its value.
type mandrill struct{}

// Bind implements Scheme.
func (mandrill) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha1.New)
	return mandrillVerifier{secrets}, err
}

type mandrillVerifier struct{ sharedSecrets }

// Verify implements Verifier.
func (v mandrillVerifier) Verify(_ context.Context, d *Delivery) error {
	signature, err := oneBase64(d.Header, mandrillHeader)
	if err != nil {
		return err
	}
	form, err := formBody(d)
	if err != nil {
		return err
	}
	var contents [][]byte
	for _, u := range withUserinfo(d) {
		contents = append(contents, []byte(u+joinSorted(form, "", "")))
	}
	return v.check([][]byte{signature}, contents...)
}

// SignedContent implements Explainer.
func (v mandrillVerifier) SignedContent(d *Delivery) ([]byte, error) {
	form, err := formBody(d)
	return []byte(d.URL + joinSorted(form, "", "")), err
}

// Sign implements Signer.
func (v mandrillVerifier) Sign(d *Delivery) error {
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	d.Header.Set(mandrillHeader, base64.StdEncoding.EncodeToString(v.sign(content)))
	return nil
}

var (
	_ Signer    = mandrillVerifier{}
	_ Explainer = mandrillVerifier{}
)
