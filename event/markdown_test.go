package event_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

func TestCode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"invoice.paid": "`invoice.paid`",
		"":             "` `",
		" \n ":         "` `",
		"a`b``c":       "`a'b''c`",
		"a\n\n# b\x00": "`a # b`",
		"\u2028x\xff":  "`x?`",
	} {
		require.Equal(t, want, event.Code(text))
	}
	long := event.Code(strings.Repeat("é", 2000))
	require.LessOrEqual(t, len(long), 1<<10+len("``…"))
}

// FuzzCode looks for a text that ends its code span.
func FuzzCode(f *testing.F) {
	f.Add("`](https://evil.example)\r\n![")
	f.Fuzz(func(t *testing.T, text string) {
		code := event.Code(text)
		require.Equal(t, 2, strings.Count(code, "`"), "%q", code)
		require.NotContains(t, code, "\n")
		require.NotContains(t, code, "\r")
	})
}
