// Package payload is how payloads leave this process: encrypted, where the
// config has keys, and in a store of their own, where they are large.
//
// The edge, the worker and every command encrypt and decrypt at one place, on
// the connection to Temporal. Code above the connection sees plain payloads and
// needs to know nothing of it.
package payload

import (
	"errors"
	"fmt"
	"sync/atomic"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// The metadata of an encrypted payload. The data is a nonce of 12 bytes and the
// AES-256-GCM ciphertext of the marshaled plain payload. Temporal's samples for
// other languages use the same form.
const (
	encrypted      = "binary/encrypted" // the encoding
	keyIDMetadata  = "encryption-key-id"
	cipherMetadata = "encryption-cipher"
	cipherName     = "AES/GCM/NoPadding"
)

// referenceType is the message type of a payload that refers to the store.
const referenceType = "temporal.api.sdk.v1.ExternalStorageReference"

// ErrUnknownKey is a payload encrypted with a key that the config does not have.
var ErrUnknownKey = errors.New("no such key in encryption.keys")

// Codec encrypts payloads with its first key and decrypts with any of its keys.
// One without keys leaves payloads as they are. It may be used concurrently.
type Codec struct{ keys atomic.Pointer[[]Key] }

// NewCodec returns a Codec with these keys.
func NewCodec(keys []Key) *Codec {
	c := &Codec{}
	c.Replace(keys)
	return c
}

// Replace has the Codec use other keys from now on.
func (c *Codec) Replace(keys []Key) { c.keys.Store(&keys) }

// On reports whether the Codec encrypts.
func (c *Codec) On() bool { return len(*c.keys.Load()) > 0 }

var _ converter.PayloadCodec = (*Codec)(nil)

// Encode implements converter.PayloadCodec. A payload that is encrypted already
// stays as it is. So does a reference to the store: what it refers to is
// encrypted there.
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, c.seal)
}

// Seal encrypts bytes as Encode does a payload. Where the Codec does not encrypt
// it returns them as they are.
func (c *Codec) Seal(plain []byte) ([]byte, error) {
	if !c.On() {
		return plain, nil
	}
	sealed, err := c.seal(&commonpb.Payload{Data: plain})
	if err != nil {
		return nil, err
	}
	return proto.Marshal(sealed)
}

// Open returns what Seal has encrypted. The error wraps ErrUnknownKey where a key
// is missing.
func (c *Codec) Open(sealed []byte) ([]byte, error) {
	p := &commonpb.Payload{}
	if err := proto.Unmarshal(sealed, p); err != nil || !IsEncrypted(p) {
		return nil, errors.New("these bytes are not encrypted as they should be")
	}
	opened, err := c.open(p)
	return opened.GetData(), err
}

// Decode implements converter.PayloadCodec. Payloads that are not encrypted stay
// as they are. The error wraps ErrUnknownKey where a key is missing.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, c.open)
}

func each(payloads []*commonpb.Payload, do func(*commonpb.Payload) (*commonpb.Payload, error)) ([]*commonpb.Payload, error) {
	done := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if done[i], err = do(p); err != nil {
			return nil, err
		}
	}
	return done, nil
}

func (c *Codec) seal(p *commonpb.Payload) (*commonpb.Payload, error) {
	keys := *c.keys.Load()
	if len(keys) == 0 || p == nil || IsEncrypted(p) || isReference(p) {
		return p, nil
	}
	plain, err := proto.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encrypt a payload: %w", err)
	}
	return keys[0].seal(plain), nil
}

func (k Key) seal(plain []byte) *commonpb.Payload {
	nonce := random(k.aead.NonceSize())
	return &commonpb.Payload{
		Metadata: map[string][]byte{
			converter.MetadataEncoding: []byte(encrypted),
			cipherMetadata:             []byte(cipherName),
			keyIDMetadata:              []byte(k.id),
		},
		Data: k.aead.Seal(nonce, nonce, plain, nil),
	}
}

func (c *Codec) open(p *commonpb.Payload) (*commonpb.Payload, error) {
	if !IsEncrypted(p) {
		return p, nil
	}
	k, err := c.keyOf(p)
	if err != nil {
		return nil, err
	}
	size := k.aead.NonceSize()
	if len(p.GetData()) < size {
		return nil, fmt.Errorf("decrypt a payload: it has %d bytes, and its nonce alone takes %d", len(p.GetData()), size)
	}
	plain, err := k.aead.Open(nil, p.GetData()[:size], p.GetData()[size:], nil)
	if err != nil {
		return nil, fmt.Errorf("decrypt a payload with key %q: it was changed after it was encrypted: %w", k.id, err)
	}
	opened := &commonpb.Payload{}
	if err := proto.Unmarshal(plain, opened); err != nil {
		return nil, fmt.Errorf("decrypt a payload with key %q: %w", k.id, err)
	}
	return opened, nil
}

// keyOf returns the key that a payload is encrypted with.
func (c *Codec) keyOf(p *commonpb.Payload) (Key, error) {
	id := KeyID(p)
	for _, k := range *c.keys.Load() {
		if k.id == id {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("a payload is encrypted with key %q: %w; add that key to encryption.keys, behind the first one", id, ErrUnknownKey)
}

// IsEncrypted reports whether a Codec has encrypted the payload.
func IsEncrypted(p *commonpb.Payload) bool {
	return string(p.GetMetadata()[converter.MetadataEncoding]) == encrypted
}

// KeyID returns the id of the key that a payload is encrypted with.
func KeyID(p *commonpb.Payload) string { return string(p.GetMetadata()[keyIDMetadata]) }

func isReference(p *commonpb.Payload) bool {
	return string(p.GetMetadata()[converter.MetadataMessageType]) == referenceType
}
