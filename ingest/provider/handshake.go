package provider

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Answer is the HTTP response that a provider asks for.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Refused says that the answer turns down what was asked.
	Refused bool
	// Secret is one that the provider hands to us in a handshake, to be
	// shown to nobody but the operator; "" for none.
	Secret string
}

// handshake is a compiled HandshakeSpec.
type handshake struct {
	method  string
	when    []condition
	require []condition
	signed  bool
	secret  *lookup // nil where none is handed over
	answer  answer
	refused answer
}

// condition is a value that has to be there.
type condition struct {
	lookup lookup
	want   string // "*" for anything, "" for nothing
	option string // or: the option that holds it
}

// answer is a compiled AnswerSpec.
type answer struct {
	status int
	header map[string]template
	body   template
	isJSON bool
}

// Greet returns the answer to a handshake, or nil if d is none. It is to be
// asked before d is verified, and again once it is: handshakes that are signed
// are only looked for in a delivery that is verified, so that nothing
// unverified is parsed for them. After an error that has no Reason the
// sender is to send again.
func (r *Receiver) Greet(ctx context.Context, d *Delivery, verified bool) (*Answer, error) {
	if g, ok := r.verifier.(Greeter); ok {
		if a, err := g.Greet(ctx, d, verified); a != nil || err != nil {
			return a, err
		}
	}
	for _, h := range r.handshakes {
		if h.method != d.Method || h.signed != verified {
			continue
		}
		if a := r.greet(h, d); a != nil {
			return a, nil
		}
	}
	return nil, nil //nolint:nilnil // no handshake and no error is the usual case
}

func (r *Receiver) greet(h handshake, d *Delivery) *Answer {
	v := &view{Delivery: d, options: r.binding.Options, mac: r.mac}
	if !r.allHold(h.when, v) {
		return nil
	}
	if !r.allHold(h.require, v) {
		return h.refused.render(v, true)
	}
	a := h.answer.render(v, false)
	if a != nil && h.secret != nil {
		a.Secret, _ = h.secret.find(v)
	}
	return a
}

func (r *Receiver) allHold(conditions []condition, v *view) bool {
	return !slices.ContainsFunc(conditions, func(c condition) bool { return !r.holds(c, v) })
}

// holds compares in constant time: what is wanted may be a secret.
func (r *Receiver) holds(c condition, v *view) bool {
	got, ok := c.lookup.find(v)
	switch {
	case c.option == "" && c.want == "":
		return !ok || got == ""
	case !ok:
		return false
	case c.option == "":
		return c.want == "*" || sameText(got, c.want)
	}
	granted := false
	for _, want := range r.optionValues(c.option) {
		switch {
		case want == "*":
			v.granted, granted = "*", true
		case sameText(got, want) && v.granted == "":
			v.granted, granted = want, true
		}
	}
	return granted
}

// optionValues are the items of an option, which may stand for the secrets.
func (r *Receiver) optionValues(name string) []string {
	value := r.binding.Options[name]
	if value == secretDefault {
		return r.binding.Secrets
	}
	if r.spec.Options[name].List {
		return strings.Fields(value)
	}
	if value == "" {
		return nil
	}
	return []string{value}
}

func sameText(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// render evaluates the answer, or returns nil where a value is missing. What
// goes into a JSON body is escaped for it.
func (t answer) render(v *view, refused bool) *Answer {
	a := &Answer{Status: t.status, Header: http.Header{}, Refused: refused}
	for name, value := range t.header {
		text, ok := value.text(v)
		if !ok {
			return nil
		}
		a.Header.Set(name, text)
	}
	body, missing := t.body.pieces(v)
	if missing != "" {
		return nil
	}
	if t.isJSON {
		for i, p := range t.body {
			if p.find != nil || p.body {
				body[i] = escapeJSON(body[i])
			}
		}
	}
	a.Body = body.join()
	return a
}

// escapeJSON returns s as it stands between the quotes of a JSON string.
func escapeJSON(s []byte) []byte {
	quoted, _ := json.Marshal(string(s)) // a string always marshals
	return quoted[1 : len(quoted)-1]
}

// success is a compiled SuccessSpec.
type success struct {
	when   []condition
	answer answer
}

// Success returns the answer that the provider wants to a delivery that was
// taken, or nil if any will do.
func (r *Receiver) Success(d *Delivery) *Answer {
	v := &view{Delivery: d, options: r.binding.Options}
	for _, s := range r.successes {
		if r.allHold(s.when, v) {
			return s.answer.render(v, false)
		}
	}
	return nil
}

// Refused returns the answer that the provider wants to a delivery that does
// not verify, or nil if any 401 will do.
func (p *Provider) Refused() *Answer {
	if p.refused == nil {
		return nil
	}
	return p.refused.render(&view{Delivery: &Delivery{}}, true)
}
