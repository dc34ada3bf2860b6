package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// template is text with placeholders, evaluated into pieces so that a body is
// never copied.
type template []part

type part struct {
	literal []byte
	name    string                       // of the placeholder, for errors
	lookup  *lookup                      // where the placeholder is one
	find    func(v *view) (string, bool) // nil for a literal, and for the body
	body    bool
}

// value evaluates one part. The body is only ever a piece (see pieces): it may
// be large.
func (p part) value(v *view) (string, bool) {
	switch {
	case p.body:
		return string(v.Body), true
	case p.find != nil:
		return p.find(v)
	default:
		return string(p.literal), true
	}
}

// pieces is a text in several parts.
type pieces [][]byte

func (p pieces) writeTo(w io.Writer) {
	for _, b := range p {
		_, _ = w.Write(b) // a hash and a buffer never fail
	}
}

func (p pieces) join() []byte {
	if len(p) == 1 {
		return p[0]
	}
	var n int
	for _, b := range p {
		n += len(b)
	}
	joined := make([]byte, 0, n)
	for _, b := range p {
		joined = append(joined, b...)
	}
	return joined
}

// parseTemplate reads text in which {…} is a placeholder. A brace that opens
// no placeholder stands for itself, so that a template can be JSON.
func parseTemplate(text string) (template, error) { return readTemplate(text, placeholders) }

// readTemplate is parseTemplate with other placeholders.
func readTemplate(text string, known map[string]func(v *view) (string, bool)) (template, error) {
	var t template
	literal := func(s string) {
		if s != "" {
			t = append(t, part{literal: []byte(s)})
		}
	}
	for rest := text; ; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			literal(rest)
			return t, nil
		}
		end := strings.IndexByte(rest[open:], '}')
		if end < 0 || strings.ContainsAny(rest[open+1:open+end], "{\" \n") {
			literal(rest[:open+1])
			rest = rest[open+1:]
			continue
		}
		literal(rest[:open])
		name := rest[open+1 : open+end]
		p, err := parsePlaceholder(name, known)
		if err != nil {
			return nil, err
		}
		t = append(t, p)
		rest = rest[open+end+1:]
	}
}

// placeholders are those that are no lookup.
var placeholders = map[string]func(v *view) (string, bool){
	"timestamp": func(v *view) (string, bool) { return v.timestamp, v.timestamp != "" },
	"id":        func(v *view) (string, bool) { return v.id, v.id != "" },
	"url":       func(v *view) (string, bool) { return v.URL, v.URL != "" },
	"baseurl":   func(v *view) (string, bool) { return v.baseURL(), v.URL != "" },
	"method":    func(v *view) (string, bool) { return v.Method, true },
	"secret":    func(v *view) (string, bool) { return v.secret, v.secret != "" },
	"granted":   func(v *view) (string, bool) { return v.granted, v.granted != "" },
}

// listingPlaceholders are those of `reconcile`.
var listingPlaceholders = map[string]func(v *view) (string, bool){
	"url":   placeholders["url"],
	"item":  func(v *view) (string, bool) { return v.item, v.item != "" },
	"from":  func(v *view) (string, bool) { return v.listing.from, v.listing.from != "" },
	"to":    func(v *view) (string, bool) { return v.listing.to, v.listing.to != "" },
	"count": func(v *view) (string, bool) { return v.listing.count, v.listing.count != "" },
}

func parsePlaceholder(name string, known map[string]func(v *view) (string, bool)) (part, error) {
	_, listing := known["item"]
	if name == "body" && !listing {
		return part{name: name, body: true}, nil
	}
	p := part{name: name}
	find, ok := known[name]
	if !ok {
		var err error
		if find, p.lookup, err = parseValue(name); err != nil {
			names := sortedKeys(known)
			if !listing {
				names = append([]string{"body"}, names...)
			}
			return part{}, fmt.Errorf("unknown placeholder {%s}; known: {%s}, and {LOOKUP} with %s", name, strings.Join(names, "}, {"), lookupForms)
		}
	}
	p.find = find
	return p, nil
}

// parseValue reads a lookup, or the HMAC of one.
func parseValue(name string) (find func(v *view) (string, bool), plain *lookup, err error) {
	encoding, of := "", name
	for _, e := range []string{"hex", "base64"} {
		if rest, ok := strings.CutPrefix(name, "hmac-sha256-"+e+":"); ok {
			encoding, of = e, rest
		}
	}
	s, err := parseLookup(of)
	if err != nil {
		return nil, nil, err
	}
	if encoding == "" {
		return s.find, &s, nil
	}
	return func(v *view) (string, bool) {
		value, ok := s.find(v)
		if !ok || len(v.mac) == 0 {
			return "", false
		}
		mac := hmac.New(sha256.New, v.mac)
		mac.Write([]byte(value))
		return encodings[encoding].encode(mac.Sum(nil)), true
	}, nil, nil
}

// has reports whether the template holds the placeholder.
func (t template) has(name string) bool {
	for _, p := range t {
		if p.name == name {
			return true
		}
	}
	return false
}

// pieces evaluates the template; missing names the first placeholder that has
// no value.
func (t template) pieces(v *view) (got pieces, missing string) {
	got = make(pieces, len(t))
	for i, p := range t {
		switch {
		case p.body:
			got[i] = v.Body
		case p.find == nil:
			got[i] = p.literal
		default:
			value, ok := p.find(v)
			if !ok {
				return nil, p.name
			}
			got[i] = []byte(value)
		}
	}
	return got, ""
}

// text evaluates the template into one text.
func (t template) text(v *view) (string, bool) {
	var b strings.Builder
	for _, p := range t {
		value, ok := p.value(v)
		if !ok {
			return "", false
		}
		if b.Len() == 0 {
			b.Grow(128) // ids seldom grow beyond it
		}
		b.WriteString(value)
	}
	return b.String(), true
}
