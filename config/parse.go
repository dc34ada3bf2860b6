package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Options say where values outside the file come from.
type Options struct {
	// LookupEnv finds env: secrets; default os.LookupEnv.
	LookupEnv func(name string) (value string, ok bool)
	// ReadFile reads file: secrets, and the file itself in Load; default
	// os.ReadFile.
	ReadFile func(path string) ([]byte, error)
	// SkipSecrets leaves secrets unresolved, to check a file on a machine that
	// does not have them. How references are written is checked all the same.
	SkipSecrets bool
	// App is a struct with the defaults of the program's own section, `app:`,
	// which a copy of it is filled from. nil: the program has no such section,
	// and one in the file is a mistake.
	//
	// A field is filled from the key that its config tag names, or from its name
	// in snake_case; `config:"url,required"` makes it a mistake to leave the key
	// out, `config:"-"` leaves the field alone. A field may be a string, bool,
	// int, float64, time.Duration ("30s", "30d"), Secret, Path, URL, anything
	// with UnmarshalText, a struct or a pointer to one (nil where the key is
	// absent), and a slice or a map by string of these. See Validator.
	App any
}

func (o Options) withDefaults() Options {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	return o
}

// Load reads a file and parses it. An error that is not Mistakes means that
// the file could not be read.
func Load(path string, opts Options) (*Config, error) {
	opts = opts.withDefaults()
	data, err := opts.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read config %q: %w", path, cause(err))
	}
	return Parse(path, data, opts)
}

// Parse parses the text of a file. The name is what mistakes are reported
// under, and relative paths are joined to its folder.
//
// The error is Mistakes, all of them. The Config is nil only where the text is
// not YAML; otherwise it holds what could be read, with defaults in place of
// what could not, so that a caller can look for mistakes of its own.
func Parse(name string, data []byte, opts Options) (*Config, error) {
	root, bad := parseYAML(data)
	if bad != nil {
		return nil, Mistakes{{File: name, Line: bad.Line, Text: bad.Text}}
	}
	d := &decoder{file: name, dir: filepath.Dir(name), opts: opts.withDefaults()}
	d.simplify(nil, root)

	c := d.config(value{line: 1, node: root})
	c.File, c.root, c.Warnings = name, root, d.warnings.sorted()
	return c, d.mistakes.Err()
}

// Payloads is what of a file says how payloads leave a process.
type Payloads struct {
	Encryption Encryption
	Store      *PayloadStore // nil when absent
}

// LoadPayloads reads that part of a file alone. Mistakes and missing secrets in
// the rest do not matter: who repairs runs needs none of it.
func LoadPayloads(path string, opts Options) (p Payloads, err error) {
	err = loadPart(path, opts, func(d *decoder) map[string]func(value) {
		return map[string]func(value){"encryption": d.encryption(&p.Encryption), "payload_store": d.payloadStore(&p.Store)}
	})
	return p, err
}

// LoadJournal reads where the journal is, and nothing else of a file.
func LoadJournal(path string, opts Options) (store Store, journal Journal, err error) {
	usual := defaults(filepath.Dir(path))
	store, journal = usual.Store, usual.Journal
	err = loadPart(path, opts, func(d *decoder) map[string]func(value) {
		return map[string]func(value){"store": d.store(&store), "journal": d.journal(&journal)}
	})
	return store, journal, err
}

// loadPart reads some sections of a file. Mistakes elsewhere do not matter.
func loadPart(path string, opts Options, sections func(d *decoder) map[string]func(value)) error {
	opts = opts.withDefaults()
	data, err := opts.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read config %q: %w", path, cause(err))
	}
	root, bad := parseYAML(data)
	if bad != nil {
		return Mistakes{{File: path, Line: bad.Line, Text: bad.Text}}
	}
	d := &decoder{file: path, dir: filepath.Dir(path), opts: opts}
	d.simplify(nil, root)
	d.mistakes = nil // of the whole file
	for key, read := range sections(d) {
		if node := valueOf(root, key); node != nil {
			read(value{keys: []string{key}, line: node.Line, node: node})
		}
	}
	return d.mistakes.Err()
}

// What a file may cost to read: its size bounds the time, and its depth the
// stack, as the YAML parser and this package walk values by recursion.
const (
	maxFile  = 1 << 20 // bytes
	maxDepth = 64      // brackets, and as many indents around them
)

// parseYAML returns the file's one document, or what keeps it from being one.
func parseYAML(data []byte) (*yaml.Node, *Mistake) {
	if len(data) > maxFile {
		return nil, &Mistake{Line: 1, Text: fmt.Sprintf("the file is %d bytes; at most %d are read", len(data), maxFile)}
	}
	if bad := notText(data); bad != nil {
		return nil, bad
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthFunc(checkDepth))))
	if err != nil {
		return nil, notYAML(data, err)
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF): // only comments
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, nil
	case err != nil:
		return nil, notYAML(data, err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, &Mistake{Line: second.Line, Text: `a second document starts here; keep one, and leave out the "---"`}
	case !errors.Is(err, io.EOF):
		return nil, notYAML(data, err)
	}
	return doc.Content[0], nil
}

// notText returns the first byte or character that text does not hold.
//
// YAML ends a line at some characters where editors do not. Lines would be
// counted wrong behind them, and a key could hide in what looks like a comment.
func notText(data []byte) *Mistake {
	for i := 0; i < len(data); {
		var text string
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			text = fmt.Sprintf("byte %#02x is not UTF-8 text; save the file as UTF-8", data[i])
		case r == '\t', r == '\n', r == '\r' && bytes.HasPrefix(data[i+1:], []byte("\n")):
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point):
			text = fmt.Sprintf("character %U has no place in a text file; take it out, or save the file as UTF-8", r)
		}
		if text != "" {
			return &Mistake{Line: 1 + bytes.Count(data[:i], []byte("\n")), Text: text}
		}
		i += size
	}
	return nil
}

var errDepth = fmt.Errorf("values nest deeper than %d levels", maxDepth)

func checkDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxDepth {
		return errDepth
	}
	return nil
}

// cannotStart is what the parser says of "@", "%", a backquote, and of a tab.
const cannotStart = "found character that cannot start any token"

// notYAML says where and why the parser stopped, in words that hold nothing
// of the file: what it stopped at could be a secret.
func notYAML(data []byte, err error) *Mistake {
	var at *yaml.LoadError
	if !errors.As(err, &at) {
		return &Mistake{Line: 1, Text: "not valid YAML"}
	}
	m := &Mistake{Line: min(max(1, at.Mark.Line), lastLine(data))}
	switch {
	case at.Stage == yaml.ComposerStage, at.ContextMsg == "while scanning an alias":
		// Its own message names the alias, which could be "*hunter2".
		m.Text = aliasText
	case at.Message == errDepth.Error():
		m.Text = at.Message
	case at.Message == cannotStart && startsWithTab(data, m.Line):
		m.Text = "not valid YAML: a tab at the start of the line; use spaces"
	case at.ContextMsg == "":
		m.Text = "not valid YAML: " + at.Message
	default:
		m.Text = fmt.Sprintf("not valid YAML: %s %s", at.Message, at.ContextMsg)
		if from := at.ContextMark.Line; 0 < from && from < m.Line {
			m.Text += fmt.Sprintf(" from line %d", from)
		}
	}
	return m
}

func startsWithTab(data []byte, line int) bool {
	lines := bytes.Split(data, []byte("\n"))
	return bytes.HasPrefix(bytes.TrimLeft(lines[line-1], " "), []byte("\t"))
}

func lastLine(data []byte) int {
	return 1 + bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}
