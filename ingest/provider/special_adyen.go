package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/sjson"
)

const (
	adyenItems     = "notificationItems"
	adyenItem      = "NotificationRequestItem"
	adyenMore      = "additionalData"
	adyenSignature = "hmacSignature"
)

// adyenPayments signs eight values of each notification and puts the signature
// beside them. Every notification of a delivery has to be signed.
//
// What else a notification says (the reason, the payment method) is not
// authentic.
type adyenPayments struct{}

// Bind implements Scheme. Adyen hands out its keys in hex.
func (adyenPayments) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "hex", sha256.New)
	return adyenVerifier{secrets}, err
}

type adyenVerifier struct{ sharedSecrets }

// Verify implements Verifier.
func (v adyenVerifier) Verify(_ context.Context, d *Delivery) error {
	items, err := readAdyen(d.Body)
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.signature == "" {
			return fmt.Errorf("%w: a notification holds no %s.%s", ErrUnsigned, adyenMore, adyenSignature)
		}
		signature, err := decodeBase64(adyenMore+"."+adyenSignature, item.signature)
		if err != nil {
			return err
		}
		if err := v.check([][]byte{signature}, []byte(item.content)); err != nil {
			return err
		}
	}
	return nil
}

// SignedContent implements Explainer: a line for each notification.
func (v adyenVerifier) SignedContent(d *Delivery) ([]byte, error) {
	items, err := readAdyen(d.Body)
	lines := make([][]byte, len(items))
	for i, item := range items {
		lines[i] = []byte(item.content)
	}
	return bytes.Join(lines, []byte("\n")), err
}

// Sign implements Signer.
func (v adyenVerifier) Sign(d *Delivery) error {
	items, err := readAdyen(d.Body)
	if err != nil {
		return err
	}
	for i, item := range items {
		path := strings.Join([]string{adyenItems, strconv.Itoa(i), adyenItem, adyenMore, adyenSignature}, ".")
		body, err := sjson.SetBytes(d.Body, path, base64.StdEncoding.EncodeToString(v.sign([]byte(item.content))))
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", path, err)
		}
		d.Body = body
	}
	return nil
}

// adyenNotification is one item of a delivery.
type adyenNotification struct{ content, signature string }

func readAdyen(data []byte) ([]adyenNotification, error) {
	body, err := membersOf("the body", data)
	if err != nil {
		return nil, err
	}
	items := body[adyenItems].list()
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: %s is empty or missing", ErrUnsigned, adyenItems)
	}
	read := make([]adyenNotification, len(items))
	for i, raw := range items {
		if read[i], err = readAdyenItem(raw); err != nil {
			return nil, err
		}
	}
	return read, nil
}

func readAdyenItem(raw json.RawMessage) (adyenNotification, error) {
	var none adyenNotification
	wrapper, err := membersOf(adyenItems, raw)
	if err != nil {
		return none, err
	}
	item, err := membersOf(adyenItem, wrapper[adyenItem].raw)
	if err != nil {
		return none, err
	}
	amount, more := map[string]member{}, map[string]member{}
	if item["amount"].raw != nil {
		if amount, err = membersOf("amount", item["amount"].raw); err != nil {
			return none, err
		}
	}
	if item[adyenMore].raw != nil {
		if more, err = membersOf(adyenMore, item[adyenMore].raw); err != nil {
			return none, err
		}
	}
	return adyenNotification{
		signature: more[adyenSignature].scalar(),
		content: strings.Join([]string{
			item["pspReference"].scalar(),
			item["originalReference"].scalar(),
			item["merchantAccountCode"].scalar(),
			item["merchantReference"].scalar(),
			amount["value"].scalar(),
			amount["currency"].scalar(),
			item["eventCode"].scalar(),
			item["success"].scalar(),
		}, ":"),
	}, nil
}

var (
	_ Signer    = adyenVerifier{}
	_ Explainer = adyenVerifier{}
)
