package payload

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// keySize is the length of a key in bytes, that of AES-256.
const keySize = 32

// Key encrypts payloads with AES-256-GCM. Its id goes with everything that it
// encrypts, so that several keys can be in use.
type Key struct {
	id    string // 16 hexadecimal digits, derived from the key
	aead  cipher.AEAD
	names []byte // the key of the names in the store
}

// NewKey returns a new key as text, as ParseKey reads it.
func NewKey() string {
	return base64.StdEncoding.EncodeToString(random(keySize))
}

// ParseKey reads a key of 32 bytes in base64, as `hookyard keygen` prints it.
// Its error does not hold the text.
func ParseKey(text string) (Key, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != keySize {
		return Key{}, fmt.Errorf("want a key of %d bytes in base64; `hookyard keygen` makes one", keySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return Key{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return Key{}, err
	}
	return Key{id: hex.EncodeToString(derived(raw, "hookyard payload key id")[:8]), aead: aead, names: derived(raw, "hookyard payload names")}, nil
}

// ID names the key. It tells nothing about the key and may be printed.
func (k Key) ID() string { return k.id }

// String returns the id, so that no key is printed by accident.
func (k Key) String() string { return "key " + k.id }

func derived(key []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // it never fails: crypto/rand ends the program instead
	return b
}
