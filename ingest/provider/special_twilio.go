package provider

import (
	"context"
	"crypto/sha1" //nolint:gosec // Twilio signs with HMAC-SHA1
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	twilioHeader = "X-Twilio-Signature"
	// twilioBodyHash is the query parameter that binds a body which is no
	// form to the URL, and so to the signature.
	twilioBodyHash = "bodySHA256"
)

// twilio signs the URL and, of a form, its parameters: sorted by name, each
// name followed by its value, a value that is repeated once.
//
// Parameters are joined without separators, so "ab=c" and "a=bc" sign alike.
type twilio struct{}

// Bind implements Scheme.
func (twilio) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha1.New)
	return twilioVerifier{secrets}, err
}

type twilioVerifier struct{ sharedSecrets }

// Verify implements Verifier.
func (v twilioVerifier) Verify(_ context.Context, d *Delivery) error {
	signature, err := oneBase64(d.Header, twilioHeader)
	if err != nil {
		return err
	}
	parameters, err := twilioParameters(d)
	if err != nil {
		return err
	}
	var contents [][]byte
	for _, known := range withUserinfo(d) {
		// Twilio's own libraries try the URL with and without its port.
		for _, u := range portForms(known) {
			contents = append(contents, []byte(u+parameters))
		}
	}
	return v.check([][]byte{signature}, contents...)
}

// SignedContent implements Explainer.
func (v twilioVerifier) SignedContent(d *Delivery) ([]byte, error) {
	parameters, err := twilioParameters(d)
	return []byte(d.URL + parameters), err
}

// Sign implements Signer. A body that is no form is bound to the URL first.
func (v twilioVerifier) Sign(d *Delivery) error {
	if len(d.Body) > 0 && !isForm(d.Header) {
		putQuery(d, twilioBodyHash, hexSHA256(d.Body))
	}
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	d.Header.Set(twilioHeader, base64.StdEncoding.EncodeToString(v.sign(content)))
	return nil
}

// twilioParameters returns what is signed after the URL.
func twilioParameters(d *Delivery) (string, error) {
	u, err := url.Parse(d.URL)
	if err != nil {
		return "", fmt.Errorf("%w: the URL cannot be read", ErrMalformed)
	}
	hashes := u.Query()[twilioBodyHash]
	if err := twilioCheckBody(d.Body, hashes); err != nil {
		return "", err
	}
	if len(hashes) > 0 && !isForm(d.Header) {
		return "", nil // the hash in the URL covers it
	}
	form, err := formBody(d)
	if err != nil {
		return "", fmt.Errorf("%w, and the URL has no %s", err, twilioBodyHash)
	}
	for name, values := range form {
		slices.Sort(values)
		form[name] = slices.Compact(values)
	}
	return joinSorted(form, "", ""), nil
}

func twilioCheckBody(body []byte, hashes []string) error {
	if len(hashes) == 0 {
		return nil
	}
	if len(hashes) > 1 || !isHexSHA256(hashes[0], body) {
		return fmt.Errorf("%w: the body is not the one whose hash is %s in the URL", ErrMismatch, twilioBodyHash)
	}
	return nil
}

// portForms returns the URL as it is, without its port, and with the default
// port of its scheme, without repeating itself.
func portForms(text string) []string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return []string{text}
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	userinfo, host := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		userinfo, host = authority[:at+1], authority[at+1:]
	}
	bare := host
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		bare = host[:colon]
	}
	port := ":443"
	if scheme == "http" {
		port = ":80"
	}
	forms := []string{text}
	for _, h := range []string{bare, bare + port} {
		if form := scheme + "://" + userinfo + h + path; !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}

var (
	_ Signer    = twilioVerifier{}
	_ Explainer = twilioVerifier{}
)
