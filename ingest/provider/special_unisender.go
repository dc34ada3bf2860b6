package provider

import (
	"context"
	"crypto/md5" //nolint:gosec // Unisender Go signs with MD5
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/sjson"
)

// unisenderGo puts into the body's "auth" the MD5 of that body with the API
// key in the place of the digest. MD5 is what it has; there is no better
// signature to ask for.
type unisenderGo struct{}

// Bind implements Scheme.
func (unisenderGo) Bind(b Binding) (Verifier, error) {
	secrets, err := decodeSecrets(b, "utf8")
	return unisenderVerifier{secrets}, err
}

type unisenderVerifier struct{ secrets [][]byte }

// Verify implements Verifier.
func (v unisenderVerifier) Verify(_ context.Context, d *Delivery) error {
	auth, err := unisenderAuth(d.Body)
	if err != nil {
		return err
	}
	text, ok := auth.text()
	if !ok || text == "" {
		return fmt.Errorf(`%w: "auth" is missing or empty in the body`, ErrUnsigned)
	}
	matched := 0
	for _, secret := range v.secrets {
		digest, err := unisenderDigest(d.Body, auth, secret)
		if err != nil {
			return err
		}
		matched |= subtle.ConstantTimeCompare([]byte(strings.ToLower(text)), []byte(digest))
	}
	if matched == 0 {
		return errMismatchUnder(len(v.secrets))
	}
	return nil
}

// Sign implements Signer.
func (v unisenderVerifier) Sign(d *Delivery) error {
	body, err := sjson.SetBytes(d.Body, "auth", "")
	if err != nil {
		return fmt.Errorf("auth cannot be written: %w", err)
	}
	auth, err := unisenderAuth(body)
	if err != nil {
		return err
	}
	digest, err := unisenderDigest(body, auth, v.secrets[0])
	if err != nil {
		return err
	}
	d.Body, err = sjson.SetBytes(body, "auth", digest)
	return err
}

func unisenderAuth(body []byte) (member, error) {
	top, err := membersOf("the body", body)
	return top["auth"], err
}

// unisenderDigest keeps every byte around the value as it came.
func unisenderDigest(body []byte, auth member, secret []byte) (string, error) {
	key, err := json.Marshal(string(secret))
	if err != nil {
		return "", fmt.Errorf("%w: the secret is not text", ErrMismatch)
	}
	sum := md5.New() //nolint:gosec // as above
	sum.Write(body[:auth.start])
	sum.Write(key)
	sum.Write(body[auth.start+len(auth.raw):])
	return hex.EncodeToString(sum.Sum(nil)), nil
}

var _ Signer = unisenderVerifier{}
