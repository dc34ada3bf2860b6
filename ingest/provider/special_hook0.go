package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	hook0Header    = "X-Hook0-Signature"
	hook0Tolerance = 5 * time.Minute
	// hook0MostItems bounds the work that one header can ask for.
	hook0MostItems = 50
)

// hook0 signs the time and the body (v0), or besides them the headers that it
// names (v1). Where v1 is offered v0 is never looked at: to take the weaker of
// two is how a downgrade works.
type hook0 struct{}

// Bind implements Scheme.
func (hook0) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return hook0Verifier{sharedSecrets: secrets, time: bindTime(b, "s", hook0Tolerance)}, err
}

type hook0Verifier struct {
	sharedSecrets
	time timestamp
}

// hook0Signature is the header, taken apart.
type hook0Signature struct {
	time   string
	names  string // of the covered headers, as sent
	covers bool   // v1: the headers of names are signed
	codes  [][]byte
}

// Verify implements Verifier.
func (v hook0Verifier) Verify(_ context.Context, d *Delivery) error {
	sent, err := readHook0(d.Header)
	if err != nil {
		return err
	}
	content, err := sent.content(d)
	if err != nil {
		return err
	}
	if err := v.check(sent.codes, content); err != nil {
		return err
	}
	return v.time.check(sent.time, d.ReceivedAt)
}

// SignedContent implements Explainer.
func (v hook0Verifier) SignedContent(d *Delivery) ([]byte, error) {
	sent, err := readHook0(d.Header)
	if err != nil {
		return nil, err
	}
	return sent.content(d)
}

// Sign implements Signer. It covers the headers that name the event.
func (v hook0Verifier) Sign(d *Delivery) error {
	var names []string
	for _, name := range []string{"x-event-id", "x-event-type"} {
		if d.Header.Get(name) != "" {
			names = append(names, name)
		}
	}
	s := hook0Signature{time: v.time.format(d.ReceivedAt), names: strings.Join(names, " "), covers: len(names) > 0}
	content, err := s.content(d)
	if err != nil {
		return err
	}
	code := hex.EncodeToString(v.sign(content))
	if s.covers {
		d.Header.Set(hook0Header, "t="+s.time+",h="+s.names+",v1="+code)
	} else {
		d.Header.Set(hook0Header, "t="+s.time+",v0="+code)
	}
	return nil
}

func readHook0(h http.Header) (hook0Signature, error) {
	var s hook0Signature
	text, err := oneHeader(h, hook0Header)
	if err != nil {
		return s, err
	}
	items := strings.Split(text, ",")
	if len(items) > hook0MostItems {
		return s, fmt.Errorf("%w: header %s has more than %d items", ErrMalformed, hook0Header, hook0MostItems)
	}
	values := map[string][]string{}
	for _, item := range items {
		key, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		values[key] = append(values[key], value)
	}
	if len(values["t"]) > 1 || len(values["h"]) > 1 {
		return s, fmt.Errorf("%w: header %s holds t or h twice", ErrMalformed, hook0Header)
	}
	if len(values["t"]) == 0 || values["t"][0] == "" {
		return s, fmt.Errorf("%w: header %s holds no time t", ErrUnsigned, hook0Header)
	}
	s.time = values["t"][0]
	version := "v0"
	if s.covers = len(values["v1"])+len(values["h"]) > 0; s.covers {
		version = "v1"
		if len(values["h"]) == 0 || values["h"][0] == "" {
			return s, fmt.Errorf("%w: header %s holds v1 and no names h", ErrMalformed, hook0Header)
		}
		s.names = values["h"][0]
	}
	for _, code := range values[version] {
		decoded, err := decodeHex("header "+hook0Header, code)
		if err != nil {
			return s, err
		}
		s.codes = append(s.codes, decoded)
	}
	if len(s.codes) == 0 {
		return s, fmt.Errorf("%w: header %s holds no %s", ErrUnsigned, hook0Header, version)
	}
	return s, nil
}

// content refuses a covered header that did not come: to sign over an absent
// value would let anyone drop it.
func (s hook0Signature) content(d *Delivery) ([]byte, error) {
	parts := []string{s.time}
	if s.covers {
		var values []string
		for name := range strings.SplitSeq(s.names, " ") {
			value, err := oneHeader(d.Header, name)
			if err != nil {
				return nil, fmt.Errorf("a signed header: %w", err)
			}
			values = append(values, value)
		}
		parts = append(parts, s.names, strings.Join(values, "."))
	}
	return append([]byte(strings.Join(parts, ".")+"."), d.Body...), nil
}

var (
	_ Signer    = hook0Verifier{}
	_ Explainer = hook0Verifier{}
)
