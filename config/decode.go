package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder turns a plain document into a Config and gathers every mistake on
// the way. A value that is a mistake leaves its default in place, so that one
// cause is reported once.
type decoder struct {
	file, dir     string
	opts          Options
	mistakes      Mistakes
	warnings      Mistakes
	sourceRetries []sourceRetry
	watched       []value // what only makes sense where somebody is told
	// The Task Queues that routes and Activities name.
	routeQueues, activityQueues []value
}

// maxMistakes is how many are reported. Nobody reads more, and each repeats the
// keys above it, so that a file can hold far more text in mistakes than it has.
const maxMistakes = 1000

// value is a value with its place in the file. The items of a list have the
// keys of the list and lines of their own.
type value struct {
	keys []string
	line int
	node *yaml.Node
}

func (v value) name() string { return v.keys[len(v.keys)-1] }

// child returns the keys of a value one level down.
func child(keys []string, key string) []string { return append(slices.Clip(keys), key) }

// report adds a mistake about what stands at the keys.
func (d *decoder) report(line int, keys []string, format string, args ...any) {
	if len(d.mistakes) >= maxMistakes {
		return
	}
	text := fmt.Sprintf(format, args...)
	if about := subject(keys); about != "" {
		text = about + ": " + text
	}
	d.mistakes = append(d.mistakes, Mistake{File: d.file, Line: line, Text: text})
}

func (d *decoder) mistake(v value, format string, args ...any) {
	d.report(v.line, v.keys, format, args...)
}

// wrong reports a value of the wrong type.
func (d *decoder) wrong(v value, want string) {
	switch {
	case v.node.IsZero(): // simplify has reported it
	case isNull(v.node):
		d.mistake(v, "has no value; want %s", want)
	default:
		d.mistake(v, "want %s, found %s", want, kind(v.node))
	}
}

func isNull(n *yaml.Node) bool { return n.Tag == "!!null" }

// kind says what a value is, without saying its value: it may be a secret in
// the wrong place.
func kind(n *yaml.Node) string {
	switch n.Tag {
	case "!!map":
		return "a mapping"
	case "!!seq":
		return "a list"
	case "!!int":
		return "a number"
	case "!!float":
		return "a decimal number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	default:
		return "a string"
	}
}

// field is a key that a mapping may have, and what reads its value.
type field struct {
	key  string
	read func(value)
}

// fields reads a mapping of known keys and returns those that it has. It
// returns nil where v is no mapping.
func (d *decoder) fields(v value, known []field) map[string]value {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.key
	}
	entries, ok := d.entries(v, "a mapping of "+strings.Join(names, ", "))
	if !ok {
		return nil
	}
	has := map[string]value{}
	for _, entry := range entries {
		i := slices.Index(names, entry.name())
		if i < 0 {
			d.report(entry.line, v.keys, "unknown key %s%s", quote(entry.name()), Suggest(entry.name(), names))
			continue
		}
		has[entry.name()] = entry
		known[i].read(entry)
	}
	return has
}

// entries returns the values of a mapping, in the order of the file.
func (d *decoder) entries(v value, want string) ([]value, bool) {
	if v.node.Kind != yaml.MappingNode {
		d.wrong(v, want)
		return nil, false
	}
	var entries []value
	for pair := range slices.Chunk(v.node.Content, 2) {
		key, val := pair[0], pair[1]
		entries = append(entries, value{keys: child(v.keys, key.Value), line: key.Line, node: val})
	}
	return entries, true
}

// items returns the values of a list. An empty list is reported with what to
// do instead, because next to an absent one it is ambiguous.
func (d *decoder) items(v value, want, instead string) []value {
	list := v.node
	switch {
	case list.Kind != yaml.SequenceNode:
		d.wrong(v, "a list of "+want)
		return nil
	case len(list.Content) == 0:
		d.mistake(v, "the list is empty; %s", instead)
		return nil
	}
	items := make([]value, len(list.Content))
	for i, item := range list.Content {
		items[i] = value{keys: v.keys, line: item.Line, node: item}
	}
	return items
}

// text returns a string that is not empty. The want is what a reader would
// write there.
func (d *decoder) text(v value, want string) (string, bool) {
	switch v.node.Tag {
	case "!!str", "!!timestamp", "!!merge": // a date and "<<" are text here
	default:
		d.wrong(v, want)
		return "", false
	}
	if strings.TrimSpace(v.node.Value) == "" {
		d.mistake(v, "has no value; want %s", want)
		return "", false
	}
	return v.node.Value, true
}

// number returns a finite number in decimal digits. 010 is ten, as it looks;
// what YAML takes beyond decimal (0x10, 0o17, .inf) is refused.
func (d *decoder) number(v value, want string) (float64, bool) {
	if v.node.Tag != "!!int" && v.node.Tag != "!!float" {
		d.wrong(v, want)
		return 0, false
	}
	n, err := strconv.ParseFloat(v.node.Value, 64)
	if err != nil {
		d.mistake(v, "want %s in decimal digits, found %s", want, v.node.Value)
		return 0, false
	}
	return n, true
}

// whole returns a whole number, at least 1 and at most what 32 bits hold.
func (d *decoder) whole(v value) (int, bool) {
	const want = "a whole number"
	if v.node.Tag != "!!int" {
		d.wrong(v, want)
		return 0, false
	}
	n, ok := d.number(v, want)
	if !ok {
		return 0, false
	}
	const most = 1<<31 - 1
	if n < 1 || n > most {
		d.mistake(v, "want %s from 1 to %d, found %s", want, most, v.node.Value)
		return 0, false
	}
	return int(n), true
}
