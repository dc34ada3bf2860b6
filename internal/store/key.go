package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Key encrypts columns that hold secrets, with AES-256-GCM. Whoever reads the
// database, or a backup of it, has no use for what it sealed.
type Key struct {
	aead cipher.AEAD
	id   [idSize]byte
}

const (
	sealedV1 = 1 // the first byte: the layout is version, id, nonce, ciphertext and tag
	idSize   = 4 // tells a wrong key from damage
)

// ErrNotOpened is what Open returns for what it cannot decrypt.
var ErrNotOpened = errors.New("not sealed with this key for this place, or changed since")

// ParseKey reads a key of 32 bytes, in base64 or hexadecimal. Its error never
// holds the text.
func ParseKey(text string) (*Key, error) {
	text = strings.TrimSpace(text)
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 32 {
		if raw, err = base64.StdEncoding.DecodeString(text); err != nil {
			raw, err = base64.RawStdEncoding.DecodeString(text)
		}
	}
	if err != nil || len(raw) != 32 {
		return nil, errors.New("the key is not 32 bytes in base64 or hexadecimal; make one with: hookyard keygen")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("hookyard store key id:"), raw...))
	return &Key{aead: aead, id: [idSize]byte(sum[:])}, nil
}

// Seal encrypts a secret. The place, such as "endpoints.secret:ID", must be given
// to Open again, so that a value copied to another row or column does not open.
func (k *Key) Seal(secret []byte, place string) []byte {
	nonce := make([]byte, k.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	sealed := append([]byte{sealedV1}, k.id[:]...)
	sealed = append(sealed, nonce...)
	return k.aead.Seal(sealed, nonce, secret, []byte(place))
}

// Open returns what Seal was given. Its error is ErrNotOpened.
func (k *Key) Open(sealed []byte, place string) ([]byte, error) {
	head := 1 + idSize + k.aead.NonceSize()
	switch {
	case len(sealed) < head+k.aead.Overhead() || sealed[0] != sealedV1:
		return nil, fmt.Errorf("%s: %w", place, ErrNotOpened)
	case [idSize]byte(sealed[1:]) != k.id:
		return nil, fmt.Errorf("%s was sealed with another key than store.key holds now: %w", place, ErrNotOpened)
	}
	secret, err := k.aead.Open(nil, sealed[1+idSize:head], sealed[head:], []byte(place))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, ErrNotOpened)
	}
	return secret, nil
}
