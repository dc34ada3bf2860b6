package config

import "go.yaml.in/yaml/v4"

// simplify leaves a document of mappings with distinct words as keys, lists
// and scalars, so that neither this package nor the caller has to think of
// anything else. What it takes away it reports: an entry is removed, and the
// zero Node, which decodes as null, stands in for any other value.
func (d *decoder) simplify(keys []string, n *yaml.Node) {
	if text := refused(n); text != "" {
		d.report(n.Line, keys, "%s", text)
		*n = yaml.Node{}
		return
	}
	if n.Anchor != "" {
		d.report(n.Line, keys, anchorText)
	}
	switch n.Kind { //nolint:exhaustive // other kinds hold nothing
	case yaml.SequenceNode:
		for _, item := range n.Content {
			d.simplify(keys, item)
		}
	case yaml.MappingNode:
		d.simplifyMapping(keys, n)
	}
}

func (d *decoder) simplifyMapping(keys []string, m *yaml.Node) {
	var kept []*yaml.Node
	first := map[string]int{} // the line of each key
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, val := m.Content[i], m.Content[i+1]
		if text := refusedKey(key); text != "" {
			d.report(key.Line, keys, "%s", text)
			continue
		}
		d.simplify(child(keys, key.Value), val)
		if earlier, ok := first[key.Value]; ok {
			d.report(key.Line, keys, "duplicate key %s; line %d has it already", quote(key.Value), earlier)
			continue
		}
		first[key.Value] = key.Line
		kept = append(kept, key, val)
	}
	m.Content = kept
}

const anchorText = `anchors are not taken; take it out, or put quotes around text that starts with "&"`

// refused says why a value is not taken. It does not repeat the value: where
// a secret starts with "*" or "!", YAML reads it as an alias or a tag.
func refused(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode:
		return aliasText
	case n.Style&yaml.TaggedStyle != 0, n.Tag == "!":
		return `tags are not taken; take it out, or put quotes around text that starts with "!"`
	default:
		return ""
	}
}

const aliasText = `aliases are not taken; write the value out, or put quotes around text that starts with "*"`

func refusedKey(n *yaml.Node) string {
	switch text := refused(n); {
	case text != "":
		return text
	case n.Anchor != "":
		return anchorText
	case n.Tag == "!!merge":
		return `"<<" is not taken; write the keys out`
	case n.Kind != yaml.ScalarNode:
		return "want a plain word as a key, found " + kind(n)
	default:
		return ""
	}
}
