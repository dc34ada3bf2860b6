package provider

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// compiler turns a Spec into a Provider and gathers every mistake on the way.
type compiler struct {
	file     string
	root     *yaml.Node            // of a provider file
	parts    map[string]*yaml.Node // or: sections of a config file
	problems []Problem
}

// problem notes a mistake at a dotted path such as "signature.content".
func (c *compiler) problem(at, format string, args ...any) {
	c.problems = append(c.problems, Problem{File: c.file, Line: c.line(at), Text: fmt.Sprintf(format, args...)})
}

// line returns the line of the path's key, or of the nearest one above it.
func (c *compiler) line(at string) int {
	node, line := c.root, 1
	keys := strings.Split(at, ".")
	if node == nil {
		if node, keys = c.parts[keys[0]], keys[1:]; node != nil {
			line = node.Line
		}
	}
	for _, key := range keys {
		name, value := entry(node, key)
		if name == nil {
			break
		}
		node, line = value, name.Line
	}
	return line
}

// entry finds a key of a mapping and its value.
func entry(node *yaml.Node, key string) (name, value *yaml.Node) {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

func (c *compiler) compile(spec Spec) *Provider {
	p := &Provider{
		ids:   c.sources("event.id", spec.Event.ID),
		types: c.sources("event.type", spec.Event.Type),
	}
	if len(spec.Event.ID) == 0 {
		c.problem("event", "event.id is missing: without it a redelivery cannot be told from a new event; want %s", sourceForms)
	}
	for i, h := range spec.Handshakes {
		p.handshakes = append(p.handshakes, c.handshake(i, h))
	}
	p.scheme = c.scheme(&spec, p.ids)
	p.spec = spec
	return p
}

func (c *compiler) scheme(spec *Spec, ids []source) *declared {
	sig := &spec.Signature
	s := &declared{headers: sig.Header, prefix: sig.Prefix, list: sig.List, ids: ids}

	if len(sig.Header) == 0 {
		c.problem("signature", "signature.header is missing: name the header that holds the signature")
	}
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
	if spec.Secret.Encoding == "" {
		spec.Secret.Encoding = "utf8"
	}
	if _, known := encodings[spec.Secret.Encoding]; !known {
		c.problem("secret.encoding", "unknown encoding %q; known: %s", spec.Secret.Encoding, strings.Join(sortedKeys(encodings), ", "))
	}
	s.secret = spec.Secret
	if l := sig.List; l != nil && (l.Separator == "" || l.Key == "" || len(l.Want) == 0) {
		c.problem("signature.list", "signature.list needs separator, key and want")
	}
	s.timestamp = c.timestamp(sig)
	s.content = c.content(sig)
	return s
}

func (c *compiler) content(sig *SignatureSpec) template {
	if sig.Algorithm == "token" {
		if sig.Content != "" {
			c.problem("signature.content", "a token signs nothing: remove signature.content")
		}
		return nil
	}
	t, err := parseTemplate(sig.Content)
	switch {
	case err != nil:
		c.problem("signature.content", "signature.content: %v", err)
	case !t.has("body"):
		c.problem("signature.content", "signature.content %q has no {body}: anyone could change the body", sig.Content)
	case sig.Timestamp != nil && !t.has("timestamp"):
		c.problem("signature.content", "signature.content %q has no {timestamp}: anyone could change the time", sig.Content)
	case sig.Timestamp == nil && t.has("timestamp"):
		c.problem("signature.content", "signature.content has {timestamp}, but signature.timestamp does not say where it stands")
	}
	return t
}

func (c *compiler) timestamp(sig *SignatureSpec) *timestamp {
	if sig.Timestamp == nil {
		return nil
	}
	spec := *sig.Timestamp
	t := &timestamp{unit: spec.Unit, tolerance: time.Duration(spec.Tolerance)}
	if t.unit == "" {
		t.unit = "s"
	}
	if _, known := clockUnits[t.unit]; !known {
		c.problem("signature.timestamp.unit", "unknown unit %q; known: %s", spec.Unit, strings.Join(sortedKeys(clockUnits), ", "))
	}
	if t.tolerance == 0 {
		c.problem("signature.timestamp", "signature.timestamp.tolerance is missing: a signed time that is not held against the clock stops no replay")
	}
	if slices.Equal(spec.From, OneOrMore{"signature"}) {
		if t.item = spec.Key; spec.Key == "" || sig.List == nil {
			c.problem("signature.timestamp", "a timestamp from the signature needs its key, and signature.list")
		}
		return t
	}
	if len(spec.From) == 0 {
		c.problem("signature.timestamp", "signature.timestamp.from is missing; want signature, or %s", sourceForms)
	}
	t.from = c.sources("signature.timestamp.from", spec.From)
	return t
}

func (c *compiler) sources(at string, texts []string) []source {
	var found []source
	for _, text := range texts {
		s, err := parseSource(text)
		if err != nil {
			c.problem(at, "%s: %v", at, err)
			continue
		}
		found = append(found, s)
	}
	return found
}

func (c *compiler) handshake(i int, spec HandshakeSpec) handshake {
	h := handshake{method: spec.Method, signed: spec.Signed, status: spec.Answer.Status, header: map[string]template{}}
	if h.method == "" {
		h.method = http.MethodPost
	}
	if h.status == 0 {
		h.status = http.StatusOK
	}
	if len(spec.When) == 0 && h.method == http.MethodPost {
		c.problem("handshakes", "handshake %d answers every POST: say in `when` what marks it", i+1)
	}
	for _, text := range sortedKeys(spec.When) {
		s, err := parseSource(text)
		if err != nil {
			c.problem("handshakes", "handshake %d: when: %v", i+1, err)
			continue
		}
		h.when = append(h.when, condition{s, spec.When[text]})
	}
	for name, text := range spec.Answer.Header {
		h.header[name] = c.template("handshakes", text)
		h.isJSON = h.isJSON || strings.EqualFold(name, "Content-Type") && strings.Contains(text, "json")
	}
	h.body = c.template("handshakes", spec.Answer.Body)
	return h
}

func (c *compiler) template(at, text string) template {
	t, err := parseTemplate(text)
	if err != nil {
		c.problem(at, "%s: %v", at, err)
	}
	return t
}

func (c *compiler) readSamples(fsys fs.FS, files map[string]string) map[string][]byte {
	samples := make(map[string][]byte, len(files))
	for _, eventType := range sortedKeys(files) {
		data, err := fs.ReadFile(fsys, path.Join(path.Dir(c.file), files[eventType]))
		if err != nil {
			c.problem("samples", "sample %q: %v", eventType, err)
			continue
		}
		samples[eventType] = data
	}
	return samples
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
