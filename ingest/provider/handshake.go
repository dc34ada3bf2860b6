package provider

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Answer is the HTTP response that a handshake asks for.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// handshake is a compiled HandshakeSpec.
type handshake struct {
	method string
	when   []condition
	signed bool
	status int
	header map[string]template
	body   template
	isJSON bool
}

type condition struct {
	source source
	want   string // "*" for anything
}

// Greet returns the answer to a handshake, or nil if d is none. Handshakes
// that are signed are only looked for in a delivery that is verified, so that
// nothing unverified is parsed for them.
func (r *Receiver) Greet(d *Delivery, verified bool) *Answer {
	for _, h := range r.handshakes {
		if h.method != d.Method || h.signed != verified {
			continue
		}
		if answer := h.answer(d); answer != nil {
			return answer
		}
	}
	return nil
}

func (h handshake) answer(d *Delivery) *Answer {
	v := &view{Delivery: d}
	for _, c := range h.when {
		if got, ok := c.source.find(v); !ok || (c.want != "*" && got != c.want) {
			return nil
		}
	}
	a := &Answer{Status: h.status, Header: http.Header{}}
	for name, t := range h.header {
		value, ok := t.text(v)
		if !ok {
			return nil
		}
		a.Header.Set(name, value)
	}
	body, ok := h.render(v)
	if !ok {
		return nil
	}
	a.Body = body
	return a
}

// render evaluates the body; what goes into a JSON text is escaped for it.
func (h handshake) render(v *view) ([]byte, bool) {
	got, missing := h.body.pieces(v)
	if missing != "" {
		return nil, false
	}
	if h.isJSON {
		for i, p := range h.body {
			if p.find != nil {
				got[i] = escapeJSON(got[i])
			}
		}
	}
	return got.join(), true
}

// escapeJSON returns s as it stands between the quotes of a JSON string.
func escapeJSON(s []byte) []byte {
	quoted, _ := json.Marshal(string(s)) // a string always marshals
	return []byte(strings.Trim(string(quoted), `"`))
}
