package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const (
	recurlyHeader    = "recurly-signature"
	recurlyTolerance = 5 * time.Minute // of Recurly's own libraries
)

// recurly sends a time and, without names, a signature for each secret that is
// in use: TIME,HEX,HEX.
type recurly struct{}

// Bind implements Scheme.
func (recurly) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return recurlyVerifier{sharedSecrets: secrets, time: bindTime(b, "ms", recurlyTolerance)}, err
}

type recurlyVerifier struct {
	sharedSecrets
	time timestamp
}

// Verify implements Verifier.
func (v recurlyVerifier) Verify(_ context.Context, d *Delivery) error {
	text, err := oneHeader(d.Header, recurlyHeader)
	if err != nil {
		return err
	}
	at, rest, _ := strings.Cut(text, ",")
	var signatures [][]byte
	for item := range strings.SplitSeq(rest, ",") {
		if signature, err := hex.DecodeString(strings.TrimSpace(item)); err == nil && len(signature) > 0 {
			signatures = append(signatures, signature)
		}
		if len(signatures) > maxItems {
			return fmt.Errorf("%w: header %s holds more than %d signatures", ErrMalformed, recurlyHeader, maxItems)
		}
	}
	if len(signatures) == 0 {
		return fmt.Errorf("%w: header %s holds no hex signature after its time", ErrMalformed, recurlyHeader)
	}
	if err := v.check(signatures, recurlyContent(at, d.Body)); err != nil {
		return err
	}
	return v.time.check(at, d.ReceivedAt)
}

// SignedContent implements Explainer.
func (v recurlyVerifier) SignedContent(d *Delivery) ([]byte, error) {
	text, err := oneHeader(d.Header, recurlyHeader)
	if err != nil {
		return nil, err
	}
	at, _, _ := strings.Cut(text, ",")
	return recurlyContent(at, d.Body), nil
}

// Sign implements Signer.
func (v recurlyVerifier) Sign(d *Delivery) error {
	at := v.time.format(d.ReceivedAt)
	d.Header.Set(recurlyHeader, at+","+hex.EncodeToString(v.sign(recurlyContent(at, d.Body))))
	return nil
}

func recurlyContent(at string, body []byte) []byte {
	return append([]byte(at+"."), body...)
}

var (
	_ Signer    = recurlyVerifier{}
	_ Explainer = recurlyVerifier{}
)
