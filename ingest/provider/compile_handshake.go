package provider

import (
	"cmp"
	"net/http"
	"strings"
)

func (c *compiler) handshake(i int, spec HandshakeSpec) handshake {
	h := handshake{
		method:  cmp.Or(spec.Method, http.MethodPost),
		signed:  spec.Signed,
		when:    c.conditions(i, "when", spec.When),
		require: c.conditions(i, "require", spec.Require),
		answer:  c.answer("handshakes", spec.Answer, http.StatusOK),
	}
	c.method("handshakes", h.method)
	if len(spec.When) == 0 && h.method == http.MethodPost {
		c.problem("handshakes", "handshake %d answers every POST: say in `when` what marks it", i+1)
	}
	refused := AnswerSpec{}
	if spec.Refused != nil {
		refused = *spec.Refused
	}
	h.refused = c.answer("handshakes", refused, http.StatusForbidden)
	if spec.Secret != "" {
		if found := c.lookups("handshakes", []string{spec.Secret}); len(found) == 1 {
			h.secret = &found[0]
		}
	}
	return h
}

func (c *compiler) conditions(i int, key string, texts map[string]string) []condition {
	var conditions []condition
	for _, text := range sortedKeys(texts) {
		s, err := parseLookup(text)
		if err != nil {
			c.problem("handshakes", "handshake %d: %s: %v", i+1, key, err)
			continue
		}
		c.namedOptions("handshakes", text+texts[text])
		want := condition{lookup: s, want: texts[text]}
		if name, ok := strings.CutPrefix(want.want, "{option:"); ok {
			want.option = strings.TrimSuffix(name, "}")
		}
		conditions = append(conditions, want)
	}
	return conditions
}

func (c *compiler) answer(at string, spec AnswerSpec, status int) answer {
	a := answer{status: cmp.Or(spec.Status, status), header: map[string]template{}, body: c.template(at, spec.Body)}
	if a.status < 200 || a.status > 599 {
		c.problem(at, "status %d cannot be answered; want 200 to 599", a.status)
	}
	if a.status == http.StatusGone {
		c.problem(at, "status 410 makes senders unsubscribe; choose another")
	}
	for name, text := range spec.Header {
		a.header[name] = c.template(at, text)
		a.isJSON = a.isJSON || strings.EqualFold(name, "Content-Type") && strings.Contains(text, "json")
	}
	return a
}

// fixed compiles an answer that is the same for every delivery.
func (c *compiler) fixed(at string, spec *AnswerSpec, status int) *answer {
	if spec == nil {
		return nil
	}
	a := c.answer(at, *spec, status)
	if a.render(&view{Delivery: &Delivery{}}, false) == nil {
		c.problem(at, "%s is the same for every delivery: remove the placeholders", at)
	}
	return &a
}
