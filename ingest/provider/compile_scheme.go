package provider

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

func (c *compiler) scheme(spec *Spec, p *Provider) Scheme {
	spec.Secret.Encoding = cmp.Or(spec.Secret.Encoding, "utf8")
	for _, encoding := range []string{spec.Secret.Encoding, cmp.Or(spec.Secret.Unprefixed, "utf8")} {
		if _, known := encodings[encoding]; !known {
			c.problem("secret.encoding", "unknown encoding %q; known: %s", encoding, strings.Join(sortedKeys(encodings), ", "))
		}
	}
	for _, other := range spec.Secret.Also {
		if _, known := encodings[cmp.Or(other.Encoding, "utf8")]; !known {
			c.problem("secret.also", "unknown encoding %q; known: %s", other.Encoding, strings.Join(sortedKeys(encodings), ", "))
		}
	}
	if spec.Signature.Scheme != "" {
		p.unsignedID = spec.Event.UnsignedID
		return c.special(spec.Signature)
	}
	if spec.Event.UnsignedID {
		c.problem("event.unsigned_id", "event.unsigned_id is for schemes written in Go; of a declared one it is known")
	}
	s := c.declared(spec, p.ids)
	p.unsignedID = unsignedID(spec)
	return s
}

func (c *compiler) special(sig SignatureSpec) Scheme {
	scheme, known := c.schemes[sig.Scheme]
	if !known {
		c.problem("signature.scheme", "unknown scheme %q; known: %s", sig.Scheme, strings.Join(sortedKeys(c.schemes), ", "))
	}
	if len(sig.From)+len(sig.Prefix) > 0 || sig.List != nil || sig.Timestamp != nil || sig.Algorithm+sig.Encoding+sig.Content != "" {
		c.problem("signature", "signature.scheme %q describes the signature; remove all keys beside it but header", sig.Scheme)
	}
	return scheme
}

func (c *compiler) declared(spec *Spec, ids []lookup) *declared {
	sig := &spec.Signature
	s := &declared{places: c.places(sig), any: sig.Any, prefixes: sig.Prefix, list: sig.List, ids: ids, secret: spec.Secret}
	var known bool
	if s.newKey, known = algorithms[sig.Algorithm]; !known {
		c.problem("signature.algorithm", "unknown algorithm %q; known: %s", sig.Algorithm, strings.Join(sortedKeys(algorithms), ", "))
	}
	s.encoding = sig.Encoding
	switch {
	case sig.Algorithm == "token" && sig.Encoding == "":
		s.encoding = "utf8"
	case sig.Encoding != "hex" && sig.Encoding != "base64":
		c.problem("signature.encoding", "unknown encoding %q; known: base64, hex", sig.Encoding)
	}
	if l := sig.List; l != nil && (l.Separator == "" || l.Key == "" || len(l.Want) == 0) {
		c.problem("signature.list", "signature.list needs separator, key and want")
	}
	s.timestamp = c.timestamp(sig)
	s.content = c.content(sig)
	return s
}

func (c *compiler) places(sig *SignatureSpec) []place {
	if len(sig.Header)+len(sig.From) == 0 {
		c.problem("signature", "signature.header is missing: name the header that holds the signature, or give signature.from")
	}
	var places []place
	for _, name := range sig.Header {
		found, err := headerPlaces(name)
		if err != nil {
			c.problem("signature.header", "signature.header: %v", err)
		}
		places = append(places, found...)
	}
	for _, s := range c.lookups("signature.from", sig.From) {
		p := place{lookup: s}
		switch s.kind {
		case "header":
			c.problem("signature.from", "%q: a header belongs under signature.header", s.text)
		case "query", "json", "form":
		default:
			c.problem("signature.from", "%q is nothing that a sender signs with; want query:NAME, json:PATH or form:FIELD", s.text)
		}
		places = append(places, p)
	}
	if len(places) > maxPlaces {
		c.problem("signature", "the signature may stand in %d places; want at most %d", len(places), maxPlaces)
	}
	return places
}

func (c *compiler) content(sig *SignatureSpec) template {
	if sig.Algorithm == "token" {
		if sig.Content != "" {
			c.problem("signature.content", "a token signs nothing: remove signature.content")
		}
		return nil
	}
	t, err := parseTemplate(sig.Content)
	c.namedOptions("signature.content", sig.Content)
	signedTime := sig.Timestamp != nil && !inBody(sig.Timestamp.From)
	switch {
	case err != nil:
		c.problem("signature.content", "signature.content: %v", err)
	case !t.has("body"):
		c.problem("signature.content", "signature.content %q has no {body}: anyone could change the body", sig.Content)
	case signedTime && !t.has("timestamp"):
		c.problem("signature.content", "signature.content %q has no {timestamp}: anyone could change the time", sig.Content)
	case sig.Timestamp == nil && t.has("timestamp"):
		c.problem("signature.content", "signature.content has {timestamp}, but signature.timestamp does not say where it stands")
	case isDigest(sig.Algorithm) && !t.has("secret"):
		c.problem("signature.content", "signature.content %q has no {secret}: anyone can compute a plain %s", sig.Content, sig.Algorithm)
	case !isDigest(sig.Algorithm) && t.has("secret"):
		c.problem("signature.content", "signature.content has {secret}, which is for plain digests; %s uses the secret as its key", sig.Algorithm)
	case t.has("granted"):
		c.problem("signature.content", "signature.content: {granted} is for the answers of handshakes")
	}
	return t
}

// inBody reports whether all of the lookups look into the body, so that who
// signs the body signs what they find.
func inBody(texts []string) bool {
	return !slices.ContainsFunc(texts, func(text string) bool {
		return !strings.HasPrefix(text, "json:") && !strings.HasPrefix(text, "form:")
	})
}

// unsignedID reports whether one of the id's lookups can be changed without
// breaking the signature. A token signs nothing at all, so that no id is worse
// off than the body.
func unsignedID(spec *Spec) bool {
	sig := spec.Signature
	if sig.Algorithm == "token" || strings.Contains(sig.Content, "{id}") {
		return false
	}
	return slices.ContainsFunc(spec.Event.ID, func(text string) bool {
		return strings.Contains(text, "header:") && !strings.Contains(sig.Content, text) ||
			strings.Contains(text, "query:") && !strings.Contains(sig.Content, "{url}")
	})
}

func (c *compiler) timestamp(sig *SignatureSpec) *timestamp {
	if sig.Timestamp == nil {
		return nil
	}
	spec := *sig.Timestamp
	t := &timestamp{unit: cmp.Or(spec.Unit, "s"), tolerance: time.Duration(spec.Tolerance), pastOnly: spec.PastOnly}
	if _, known := clockUnits[t.unit]; !known {
		c.problem("signature.timestamp.unit", "unknown unit %q; known: %s", spec.Unit, strings.Join(sortedKeys(clockUnits), ", "))
	}
	if t.tolerance == 0 {
		c.problem("signature.timestamp", "signature.timestamp.tolerance is missing: a signed time that is not held against the clock stops no replay")
	}
	if slices.Equal(spec.From, OneOrMore{"signature"}) {
		if t.item = spec.Key; spec.Key == "" || sig.List == nil || sig.Any {
			c.problem("signature.timestamp", "a timestamp from the signature needs its key, and signature.list, without signature.any")
		}
		return t
	}
	if len(spec.From) == 0 {
		c.problem("signature.timestamp", "signature.timestamp.from is missing; want signature, or %s", lookupForms)
	}
	t.from = c.lookups("signature.timestamp.from", spec.From)
	return t
}
