package event

import (
	"strings"
	"unicode"
)

// maxCode bounds a code span, in bytes.
const maxCode = 1 << 10

// Code returns a text as a code span of Markdown, on one line of at most 1 KiB.
// Temporal's Web UI reads summaries and details as Markdown, and makes no link,
// image or HTML of what is in a code span. So whatever senders, other systems or
// people write is shown as one.
func Code(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	text = strings.TrimSpace(strings.ReplaceAll(text, "`", "'"))
	switch {
	case text == "":
		return "` `"
	case len(text) > maxCode:
		text = strings.ToValidUTF8(text[:maxCode], "") + "…"
	}
	return "`" + text + "`"
}
