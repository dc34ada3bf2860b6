package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxSignatures bounds the work that one header can ask for. The longest real
// list has one item per secret in rotation.
const maxSignatures = 20

// declared is the Scheme that a file's parameters describe.
type declared struct {
	headers   []string
	prefix    string
	list      *ListSpec
	timestamp *timestamp // nil where no time is signed
	newKey    func(secret []byte) (key, error)
	encoding  string
	content   template
	ids       []source // for {id}
	secret    SecretSpec
}

// Bind implements Scheme.
func (s *declared) Bind(secrets []string, tolerance time.Duration) (Verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no secret: without one nothing can be verified")
	}
	v := &verifier{declared: s}
	if tolerance != 0 && s.timestamp != nil {
		t := *s.timestamp
		t.tolerance = tolerance
		scheme := *s
		scheme.timestamp = &t
		v.declared = &scheme
	}
	for i, text := range secrets {
		secret, err := s.secret.decodeSecret(text)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		k, err := s.newKey(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		v.keys = append(v.keys, k)
	}
	return v, nil
}

// verifier is a declared scheme and the keys it verifies under.
type verifier struct {
	*declared
	keys []key
}

// Verify implements Verifier. The signature is checked before the clock, so
// that "stale" always means genuine.
func (s *verifier) Verify(_ context.Context, d *Delivery) error {
	v := &view{Delivery: d}
	signatures, err := s.read(v)
	if err != nil {
		return err
	}
	content, err := s.signedContent(v)
	if err != nil {
		return err
	}
	if !s.anyMatches(content, signatures) {
		return fmt.Errorf("%w under any of the %d configured secrets", ErrMismatch, len(s.keys))
	}
	if s.timestamp != nil {
		return s.timestamp.check(v.timestamp, d.ReceivedAt)
	}
	return nil
}

func (s *verifier) anyMatches(content pieces, signatures [][]byte) bool {
	matched := false
	for _, k := range s.keys {
		matched = k.matches(content, signatures) || matched
	}
	return matched
}

// SignedContent implements Explainer.
func (s *verifier) SignedContent(d *Delivery) ([]byte, error) {
	v := &view{Delivery: d}
	// An unreadable signature may still leave a timestamp to show.
	_, unreadable := s.read(v)
	content, err := s.signedContent(v)
	if err != nil {
		return nil, errors.Join(unreadable, err)
	}
	return content.join(), nil
}

// read takes the signatures, and the timestamp where there is one, out of the
// delivery.
func (s *declared) read(v *view) ([][]byte, error) {
	name, text, err := s.header(v.Header)
	if err != nil {
		return nil, err
	}
	items, timestamp, err := s.split(name, text)
	if err != nil {
		return nil, err
	}
	if err := s.readTimestamp(v, name, timestamp); err != nil {
		return nil, err
	}
	var signatures [][]byte
	for _, item := range items {
		if decoded, err := encodings[s.encoding].decode(item); err == nil && len(decoded) > 0 {
			signatures = append(signatures, decoded)
		}
	}
	if len(signatures) == 0 {
		return nil, fmt.Errorf("%w: header %s holds no %s", ErrMalformed, name, s.expected())
	}
	return signatures, nil
}

// header returns the signature header under its first name that is there.
func (s *declared) header(h http.Header) (name, value string, err error) {
	for _, name := range s.headers {
		switch values := h[http.CanonicalHeaderKey(name)]; {
		case len(values) > 1:
			return name, "", fmt.Errorf("%w: header %s is there %d times", ErrMalformed, name, len(values))
		case len(values) == 1 && values[0] != "":
			return name, values[0], nil
		}
	}
	return "", "", fmt.Errorf("%w: header %s is missing or empty", ErrUnsigned, strings.Join(s.headers, " or "))
}

// split takes the header apart into the texts of signatures and, where the
// list carries it, the timestamp.
func (s *declared) split(name, text string) (signatures []string, timestamp string, err error) {
	if s.list == nil {
		signature, ok := strings.CutPrefix(text, s.prefix)
		if !ok {
			return nil, "", fmt.Errorf("%w: header %s does not start with %q", ErrMalformed, name, s.prefix)
		}
		return []string{signature}, "", nil
	}
	for item := range strings.SplitSeq(text, s.list.Separator) {
		key, value, _ := strings.Cut(strings.TrimSpace(item), s.list.Key)
		switch {
		case s.timestamp != nil && s.timestamp.item != "" && key == s.timestamp.item:
			if timestamp != "" {
				return nil, "", fmt.Errorf("%w: header %s holds %q twice", ErrMalformed, name, key)
			}
			timestamp = value
		case slices.Contains(s.list.Want, key):
			signature, ok := strings.CutPrefix(value, s.prefix)
			if !ok {
				continue
			}
			if len(signatures) == maxSignatures {
				return nil, "", fmt.Errorf("%w: header %s holds more than %d signatures", ErrMalformed, name, maxSignatures)
			}
			signatures = append(signatures, signature)
		}
	}
	return signatures, timestamp, nil
}

func (s *declared) readTimestamp(v *view, name, inList string) error {
	switch {
	case s.timestamp == nil:
	case s.timestamp.item != "":
		if v.timestamp = inList; inList == "" {
			return fmt.Errorf("%w: header %s holds no timestamp %q", ErrUnsigned, name, s.timestamp.item)
		}
	default:
		var ok bool
		if v.timestamp, ok = firstOf(s.timestamp.from, v); !ok {
			return fmt.Errorf("%w: the timestamp, %s, is missing or there twice", ErrUnsigned, list(s.timestamp.from))
		}
	}
	return nil
}

func (s *declared) signedContent(v *view) (pieces, error) {
	v.id, _ = firstOf(s.ids, v)
	content, missing := s.content.pieces(v)
	if missing == "id" {
		return nil, fmt.Errorf("%w: the signed event id is missing: %s", ErrUnsigned, list(s.ids))
	}
	if missing != "" {
		return nil, fmt.Errorf("%w: {%s}, which is signed, is missing", ErrUnsigned, missing)
	}
	return content, nil
}

// expected describes a signature for an error message.
func (s *declared) expected() string {
	kind := "signature"
	if s.encoding != "utf8" {
		kind = s.encoding + " signature"
	}
	if s.list != nil {
		return fmt.Sprintf("%s named %s", kind, strings.Join(s.list.Want, " or "))
	}
	return kind
}

func list(sources []source) string {
	texts := make([]string, len(sources))
	for i, s := range sources {
		texts[i] = s.text
	}
	return strings.Join(texts, ", ")
}
