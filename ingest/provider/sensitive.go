package provider

import (
	"net/http"
	"slices"
	"strings"
)

// SensitiveHeaders lists, by canonical name and in order, the headers in which
// the provider sends signatures, tokens, passwords, and secrets that it hands
// over in a handshake. Whoever stores a delivery's headers leaves these out.
func (p *Provider) SensitiveHeaders() []string { return slices.Clone(p.sensitive) }

func (c *compiler) sensitive(spec *Spec) []string {
	var names []string
	for _, name := range spec.Signature.Header {
		places, err := headerPlaces(name)
		if err != nil && spec.Signature.Scheme != "" {
			c.problem("signature.header", "signature.header: %v", err)
		}
		for _, p := range places {
			names = append(names, p.header)
		}
	}
	for _, h := range spec.Handshakes {
		if name, ok := strings.CutPrefix(h.Secret, "header:"); ok {
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
