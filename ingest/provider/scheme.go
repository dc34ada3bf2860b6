package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The most signatures that one delivery can ask to have compared. The longest
// real list has one item per secret in rotation; the most headers that may
// each hold one are a hundred.
const (
	maxItems  = 20
	maxPlaces = 100
)

// declared is the Scheme that a file's parameters describe.
type declared struct {
	places    []place
	any       bool
	prefixes  []string // the one to sign with first; none for no prefix
	list      *ListSpec
	timestamp *timestamp // nil where no time is signed
	newKey    func(secret []byte) (key, error)
	encoding  string
	content   template
	ids       []lookup // for {id}
	secret    SecretSpec
}

// Bind implements Scheme.
func (s *declared) Bind(b Binding) (Verifier, error) {
	if len(b.Secrets) == 0 {
		return nil, errors.New("no secret: without one nothing can be verified")
	}
	v := &boundScheme{declared: s, options: b.Options, configured: len(b.Secrets)}
	if b.Tolerance != 0 && s.timestamp != nil {
		t := *s.timestamp
		t.tolerance = b.Tolerance
		scheme := *s
		scheme.timestamp = &t
		v.declared = &scheme
	}
	for i, text := range b.Secrets {
		secrets, err := s.secret.decodeSecrets(text)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		for j, secret := range secrets {
			k, err := s.newKey(secret)
			if err != nil && j == 0 {
				return nil, fmt.Errorf("secret %d: %w", i+1, err)
			}
			if err != nil {
				continue // the text is not of this make
			}
			v.keys = append(v.keys, k)
			v.secrets = append(v.secrets, string(secret))
		}
	}
	return v, nil
}

// boundScheme is a declared scheme with the secrets of one source.
type boundScheme struct {
	*declared
	options map[string]string
	// configured is the number of secrets, each of which makes a key or more.
	configured int
	keys       []key
	secrets    []string // decoded, for {secret}
}

// Verify implements Verifier. The signature is checked before the clock, so
// that "stale" always means genuine.
func (s *boundScheme) Verify(_ context.Context, d *Delivery) error {
	v := &view{Delivery: d, options: s.options}
	signatures, err := s.read(v)
	if err != nil {
		return err
	}
	matched, err := s.anyMatches(v, signatures)
	if err != nil {
		return err
	}
	if !matched {
		return fmt.Errorf("%w under any of the %d configured secrets", ErrMismatch, s.configured)
	}
	if s.timestamp != nil {
		return s.timestamp.check(v.timestamp, d.ReceivedAt)
	}
	return nil
}

// anyMatches tries every key, whichever matches.
func (s *boundScheme) anyMatches(v *view, signatures [][]byte) (matched bool, err error) {
	var content pieces
	for i, k := range s.keys {
		if content == nil || s.content.has("secret") {
			if content, err = s.signedContent(v, s.secrets[i]); err != nil {
				return false, err
			}
		}
		matched = k.matches(content, signatures) || matched
	}
	return matched, nil
}

// SignedContent implements Explainer.
func (s *boundScheme) SignedContent(d *Delivery) ([]byte, error) {
	v := &view{Delivery: d, options: s.options}
	// An unreadable signature may still leave a timestamp to show.
	_, unreadable := s.read(v)
	content, err := s.signedContent(v, "<secret>")
	if err != nil {
		return nil, errors.Join(unreadable, err)
	}
	return content.join(), nil
}

// read takes the signatures, and the timestamp where there is one, out of the
// delivery.
func (s *declared) read(v *view) ([][]byte, error) {
	candidates, err := s.candidates(v)
	if err != nil {
		return nil, err
	}
	var signatures [][]byte
	var malformed error
	for _, c := range candidates {
		found, timestamp, err := s.split(c, signatures)
		if err != nil {
			malformed = err
			continue
		}
		signatures = found
		if err := s.readTimestamp(v, c.place, timestamp); err != nil {
			return nil, err
		}
	}
	switch {
	case len(signatures) > 0:
		return signatures, nil
	case malformed != nil:
		return nil, malformed
	default:
		return nil, fmt.Errorf("%w: %s holds no %s", ErrMalformed, candidates[0].place, s.expected())
	}
}

// split takes a candidate apart into signatures, which it adds to those found
// so far, and the timestamp, where the list carries it.
func (s *declared) split(c candidate, sofar [][]byte) (signatures [][]byte, timestamp string, err error) {
	if s.list == nil {
		signature, ok := s.withoutPrefix(c.text)
		if !ok {
			return nil, "", fmt.Errorf("%w: %s does not start with %q", ErrMalformed, c.place, strings.Join(s.prefixes, " or "))
		}
		return s.appendDecoded(sofar, signature), "", nil
	}
	signatures = sofar
	items := 0
	for item := range strings.SplitSeq(c.text, s.list.Separator) {
		key, value, _ := strings.Cut(strings.TrimSpace(item), s.list.Key)
		switch {
		case s.timestamp != nil && s.timestamp.item != "" && key == s.timestamp.item:
			if timestamp != "" {
				return nil, "", fmt.Errorf("%w: %s holds %q twice", ErrMalformed, c.place, key)
			}
			timestamp = value
		case slices.Contains(s.list.Want, key):
			signature, ok := s.withoutPrefix(value)
			if !ok {
				continue
			}
			if items++; items > maxItems {
				return nil, "", fmt.Errorf("%w: %s holds more than %d signatures", ErrMalformed, c.place, maxItems)
			}
			signatures = s.appendDecoded(signatures, signature)
		}
	}
	return signatures, timestamp, nil
}

// appendDecoded leaves out what cannot be a signature.
func (s *declared) appendDecoded(signatures [][]byte, text string) [][]byte {
	decoded, err := encodings[s.encoding].decode(text)
	if err != nil || len(decoded) == 0 {
		return signatures
	}
	return append(signatures, decoded)
}

func (s *declared) withoutPrefix(text string) (string, bool) {
	rest, found := text, len(s.prefixes) == 0
	for _, prefix := range s.prefixes {
		// The empty prefix fits every text: any other goes first.
		if after, ok := strings.CutPrefix(text, prefix); ok && (!found || len(after) < len(rest)) {
			rest, found = after, true
		}
	}
	return rest, found
}

func (s *declared) readTimestamp(v *view, at place, inList string) error {
	switch {
	case s.timestamp == nil:
	case s.timestamp.item != "":
		if v.timestamp = inList; inList == "" {
			return fmt.Errorf("%w: %s holds no timestamp %q", ErrUnsigned, at, s.timestamp.item)
		}
	default:
		var ok bool
		if v.timestamp, ok = firstOf(s.timestamp.from, v); !ok {
			return fmt.Errorf("%w: the timestamp, %s, is missing or there twice", ErrUnsigned, list(s.timestamp.from))
		}
	}
	return nil
}

func (s *declared) signedContent(v *view, secret string) (pieces, error) {
	v.secret = secret
	if s.content.has("id") {
		v.id, _ = firstOf(s.ids, v)
	}
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
