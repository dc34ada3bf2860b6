package provider

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

func (c *compiler) handshake(i int, spec HandshakeSpec) handshake {
	h := handshake{
		method:  cmp.Or(spec.Method, http.MethodPost),
		signed:  spec.Signed,
		when:    c.conditions("handshakes", fmt.Sprintf("handshake %d: when", i+1), spec.When),
		require: c.conditions("handshakes", fmt.Sprintf("handshake %d: require", i+1), spec.Require),
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

// conditions reads what has to hold; where names the key in messages.
func (c *compiler) conditions(at, where string, texts map[string]string) []condition {
	var conditions []condition
	for _, text := range sortedKeys(texts) {
		l, err := parseLookup(text)
		if err != nil {
			c.problem(at, "%s: %v", where, err)
			continue
		}
		c.namedOptions(at, text+texts[text])
		want := condition{lookup: l, want: texts[text]}
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

func (c *compiler) successes(specs SuccessSpecs) []success {
	var successes []success
	for _, spec := range specs {
		answer := c.fixed("success", &AnswerSpec{Status: spec.Status, Header: spec.Header, Body: spec.Body}, http.StatusOK)
		successes = append(successes, success{when: c.conditions("success", "success: when", spec.When), answer: *answer})
	}
	return successes
}

// oracle refuses a handshake that lets anyone compute the signature of a
// delivery: it answers, unsigned, with an HMAC of what the caller chose under
// the key that signs deliveries. Such a text must never be signed content of a
// delivery. That is certain if every body is a JSON object and the text cannot
// hold a brace.
func (c *compiler) oracle(i int, spec *Spec, h HandshakeSpec) {
	if h.Signed {
		return
	}
	texts := []string{h.Answer.Body}
	for _, text := range h.Answer.Header {
		texts = append(texts, text)
	}
	for _, m := range hmacOf.FindAllStringSubmatch(strings.Join(texts, "\n"), -1) {
		if spec.Body == bodyObject && withoutBraces(m[1]) {
			continue
		}
		c.problem("handshakes", "handshake %d computes an HMAC of %q for whoever asks, under the key that signs deliveries, so that anyone could sign one; write `signed: true`, or `body: object` at the top level and %q as the lookup",
			i+1, m[1], strings.TrimSuffix(m[1], "$")+"~^[A-Za-z0-9_-]+$")
	}
}

var hmacOf = regexp.MustCompile(`\{hmac-sha256-(?:hex|base64):([^{}]*)\}`)

// withoutBraces reports whether a lookup's value, by the form that it is
// restricted to, holds no opening brace.
func withoutBraces(text string) bool {
	_, expression, restricted := strings.Cut(text, "~^")
	if !restricted {
		return false
	}
	form, err := syntax.Parse("^"+expression, syntax.Perl)
	if err != nil || form.Op != syntax.OpConcat {
		return false
	}
	first, last := form.Sub[0], form.Sub[len(form.Sub)-1]
	whole := first.Op == syntax.OpBeginText && last.Op == syntax.OpEndText
	return whole && !canHold(form, '{')
}

// canHold reports whether a text that the expression matches as a whole may
// hold the rune.
func canHold(form *syntax.Regexp, r rune) bool {
	switch form.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return slices.Contains(form.Rune, r)
	case syntax.OpCharClass:
		for i := 0; i+1 < len(form.Rune); i += 2 {
			if form.Rune[i] <= r && r <= form.Rune[i+1] {
				return true
			}
		}
		return false
	default:
		return slices.ContainsFunc(form.Sub, func(sub *syntax.Regexp) bool { return canHold(sub, r) })
	}
}
