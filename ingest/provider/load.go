package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"

	"go.yaml.in/yaml/v4"
)

// Problem is one mistake in a provider file.
type Problem struct {
	File string
	Line int // 1 is the first; 0 where the file as a whole is meant
	Text string
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// reserved is the first part of the Workflow Types that are not an event's.
const reserved = "hookyard"

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// load reads one provider file of fsys. Samples are paths beside it. The file
// may name any of the schemes.
func load(fsys fs.FS, file string, schemes map[string]Scheme) (*Provider, []Problem) {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, []Problem{{File: file, Text: err.Error()}}
	}
	var root yaml.Node
	if err := yaml.Load(data, &root); err != nil {
		return nil, yamlProblems(file, err)
	}
	c := &compiler{file: file, root: &root, schemes: schemes}
	if root.Kind == yaml.DocumentNode {
		c.root = root.Content[0]
	}
	var spec Spec
	if err := root.Load(&spec, yaml.WithKnownFields()); err != nil {
		return nil, yamlProblems(file, err)
	}
	c.name("name", spec.Name)
	for _, alias := range spec.Aliases {
		c.name("aliases", alias)
	}
	p := c.compile(spec)
	p.samples = c.readSamples(fsys, spec.Samples)
	return p, c.problems
}

func (c *compiler) name(at, name string) {
	if !nameForm.MatchString(name) {
		c.problem(at, "name %q: want lower-case letters, digits and dashes", name)
	}
	if name == reserved {
		c.problem(at, "name %q is kept for Hookyard's own Workflows; choose another", name)
	}
}

// Configured returns the provider with the parts a source gives itself in
// place of the file's. The nodes are those of the operator's config file and
// may be nil.
func (p *Provider) Configured(file string, parts map[string]*yaml.Node) (*Provider, []Problem) {
	c := &compiler{file: file, parts: parts, schemes: p.schemes}
	spec := p.spec
	spec.Event.Unique = maps.Clone(spec.Event.Unique) // loading a node adds to a map
	for section, target := range map[string]any{
		"signature": &spec.Signature, "secret": &spec.Secret, "event": &spec.Event, "retries": &spec.Retries,
	} {
		node := parts[section]
		if node == nil {
			continue
		}
		if !p.spec.Configurable {
			c.problem(section, "provider %q has its own %s; remove this one, or use provider hmac", p.Name(), section)
			continue
		}
		if err := node.Load(target, yaml.WithKnownFields()); err != nil {
			c.problems = append(c.problems, yamlProblems(file, err)...)
		}
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	configured := c.compile(spec)
	configured.samples = p.samples
	return configured, c.problems
}

// yamlProblems keeps the place and the plain message of YAML errors.
func yamlProblems(file string, err error) []Problem {
	if several, ok := errors.AsType[*yaml.LoadErrors](err); ok {
		var problems []Problem
		for _, e := range several.Errors {
			problems = append(problems, Problem{File: file, Line: e.Mark.Line, Text: plainMessage(e.Message)})
		}
		return problems
	}
	if one, ok := errors.AsType[*yaml.LoadError](err); ok {
		return []Problem{{File: file, Line: one.Mark.Line, Text: plainMessage(one.Message)}}
	}
	return []Problem{{File: file, Text: err.Error()}}
}
