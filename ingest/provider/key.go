package provider

import (
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // as above, of providers that still sign so
	"crypto/sha1" //nolint:gosec // providers that still sign with HMAC-SHA1 are verified as they sign
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// key is one secret, ready for its algorithm. Every comparison takes the same
// time whatever the signature is.
type key interface {
	// matches reports whether any of the signatures is the content's.
	matches(content pieces, signatures [][]byte) bool
	// sign returns the content's signature, or errCannotSign.
	sign(content pieces) ([]byte, error)
}

var errCannotSign = errors.New("the configured secret is a public key: it verifies and cannot sign")

// algorithms makes a key of a decoded secret, by the algorithm's name.
var algorithms = map[string]func(secret []byte) (key, error){
	"hmac-sha1":   newHMACKey(sha1.New),
	"hmac-sha256": newHMACKey(sha256.New),
	"hmac-sha512": newHMACKey(sha512.New),
	"ed25519":     newEd25519Key,
	"ecdsa-p256":  newECDSAKey,
	"rsa-sha256":  newRSAKey,
	"md5":         newDigestKey(md5.New),
	"sha1":        newDigestKey(sha1.New),
	"sha256":      newDigestKey(sha256.New),
	"sha512":      newDigestKey(sha512.New),
	"token":       func(s []byte) (key, error) { return tokenKey{s}, nil },
}

// isDigest reports whether the algorithm has no key of its own, so that the
// content has to hold the secret.
func isDigest(algorithm string) bool {
	switch algorithm {
	case "md5", "sha1", "sha256", "sha512":
		return true
	default:
		return false
	}
}

// hmacKey keeps hashes that are keyed already: keying one costs as much as
// hashing two hundred bytes.
type hmacKey struct{ keyed *sync.Pool }

func newHMACKey(hash func() hash.Hash) func(secret []byte) (key, error) {
	return func(secret []byte) (key, error) {
		return hmacKey{&sync.Pool{New: func() any { return hmac.New(hash, secret) }}}, nil
	}
}

func (k hmacKey) sign(content pieces) ([]byte, error) {
	mac := k.keyed.Get().(hash.Hash) //nolint:errcheck // the pool holds nothing else
	defer k.keyed.Put(mac)
	mac.Reset()
	content.writeTo(mac)
	return mac.Sum(nil), nil
}

func (k hmacKey) matches(content pieces, signatures [][]byte) bool {
	want, _ := k.sign(content)
	return anyEqual(signatures, want)
}

// digestKey has no secret: the content holds it.
type digestKey struct{ hash func() hash.Hash }

func newDigestKey(hash func() hash.Hash) func(secret []byte) (key, error) {
	return func([]byte) (key, error) { return digestKey{hash}, nil }
}

func (k digestKey) sign(content pieces) ([]byte, error) {
	digest := k.hash()
	content.writeTo(digest)
	return digest.Sum(nil), nil
}

func (k digestKey) matches(content pieces, signatures [][]byte) bool {
	want, _ := k.sign(content)
	return anyEqual(signatures, want)
}

// tokenKey is the secret itself, sent along with every delivery.
type tokenKey struct{ secret []byte }

func (k tokenKey) sign(pieces) ([]byte, error) { return k.secret, nil }

func (k tokenKey) matches(_ pieces, signatures [][]byte) bool {
	return anyEqual(signatures, k.secret)
}

// anyEqual compares digests, so that not even the length of want shows.
func anyEqual(got [][]byte, want []byte) bool {
	wantSum, equal := sha256.Sum256(want), 0
	for _, g := range got {
		sum := sha256.Sum256(g)
		equal |= subtle.ConstantTimeCompare(sum[:], wantSum[:])
	}
	return equal == 1
}

type ed25519Key struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey // nil when the secret is a public key
}

func newEd25519Key(secret []byte) (key, error) {
	switch len(secret) {
	case ed25519.PublicKeySize:
		return ed25519Key{public: secret}, nil
	case ed25519.PrivateKeySize: // seed and public key, as RFC 8032 tools keep it
		private := ed25519.NewKeyFromSeed(secret[:ed25519.SeedSize])
		if !private.Equal(ed25519.PrivateKey(secret)) {
			return nil, errors.New("its two halves are not a key pair")
		}
		return ed25519Key{public: ed25519.PublicKey(private[ed25519.SeedSize:]), private: private}, nil
	default:
		return nil, fmt.Errorf("it is %d bytes; an Ed25519 public key has %d, a private one %d",
			len(secret), ed25519.PublicKeySize, ed25519.PrivateKeySize)
	}
}

func (k ed25519Key) sign(content pieces) ([]byte, error) {
	if k.private == nil {
		return nil, errCannotSign
	}
	return ed25519.Sign(k.private, content.join()), nil
}

func (k ed25519Key) matches(content pieces, signatures [][]byte) bool {
	message := content.join()
	for _, s := range signatures {
		if ed25519.Verify(k.public, message, s) {
			return true
		}
	}
	return false
}

// encodings turn the bytes of a signature or secret into text and back.
var encodings = map[string]struct {
	encode func([]byte) string
	decode func(string) ([]byte, error)
}{
	"hex":    {hex.EncodeToString, hex.DecodeString},
	"base64": {base64.StdEncoding.EncodeToString, base64.StdEncoding.Strict().DecodeString},
	"utf8":   {func(b []byte) string { return string(b) }, func(s string) ([]byte, error) { return []byte(s), nil }},
}

// decodeSecret turns an operator's text into key bytes. The error never holds
// a part of the text.
func (s SecretSpec) decodeSecret(text string) ([]byte, error) {
	encoding := cmp.Or(s.Unprefixed, s.Encoding)
	for _, prefix := range s.Prefix {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text, encoding = rest, s.Encoding
			break
		}
	}
	secret, err := encodings[encoding].decode(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("it is not %s", encoding)
	case len(secret) == 0:
		return nil, errors.New("it is empty")
	}
	return secret, nil
}

// decodeSecrets returns the key bytes of each make that the text is of, the
// usual one first.
func (s SecretSpec) decodeSecrets(text string) ([][]byte, error) {
	usual, err := s.decodeSecret(text)
	if err != nil {
		return nil, err
	}
	secrets := [][]byte{usual}
	for _, other := range s.Also {
		if secret, ok := other.decode(text); ok {
			secrets = append(secrets, secret)
		}
	}
	return secrets, nil
}

func (m MakeSpec) decode(text string) (secret []byte, ok bool) {
	rest, ok := text, len(m.Prefix) == 0
	for _, prefix := range m.Prefix {
		if rest, ok = strings.CutPrefix(text, prefix); ok {
			break
		}
	}
	if !ok {
		return nil, false
	}
	secret, err := encodings[cmp.Or(m.Encoding, "utf8")].decode(rest)
	return secret, err == nil && len(secret) > 0
}
