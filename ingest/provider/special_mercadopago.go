package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	mercadopagoHeader  = "x-signature"
	mercadopagoRequest = "x-request-id"
	mercadopagoID      = "data.id" // a parameter of the URL
	// mercadopagoSeconds is the length of the longest time in seconds: what
	// is longer is in milliseconds. Mercado Pago has sent both.
	mercadopagoSeconds = 11
)

// mercadopago signs the id of what changed, which stands in the URL, the id of
// the request and a time.
//
// The body is not signed. What it says of the id has to be what the URL says,
// and everything else has to be looked up at Mercado Pago.
type mercadopago struct{}

// Bind implements Scheme. Mercado Pago names no window for its times, so there
// is none by default.
func (mercadopago) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return mercadopagoVerifier{
		sharedSecrets: secrets,
		seconds:       bindTime(b, "s", 0),
		milliseconds:  bindTime(b, "ms", 0),
	}, err
}

type mercadopagoVerifier struct {
	sharedSecrets
	seconds, milliseconds timestamp
}

// Verify implements Verifier.
func (v mercadopagoVerifier) Verify(_ context.Context, d *Delivery) error {
	at, signatures, err := readMercadopago(d)
	if err != nil {
		return err
	}
	// The documentation says that letters of the id are signed in lower case;
	// Mercado Pago's own library signs the id as it is given.
	contents := make([][]byte, 2)
	for i, spell := range []func(string) string{strings.ToLower, strings.Clone} {
		if contents[i], err = mercadopagoManifest(d, at, spell); err != nil {
			return err
		}
	}
	if err := v.check(signatures, contents...); err != nil {
		return err
	}
	if err := mercadopagoSameID(d); err != nil {
		return err
	}
	if len(at) > mercadopagoSeconds {
		return v.milliseconds.check(at, d.ReceivedAt)
	}
	return v.seconds.check(at, d.ReceivedAt)
}

// readMercadopago takes the time and the signatures out of ts=…,v1=….
func readMercadopago(d *Delivery) (at string, signatures [][]byte, err error) {
	text, err := oneHeader(d.Header, mercadopagoHeader)
	if err != nil {
		return "", nil, err
	}
	for item := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		switch key {
		case "ts":
			if at != "" {
				return "", nil, fmt.Errorf("%w: header %s holds ts twice", ErrMalformed, mercadopagoHeader)
			}
			at = value
		case "v1":
			signature, err := hex.DecodeString(value)
			if err != nil || len(signature) == 0 {
				return "", nil, fmt.Errorf("%w: v1 of header %s is not hex", ErrMalformed, mercadopagoHeader)
			}
			if signatures = append(signatures, signature); len(signatures) > maxItems {
				return "", nil, fmt.Errorf("%w: header %s holds more than %d signatures", ErrMalformed, mercadopagoHeader, maxItems)
			}
		}
	}
	if at == "" || len(signatures) == 0 {
		return "", nil, fmt.Errorf("%w: header %s holds no ts and v1", ErrMalformed, mercadopagoHeader)
	}
	return at, signatures, nil
}

// mercadopagoSameID refuses a body that speaks of another id than the signed
// one: a body that somebody else put under a signature.
func mercadopagoSameID(d *Delivery) error {
	if len(d.Body) == 0 {
		return nil
	}
	top, err := membersOf("the body", d.Body)
	if err != nil {
		return err
	}
	if top["data"].raw == nil {
		return nil
	}
	data, err := membersOf("data of the body", top["data"].raw)
	if err != nil {
		return err
	}
	told := data["id"].scalar()
	if told == "" {
		return nil
	}
	if signed, _ := (&view{Delivery: d}).queryParameter(mercadopagoID); !strings.EqualFold(told, signed) {
		return fmt.Errorf("%w: data.id of the body is %q, and of the URL, which is signed, %q", ErrMismatch, clip(told), clip(signed))
	}
	return nil
}

// SignedContent implements Explainer.
func (v mercadopagoVerifier) SignedContent(d *Delivery) ([]byte, error) {
	at, _, err := readMercadopago(d)
	if err != nil {
		return nil, err
	}
	return mercadopagoManifest(d, at, strings.ToLower)
}

// mercadopagoManifest is what is signed. What is not there is left out, its
// name with it.
func mercadopagoManifest(d *Delivery, at string, spell func(id string) string) ([]byte, error) {
	request, err := oneHeader(d.Header, mercadopagoRequest)
	if err != nil && !errors.Is(err, ErrUnsigned) {
		return nil, err
	}
	id, _ := (&view{Delivery: d}).queryParameter(mercadopagoID)
	var manifest strings.Builder
	for _, part := range [][2]string{{"id", spell(id)}, {"request-id", request}, {"ts", at}} {
		if part[1] != "" {
			manifest.WriteString(part[0] + ":" + part[1] + ";")
		}
	}
	return []byte(manifest.String()), nil
}

// Sign implements Signer.
func (v mercadopagoVerifier) Sign(d *Delivery) error {
	putQuery(d, mercadopagoID, gjson.GetBytes(d.Body, "data.id").String())
	at := v.milliseconds.format(d.ReceivedAt)
	d.Header.Set(mercadopagoRequest, hexSHA256(append([]byte(at), d.Body...))[:32])
	d.Header.Set(mercadopagoHeader, "ts="+at+",v1=00")
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	d.Header.Set(mercadopagoHeader, "ts="+at+",v1="+hex.EncodeToString(v.sign(content)))
	return nil
}

var (
	_ Signer    = mercadopagoVerifier{}
	_ Explainer = mercadopagoVerifier{}
)
