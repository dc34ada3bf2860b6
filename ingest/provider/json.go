package provider

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep JSON may be nested. The check itself, as that of most
// readers, takes stack for each level, and a body of nothing but brackets would
// take a hundred times its size. encoding/json draws the line at the same depth.
const maxDepth = 10_000

// validJSON reports whether the text is one JSON value.
func validJSON(text string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '[', c == '{':
			if depth++; depth > maxDepth {
				return false
			}
		case c == ']', c == '}':
			depth--
		}
	}
	return gjson.Valid(text)
}

// isObject reports whether the text is one JSON object.
func isObject(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) && validJSON(string(text))
}
