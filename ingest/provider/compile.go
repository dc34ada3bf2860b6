package provider

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// compiler turns a Spec into a Provider and gathers every mistake on the way.
type compiler struct {
	file     string
	root     *yaml.Node            // of a provider file
	parts    map[string]*yaml.Node // or: sections of a config file
	options  map[string]OptionSpec // that lookups may name
	schemes  map[string]Scheme     // that a file may name
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
	c.options = spec.Options
	p := &Provider{
		schemes:   c.schemes,
		ids:       c.ids(spec.Event),
		types:     c.lookups("event.type", spec.Event.Type),
		each:      c.each(spec.Event),
		successes: c.successes(spec.Success),
		refused:   c.fixed("refused", spec.Refused, http.StatusUnauthorized),
	}
	p.itemIDs = slices.DeleteFunc(slices.Clone(p.ids), func(l lookup) bool { return !l.ofItem() })
	p.typeOutside = slices.ContainsFunc(spec.Event.Type, func(text string) bool {
		return strings.Contains(text, "header:") || strings.Contains(text, "query:")
	})
	if spec.Body != "" && spec.Body != bodyObject {
		c.problem("body", "body %q: want %q, or leave it out", spec.Body, bodyObject)
	}
	for i, h := range spec.Handshakes {
		p.handshakes = append(p.handshakes, c.handshake(i, h))
		c.oracle(i, &spec, h)
	}
	for _, method := range spec.Methods {
		c.method("methods", method)
	}
	for alias := range spec.AliasRetries {
		if !slices.Contains(spec.Aliases, alias) {
			c.problem("alias_retries", "alias_retries: %q is not among the aliases", alias)
		}
	}
	for _, name := range sortedKeys(spec.Options) {
		c.option(name, spec.Options[name])
	}
	p.reconcile = c.reconcile(spec.Reconcile)
	p.scheme = c.scheme(&spec, p)
	p.sensitive = c.sensitive(&spec)
	p.spec = spec
	return p
}

func (c *compiler) option(name string, o OptionSpec) {
	switch {
	case !optionForm.MatchString(name):
		c.problem("options."+name, "option %q: want lower-case letters, digits and underscores", name)
	case o.Doc == "":
		c.problem("options."+name, "option %q has no doc: say in a line what it is and where it is found", name)
	case o.Required && o.Default != "":
		c.problem("options."+name, "option %q is required and has a default; keep one", name)
	}
}

var optionForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

func (c *compiler) method(at, method string) {
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions}, method) {
		c.problem(at, "unknown method %q; known: GET, HEAD, POST, PUT, OPTIONS", method)
	}
}

func (c *compiler) lookups(at string, texts []string) []lookup {
	var found []lookup
	for _, text := range texts {
		s, err := parseLookup(text)
		if err != nil {
			c.problem(at, "%s: %v", at, err)
			continue
		}
		c.namedOptions(at, text)
		found = append(found, s)
	}
	return found
}

func (c *compiler) template(at, text string) template {
	t, err := parseTemplate(text)
	if err != nil {
		c.problem(at, "%s: %v", at, err)
	}
	c.namedOptions(at, text)
	return t
}

// namedOptions reports the options that a text names and the file does not
// declare.
func (c *compiler) namedOptions(at, text string) {
	for _, m := range optionName.FindAllStringSubmatch(text, -1) {
		if _, known := c.options[m[1]]; !known {
			c.problem(at, "%s: there is no option %q; declare it under options", at, m[1])
		}
	}
}

var optionName = regexp.MustCompile(`(?:^|\{|:)option:([^{}]*)`)

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
