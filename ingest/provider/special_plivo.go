package provider

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// plivoMostSignatures is far above the number of tokens in rotation.
const plivoMostSignatures = 20

// plivo signs, in version 3, the URL with its query sorted, the form's sorted
// parameters and a nonce; in version 2 the URL without its query and the
// nonce, so that nothing of the body is authentic.
//
// The signature of a subaccount's event comes twice: under the subaccount's
// token, and in a header of its own (Ma) under the main account's.
type plivo struct {
	version string // V3 or V2
	content func(d *Delivery, nonce string) ([]byte, error)
}

// Bind implements Scheme.
func (p plivo) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return plivoVerifier{plivo: p, sharedSecrets: secrets}, err
}

type plivoVerifier struct {
	plivo
	sharedSecrets
}

func (p plivo) header() string     { return "X-Plivo-Signature-" + p.version }
func (p plivo) mainHeader() string { return "X-Plivo-Signature-Ma-" + p.version }
func (p plivo) nonce() string      { return p.header() + "-Nonce" }

// Verify implements Verifier.
func (v plivoVerifier) Verify(_ context.Context, d *Delivery) error {
	signatures, err := v.signatures(d.Header)
	if err != nil {
		return err
	}
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	return v.check(signatures, content)
}

// signatures are the items of both headers, one for each token in rotation.
func (p plivo) signatures(h http.Header) ([][]byte, error) {
	var signatures [][]byte
	for _, name := range []string{p.header(), p.mainHeader()} {
		if len(h.Values(name)) == 0 {
			continue
		}
		text, err := oneHeader(h, name)
		if err != nil {
			return nil, err
		}
		for item := range strings.SplitSeq(text, ",") {
			if len(signatures) == plivoMostSignatures {
				return nil, fmt.Errorf("%w: header %s holds more than %d signatures", ErrMalformed, name, plivoMostSignatures)
			}
			signature, err := decodeBase64("header "+name, strings.TrimSpace(item))
			if err != nil {
				return nil, err
			}
			signatures = append(signatures, signature)
		}
	}
	if len(signatures) == 0 {
		return nil, fmt.Errorf("%w: header %s or %s is missing", ErrUnsigned, p.header(), p.mainHeader())
	}
	return signatures, nil
}

// SignedContent implements Explainer.
func (v plivoVerifier) SignedContent(d *Delivery) ([]byte, error) {
	nonce, err := oneHeader(d.Header, v.nonce())
	if err != nil {
		return nil, err
	}
	return v.content(d, nonce)
}

// Sign implements Signer.
func (v plivoVerifier) Sign(d *Delivery) error {
	d.Header.Set(v.nonce(), rand.Text())
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	d.Header.Set(v.header(), base64.StdEncoding.EncodeToString(v.sign(content)))
	return nil
}

// plivoV3Content is base "?" query "." form "." nonce. Without a form there is
// no dot before it, and without a form and a query no question mark either.
func plivoV3Content(d *Delivery, nonce string) ([]byte, error) {
	base, raw, _ := strings.Cut(d.URL, "?")
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL's query cannot be read", ErrMalformed)
	}
	form, err := formBody(d)
	if err != nil {
		return nil, err
	}
	content := base
	if len(query) > 0 || len(form) > 0 {
		content += "?" + joinSorted(query, "=", "&")
	}
	if len(query) > 0 && len(form) > 0 {
		content += "."
	}
	return []byte(content + joinSorted(form, "", "") + "." + nonce), nil
}

func plivoV2Content(d *Delivery, nonce string) ([]byte, error) {
	base, _, _ := strings.Cut(d.URL, "?")
	return []byte(base + nonce), nil
}

var (
	_ Signer    = plivoVerifier{}
	_ Explainer = plivoVerifier{}
)
