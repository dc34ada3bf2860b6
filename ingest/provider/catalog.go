package provider

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"strings"
)

//go:embed catalog
var builtin embed.FS

// Catalog is a set of providers and the schemes that their files may name. The
// zero Catalog has no provider and the built-in schemes. It is not safe to add
// to a Catalog while it is in use.
//
// A program puts its catalog together in this order, so that each part can use
// what came before it:
//
//	c, err := provider.Builtin()         // what Hookyard comes with
//	err = c.AddSchemes(app.Schemes)      // signatures that no file can describe
//	problems := c.Add(app.Providers)     // the team's embedded provider files
//	problems = c.Add(os.DirFS(folder))   // the operator's folder
type Catalog struct {
	providers map[string]*Provider
	schemes   map[string]Scheme
	broken    map[string]bool // see Broken
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

// AddSchemes makes each scheme available to the provider files that are added
// afterwards, under the name that a file gives as signature.scheme. A nil map
// adds nothing. The error names every scheme that cannot be added: its name is
// taken or is not made of lower-case letters, digits and dashes, or the scheme
// is nil. No scheme is added then.
func (c *Catalog) AddSchemes(schemes map[string]Scheme) error {
	known := c.knownSchemes()
	var errs []error
	for _, name := range sortedKeys(schemes) {
		_, taken := known[name]
		switch {
		case !nameForm.MatchString(name):
			errs = append(errs, fmt.Errorf("scheme %q: want a name of lower-case letters, digits and dashes", name))
		case taken:
			errs = append(errs, fmt.Errorf("there is a scheme %q already; choose another name", name))
		case schemes[name] == nil:
			errs = append(errs, fmt.Errorf("scheme %q is nil; give a value that implements provider.Scheme", name))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	// A copy: providers that were added before keep the map they were read with.
	c.schemes = maps.Clone(known)
	maps.Copy(c.schemes, schemes)
	return nil
}

func (c *Catalog) knownSchemes() map[string]Scheme {
	if c.schemes == nil {
		c.schemes = builtinSchemes()
	}
	return c.schemes
}

// Add reads every *.yaml file of fsys, and the samples that those name beside
// them. It reports each problem with its file and line. A file with a problem
// adds nothing, and neither does a file whose name or alias a provider has
// already: histories tell providers apart by name. All other files are added.
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
		p, found := load(fsys, file, c.knownSchemes())
		if len(found) == 0 {
			found = c.enter(file, p)
		} else {
			c.noteBroken(fsys, file)
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
		other.spec.Name, other.spec.Aliases, other.spec.AliasRetries = alias, nil, nil
		if retries, differ := p.spec.AliasRetries[alias]; differ {
			other.spec.Retries = retries
		}
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

// Broken reports whether a file that was not added, because of a problem, is
// that of the named provider. Whoever misses the provider has been told why.
func (c *Catalog) Broken(name string) bool { return c.broken[name] }

// noteBroken takes the names out of a file that may not even be YAML.
func (c *Catalog) noteBroken(fsys fs.FS, file string) {
	if c.broken == nil {
		c.broken = map[string]bool{}
	}
	c.broken[strings.TrimSuffix(file, ".yaml")] = true
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return
	}
	for _, m := range namesInFile.FindAllSubmatch(data, -1) {
		for name := range strings.FieldsFuncSeq(string(m[1]), func(r rune) bool { return strings.ContainsRune("[], \"'", r) }) {
			c.broken[name] = true
		}
	}
}

var namesInFile = regexp.MustCompile(`(?m)^(?:name|aliases):[ \t]*([^#\n]*)`)

// Lookup returns the provider of that name.
func (c *Catalog) Lookup(name string) (*Provider, bool) {
	p, ok := c.providers[name]
	return p, ok
}

// Names lists the providers' names in order.
func (c *Catalog) Names() []string { return sortedKeys(c.providers) }
