package provider

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	larkSignature = "X-Lark-Signature"
	larkTimestamp = "X-Lark-Request-Timestamp"
	larkNonce     = "X-Lark-Request-Nonce"
)

// lark signs with a plain SHA-256 of time, nonce, encrypt key and body, and
// encrypts the body under the same key. The payload of an event is the
// decrypted text.
type lark struct{}

// Bind implements Scheme. The secrets are encrypt keys. Lark names no window
// for its times, so there is none by default.
func (lark) Bind(b Binding) (Verifier, error) {
	secrets, err := decodeSecrets(b, "utf8")
	return larkVerifier{secrets: secrets, time: bindTime(b, "s", 0)}, err
}

type larkVerifier struct {
	secrets [][]byte
	time    timestamp
}

// Verify implements Verifier.
func (v larkVerifier) Verify(_ context.Context, d *Delivery) error {
	text, err := oneHeader(d.Header, larkSignature)
	if err != nil {
		return err
	}
	signature, err := decodeHex("header "+larkSignature, text)
	if err != nil {
		return err
	}
	at, err := oneHeader(d.Header, larkTimestamp)
	if err != nil {
		return err
	}
	nonce, err := oneHeader(d.Header, larkNonce)
	if err != nil {
		return err
	}
	matched := 0
	for _, secret := range v.secrets {
		matched |= subtle.ConstantTimeCompare(signature, larkDigest(at, nonce, secret, d.Body))
	}
	if matched == 0 {
		return errMismatchUnder(len(v.secrets))
	}
	return v.time.check(at, d.ReceivedAt)
}

func larkDigest(at, nonce string, secret, body []byte) []byte {
	sum := sha256.New()
	sum.Write([]byte(at + nonce))
	sum.Write(secret)
	sum.Write(body)
	return sum.Sum(nil)
}

// Greet implements Greeter. Lark sends the challenge before it signs; that the
// body decrypts to one is proof enough for an answer that says nothing new.
func (v larkVerifier) Greet(_ context.Context, d *Delivery, verified bool) (*Answer, error) {
	if verified || d.Method != http.MethodPost {
		return nil, nil
	}
	plain, encrypted, err := v.open(d.Body)
	if err != nil || !encrypted || gjson.GetBytes(plain, "type").Str != "url_verification" {
		return nil, nil //nolint:nilerr // no handshake: Verify says what is wrong
	}
	body, err := json.Marshal(map[string]string{"challenge": gjson.GetBytes(plain, "challenge").Str})
	if err != nil {
		return nil, fmt.Errorf("the challenge cannot be answered: %w", err)
	}
	return &Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, nil
}

// Identify implements Identifier, by the names of either of Lark's schemas.
func (v larkVerifier) Identify(d *Delivery) ([]Identity, error) {
	plain, _, err := v.open(d.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoEvent, err)
	}
	first := func(paths ...string) string {
		for _, found := range gjson.GetManyBytes(plain, paths...) {
			if found.Type == gjson.String && found.Str != "" {
				return found.Str
			}
		}
		return ""
	}
	id := first("header.event_id", "uuid")
	if id == "" {
		id = hexSHA256(plain)
	}
	return []Identity{{ID: id, Type: first("header.event_type", "event.type"), Payload: plain, JSON: true}}, nil
}

// Sign implements Signer. A body that is not encrypted stays so.
func (v larkVerifier) Sign(d *Delivery) error {
	at := clockUnits["s"].format(d.ReceivedAt)
	sum := sha256.Sum256(d.Body)
	nonce := hex.EncodeToString(sum[:8])
	d.Header.Set(larkTimestamp, at)
	d.Header.Set(larkNonce, nonce)
	d.Header.Set(larkSignature, hex.EncodeToString(larkDigest(at, nonce, v.secrets[0], d.Body)))
	return nil
}

// open returns the JSON that the body holds: encrypted with AES-256-CBC under
// the digest of one of the keys, or in clear.
func (v larkVerifier) open(body []byte) (plain []byte, encrypted bool, err error) {
	top, err := members(body)
	if err != nil {
		return nil, false, fmt.Errorf("the body: %w", err)
	}
	text, ok := top["encrypt"].text()
	if !ok {
		return body, false, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) < 2*aes.BlockSize || len(data)%aes.BlockSize != 0 {
		return nil, true, errors.New("the body's encrypt is not base64 of whole blocks")
	}
	for _, secret := range v.secrets {
		if plain, ok := larkDecrypt(secret, data); ok {
			return plain, true, nil
		}
	}
	return nil, true, errors.New("the body does not decrypt to JSON under any of the configured keys")
}

func larkDecrypt(secret, data []byte) ([]byte, bool) {
	key := sha256.Sum256(secret)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, false
	}
	plain := make([]byte, len(data)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, data[:aes.BlockSize]).CryptBlocks(plain, data[aes.BlockSize:])
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > aes.BlockSize || padding > len(plain) {
		return nil, false
	}
	plain = plain[:len(plain)-padding]
	// The padding's other bytes are not worth a look: what decrypts wrongly
	// is no JSON.
	return plain, strings.HasPrefix(string(plain), "{") && validJSON(string(plain))
}

var (
	_ Signer     = larkVerifier{}
	_ Greeter    = larkVerifier{}
	_ Identifier = larkVerifier{}
)
