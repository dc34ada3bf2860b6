package provider

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
)

//go:embed catalog
var builtin embed.FS

// Catalog is the providers there are; the zero Catalog has none. It is not to
// be changed once it is in use.
type Catalog struct {
	providers map[string]*Provider
}

// Builtin returns the catalog that Hookyard comes with.
func Builtin() (*Catalog, error) {
	files, err := fs.Sub(builtin, "catalog")
	if err != nil {
		return nil, fmt.Errorf("built-in catalog: %w", err)
	}
	c := &Catalog{}
	if problems := c.Add(files); len(problems) > 0 {
		return nil, fmt.Errorf("built-in catalog: %w", problems[0])
	}
	return c, nil
}

// Add reads every *.yaml file of fsys. A file with a problem adds nothing, and
// neither does one that names a provider there is already: histories tell
// providers apart by name.
func (c *Catalog) Add(fsys fs.FS) []Problem {
	files, err := fs.Glob(fsys, "*.yaml")
	if _, statErr := fs.Stat(fsys, "."); err != nil || statErr != nil {
		return []Problem{{File: "providers", Text: errors.Join(err, statErr).Error()}}
	}
	if c.providers == nil {
		c.providers = map[string]*Provider{}
	}
	var problems []Problem
	for _, file := range files {
		p, found := load(fsys, file)
		if len(found) == 0 {
			found = c.enter(file, p)
		}
		problems = append(problems, found...)
	}
	return problems
}

// enter adds a provider under its name and its aliases, or under none of them.
func (c *Catalog) enter(file string, p *Provider) []Problem {
	named := map[string]*Provider{p.Name(): p}
	for _, alias := range p.spec.Aliases {
		other := *p
		other.spec.Name, other.spec.Aliases = alias, nil
		named[alias] = &other
	}
	for _, name := range sortedKeys(named) {
		if _, taken := c.providers[name]; taken {
			return []Problem{{File: file, Line: 1, Text: fmt.Sprintf("there is a provider %q already; choose another name", name)}}
		}
	}
	maps.Copy(c.providers, named)
	return nil
}

// Lookup returns the provider of that name.
func (c *Catalog) Lookup(name string) (*Provider, bool) {
	p, ok := c.providers[name]
	return p, ok
}

// Names lists the providers' names in order.
func (c *Catalog) Names() []string { return sortedKeys(c.providers) }
