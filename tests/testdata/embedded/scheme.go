package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base32"
	"errors"
	"fmt"

	"github.com/hookyard/hookyard/ingest/provider"
)

const sealHeader = "Beta-Seal"

// betaSeal signs the length of the body and the body, in base32, which no
// provider file can say.
type betaSeal struct{}

// Bind implements provider.Scheme.
func (betaSeal) Bind(b provider.Binding) (provider.Verifier, error) {
	if len(b.Secrets) == 0 {
		return nil, errors.New("beta-seal signs with a secret; give one")
	}
	return boundSeal{b.Secrets}, nil
}

type boundSeal struct{ secrets []string }

func seal(secret string, body []byte) string {
	mac := hmac.New(sha512.New, []byte(secret))
	fmt.Fprintf(mac, "%d:%s", len(body), body)
	return base32.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Verify implements provider.Verifier.
func (s boundSeal) Verify(_ context.Context, d *provider.Delivery) error {
	got := d.Header.Get(sealHeader)
	if got == "" {
		return fmt.Errorf("%w: no header %s", provider.ErrUnsigned, sealHeader)
	}
	for _, secret := range s.secrets {
		if hmac.Equal([]byte(seal(secret, d.Body)), []byte(got)) {
			return nil
		}
	}
	return provider.ErrMismatch
}

// Sign implements provider.Signer.
func (s boundSeal) Sign(d *provider.Delivery) error {
	d.Header.Set(sealHeader, seal(s.secrets[0], d.Body))
	return nil
}
