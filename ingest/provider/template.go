package provider

import (
	"fmt"
	"io"
	"strings"
)

// template is text with placeholders, evaluated into pieces so that a body is
// never copied.
type template []part

type part struct {
	literal []byte
	name    string // of the placeholder, for errors
	find    func(v *view) ([]byte, bool)
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
func parseTemplate(text string) (template, error) {
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
		p, err := parsePlaceholder(name)
		if err != nil {
			return nil, err
		}
		t = append(t, p)
		rest = rest[open+end+1:]
	}
}

func parsePlaceholder(name string) (part, error) {
	p := part{name: name}
	switch name {
	case "body":
		p.find = func(v *view) ([]byte, bool) { return v.Body, true }
	case "timestamp":
		p.find = func(v *view) ([]byte, bool) { return []byte(v.timestamp), v.timestamp != "" }
	case "id":
		p.find = func(v *view) ([]byte, bool) { return []byte(v.id), v.id != "" }
	case "url":
		p.find = func(v *view) ([]byte, bool) { return []byte(v.URL), v.URL != "" }
	case "method":
		p.find = func(v *view) ([]byte, bool) { return []byte(v.Method), true }
	default:
		s, err := parseSource(name)
		if err != nil {
			return part{}, fmt.Errorf("unknown placeholder {%s}; known: {body}, {timestamp}, {id}, {url}, {method}, and {SOURCE} with %s", name, sourceForms)
		}
		p.find = func(v *view) ([]byte, bool) {
			value, ok := s.find(v)
			return []byte(value), ok
		}
	}
	return p, nil
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
		if p.find == nil {
			got[i] = p.literal
			continue
		}
		value, ok := p.find(v)
		if !ok {
			return nil, p.name
		}
		got[i] = value
	}
	return got, ""
}

func (t template) text(v *view) (string, bool) {
	got, missing := t.pieces(v)
	if missing != "" {
		return "", false
	}
	return string(got.join()), true
}
