package event

import "slices"

// Headers are header fields of a delivery: canonical names ("X-Shopify-Topic",
// see CanonicalHeader), each with its values in the order in which they came.
type Headers map[string][]string

// Get returns the first value of the header, or "" where there is none. The
// name may be written in any case.
func (h Headers) Get(name string) string {
	if values := h[CanonicalHeader(name)]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Matching returns the headers whose names fit one of the patterns (see Match),
// which may be written in any case: "x-shopify-*". It returns nil where none
// does. The values are shared with h.
func (h Headers) Matching(patterns []string) Headers {
	canonical := make([]string, len(patterns))
	for i, pattern := range patterns {
		canonical[i] = CanonicalHeader(pattern)
	}
	var matching Headers
	for name, values := range h { //workflowcheck:ignore // a set is made of a set: the order makes no difference
		if !slices.ContainsFunc(canonical, func(pattern string) bool { return Match(pattern, name) }) {
			continue
		}
		if matching == nil {
			matching = Headers{}
		}
		matching[name] = values
	}
	return matching
}

// Header returns the first value of the delivery's header, or "" where the
// Event has none: ev.Header("X-Shopify-Shop-Domain"). The name may be written
// in any case.
func (e Event) Header(name string) string { return e.Headers.Get(name) }

// CanonicalHeader returns a header's name, or a pattern of names, in the form
// that Headers has it in: ASCII letters in lower case, except for the first one
// and each one after a dash, which are in upper case.
func CanonicalHeader(name string) string {
	upper := true
	for i := range len(name) {
		if c := name[i]; c != canonicalByte(c, upper) {
			return canonicalFrom(name)
		}
		upper = name[i] == '-'
	}
	return name
}

func canonicalFrom(name string) string {
	canonical, upper := []byte(name), true
	for i, c := range canonical {
		canonical[i] = canonicalByte(c, upper)
		upper = c == '-'
	}
	return string(canonical)
}

func canonicalByte(c byte, upper bool) byte {
	switch {
	case upper && 'a' <= c && c <= 'z':
		return c - 'a' + 'A'
	case !upper && 'A' <= c && c <= 'Z':
		return c - 'A' + 'a'
	default:
		return c
	}
}
