package provider

import (
	"cmp"
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"time"
)

// sharedSecrets are the secrets of one source, for a provider that signs by
// HMAC.
type sharedSecrets struct {
	hash    func() hash.Hash
	secrets [][]byte
}

func bindSharedSecrets(b Binding, encoding string, newHash func() hash.Hash) (sharedSecrets, error) {
	secrets, err := decodeSecrets(b, encoding)
	return sharedSecrets{hash: newHash, secrets: secrets}, err
}

// decodeSecrets takes at least one secret, none of them empty.
func decodeSecrets(b Binding, encoding string) ([][]byte, error) {
	if len(b.Secrets) == 0 {
		return nil, errors.New("no secret: without one nothing can be verified")
	}
	var secrets [][]byte
	for i, text := range b.Secrets {
		secret, err := SecretSpec{Encoding: encoding}.decodeSecret(text)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

func (s sharedSecrets) sum(secret, content []byte) []byte {
	mac := hmac.New(s.hash, secret)
	mac.Write(content)
	return mac.Sum(nil)
}

// sign returns the content's signature under the first secret.
func (s sharedSecrets) sign(content []byte) []byte { return s.sum(s.secrets[0], content) }

// check reports ErrMismatch unless a signature is that of a content under one
// of the secrets.
func (s sharedSecrets) check(signatures [][]byte, contents ...[]byte) error {
	matched := false
	for _, secret := range s.secrets {
		for _, content := range contents {
			want := s.sum(secret, content)
			for _, signature := range signatures {
				matched = hmac.Equal(signature, want) || matched
			}
		}
	}
	if !matched {
		return errMismatchUnder(len(s.secrets))
	}
	return nil
}

func errMismatchUnder(secrets int) error {
	return fmt.Errorf("%w under any of the %d configured secrets", ErrMismatch, secrets)
}

// oneHeader returns the value of a header that a signature needs. Twice is
// refused: which of the two the provider meant cannot be known.
func oneHeader(h http.Header, name string) (string, error) {
	switch values := h[http.CanonicalHeaderKey(name)]; {
	case len(values) > 1:
		return "", fmt.Errorf("%w: header %s is there %d times", ErrMalformed, name, len(values))
	case len(values) == 1 && values[0] != "":
		return values[0], nil
	}
	return "", fmt.Errorf("%w: header %s is missing or empty", ErrUnsigned, name)
}

// oneBase64 returns the bytes of a header that holds base64.
func oneBase64(h http.Header, name string) ([]byte, error) {
	text, err := oneHeader(h, name)
	if err != nil {
		return nil, err
	}
	return decodeBase64("header "+name, text)
}

func decodeBase64(where, text string) ([]byte, error) {
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(decoded) == 0 {
		return nil, fmt.Errorf("%w: %s holds no base64 signature", ErrMalformed, where)
	}
	return decoded, nil
}

func decodeHex(where, text string) ([]byte, error) {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) == 0 {
		return nil, fmt.Errorf("%w: %s holds no hex signature", ErrMalformed, where)
	}
	return decoded, nil
}

// bindTime returns how a scheme's time is held against the clock: by the
// source's tolerance, or else by the usual one. A usual one of 0 means that the
// time is never held against the clock.
func bindTime(b Binding, unit string, usual time.Duration) timestamp {
	tolerance := cmp.Or(b.Tolerance, usual)
	if tolerance <= 0 {
		tolerance = time.Duration(noTolerance)
	}
	return timestamp{unit: unit, tolerance: tolerance}
}
