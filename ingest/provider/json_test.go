package provider

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidJSON(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	for text, want := range map[string]bool{
		`{"a":[1,2,{"b":"\\\"]["}]}`:   true,
		`"` + nested(2*maxDepth) + `"`: true,
		nested(maxDepth):               true,
		nested(maxDepth + 1):           false,
		strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1): false,
		strings.Repeat(`[]`, 2):                         false,
		"[" + strings.Repeat("[],", 2*maxDepth) + "[]]": true,
		"":    false,
		`{"a`: false,
	} {
		require.Equal(t, want, validJSON(text), "%.40s", text)
		require.Equal(t, want, json.Valid([]byte(text)), "%.40s", text)
	}
}
