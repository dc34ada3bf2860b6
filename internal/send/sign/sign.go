// Package sign signs what is sent, as Standard Webhooks has it: a delivery
// proves who sent it, and when.
//
// The specification is at
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
package sign

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Scheme is how a delivery is signed.
type Scheme string

// The schemes.
const (
	V1  Scheme = "v1"  // HMAC-SHA256, under a secret that both sides have
	V1a Scheme = "v1a" // ed25519: the receiver has the public key alone
)

// The headers of a delivery.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	secretPrefix  = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"

	secretSize                    = 32
	smallestSecret, largestSecret = 24, 64 // of the specification
)

// Key is the secret of one endpoint for one scheme. It never prints.
type Key struct {
	scheme  Scheme
	secret  []byte             // of V1
	private ed25519.PrivateKey // of V1a
}

// NewKey makes a key.
func NewKey(s Scheme) (Key, error) {
	switch s {
	case V1:
		secret := make([]byte, secretSize)
		_, _ = rand.Read(secret) // never fails
		return Key{scheme: V1, secret: secret}, nil
	case V1a:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return Key{scheme: V1a, private: private}, err
	default:
		return Key{}, fmt.Errorf("there is no scheme %q; use %q or %q", string(s), V1, V1a)
	}
}

// ParseKey reads a key as Secret writes it: "whsec_" and the base64 of 24 to 64
// bytes, or "whsk_" and that of an ed25519 private key or its seed. Its error
// never holds the text.
func ParseKey(text string) (Key, error) {
	if encoded, ok := strings.CutPrefix(text, privatePrefix); ok {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		switch {
		case err == nil && len(raw) == ed25519.SeedSize:
			return Key{scheme: V1a, private: ed25519.NewKeyFromSeed(raw)}, nil
		case err == nil && len(raw) == ed25519.PrivateKeySize:
			return Key{scheme: V1a, private: ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])}, nil
		}
		return Key{}, errors.New("after whsk_ there has to be the base64 of an ed25519 private key")
	}
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) < smallestSecret || len(raw) > largestSecret {
		return Key{}, fmt.Errorf("a secret is whsec_ and the base64 of %d to %d bytes", smallestSecret, largestSecret)
	}
	return Key{scheme: V1, secret: raw}, nil
}

// Scheme returns what the key signs for.
func (k Key) Scheme() Scheme { return k.scheme }

// Secret returns the whole key as text. Whoever has it can sign.
func (k Key) Secret() string {
	if k.scheme == V1a {
		return privatePrefix + base64.StdEncoding.EncodeToString(k.private)
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(k.secret)
}

// Verifier returns what the receiver needs: the secret of V1, the public key
// ("whpk_…") of V1a.
func (k Key) Verifier() string {
	if k.scheme != V1a {
		return k.Secret()
	}
	public, _ := k.private.Public().(ed25519.PublicKey)
	return publicPrefix + base64.StdEncoding.EncodeToString(public)
}

// String hides the key.
func (Key) String() string { return "<secret>" }

// GoString hides the key.
func (Key) GoString() string { return "<secret>" }

// Sign sets the headers of a delivery that is attempted at the given time. There
// is one signature for each key, so that a receiver that knows any of them
// verifies it: the new one and, for a while, the one before it.
//
// The id must hold no dot: "<id>.<time>.<body>" is signed, and one signature
// must not fit two messages.
func Sign(h http.Header, id string, at time.Time, body []byte, keys []Key) error {
	if id == "" || strings.Contains(id, ".") {
		return fmt.Errorf("message id %q: want one without a dot", id)
	}
	if len(keys) == 0 {
		return errors.New("the endpoint has no secret to sign with")
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	content := append([]byte(id+"."+timestamp+"."), body...)
	signatures := make([]string, len(keys))
	for i, k := range keys {
		signatures[i] = string(k.scheme) + "," + base64.StdEncoding.EncodeToString(k.sign(content))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
}

func (k Key) sign(content []byte) []byte {
	if k.scheme == V1a {
		return ed25519.Sign(k.private, content)
	}
	mac := hmac.New(sha256.New, k.secret)
	mac.Write(content)
	return mac.Sum(nil)
}
