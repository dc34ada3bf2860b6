package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Mistake is one thing that is wrong with a file, and what to do about it.
type Mistake struct {
	File string
	Line int // counted from 1
	Text string
}

// Error returns "file:line: text".
func (m Mistake) Error() string { return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text) }

// Mistakes are all that is wrong with a file.
type Mistakes []Mistake

// Error returns the mistakes, one per line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns the mistakes as an error, sorted by line, or nil when there are
// none. A caller that adds mistakes of its own to those of Parse calls it last.
func (ms Mistakes) Err() error {
	if len(ms) == 0 {
		return nil
	}
	return ms.sorted()
}

func (ms Mistakes) sorted() Mistakes {
	sorted := slices.Clone(ms)
	slices.SortStableFunc(sorted, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return sorted
}

// Mistake returns a mistake at the line of the given key, or of the nearest
// key above it that the file has. The path is the keys joined by dots, as in
// "sources.stripe.provider"; the text says all that the operator reads.
func (c *Config) Mistake(path, format string, args ...any) Mistake {
	line, _ := nearest(c.root, path, 1)
	return Mistake{File: c.File, Line: line, Text: fmt.Sprintf(format, args...)}
}

// nearest follows a path down from n, which stands on the given line. It
// returns the line of the last key on the way, and how much of the path that
// key leaves over. Keys may hold dots themselves ("acme.eu"), so every key
// that the path starts with is tried, and the one that leads farthest wins.
func nearest(n *yaml.Node, path string, line int) (found, over int) {
	found, over = line, len(path)
	if n == nil || n.Kind != yaml.MappingNode {
		return found, over
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		rest, ok := strings.CutPrefix(path, key.Value)
		switch {
		case ok && rest == "":
			return key.Line, 0
		case ok && rest[0] == '.':
			if l, o := nearest(n.Content[i+1], rest[1:], key.Line); o < over {
				found, over = l, o
			}
		}
	}
	return found, over
}

// subject names a place in the file the way an operator would:
// `source "stripe": rate.burst`.
func subject(keys []string) string {
	var thing string
	switch {
	case len(keys) >= 2 && keys[0] == "sources":
		thing, keys = "source "+quote(keys[1]), keys[2:]
	case len(keys) >= 2 && keys[0] == "retry":
		thing, keys = "retry "+quote(keys[1]), keys[2:]
	}
	parts := make([]string, len(keys))
	for i, key := range keys {
		if parts[i] = key; !plainKey.MatchString(key) {
			parts[i] = quote(key)
		}
	}
	where := strings.Join(parts, ".")
	if thing != "" && where != "" {
		return thing + ": " + where
	}
	return thing + where
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// quote puts what was found in quotes, cut where it would swamp the message.
func quote(s string) string {
	const longest = 80
	n := 0
	for i := range s {
		if n == longest {
			s = s[:i] + "..."
			break
		}
		n++
	}
	return fmt.Sprintf("%q", s)
}
