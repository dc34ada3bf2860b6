package operate

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/internal/worker/parking"
)

func TestSetAll(t *testing.T) {
	t.Parallel()
	const payload = "{ \"a\" : 1.0,\n\t\"b\":{\"c\":[1,2]}, \"s\":\"x\", \"n\":null, \"a.b\":1, \"big\":12345678901234567890 }"
	for _, tt := range []struct {
		name string
		sets []string
		want string // what payload becomes: old, new
		said string
	}{
		{"a number", []string{"a=2"}, "1.0,|2,", "a = 2 (was 1.0)\n"},
		{"a text", []string{"s=hello, world"}, `"x"|"hello, world"`, "s = \"hello, world\" (was \"x\")\n"},
		{"a text that is JSON", []string{`s="12"`}, `"x"|"12"`, "s = \"12\" (was \"x\")\n"},
		{"a text with what JSON has to escape", []string{`s=<a&"b">`}, `"x"|"<a&\"b\">"`, "s = \"<a&\\\"b\\\">\" (was \"x\")\n"},
		{"nothing", []string{"s="}, `"x"|""`, "s = \"\" (was \"x\")\n"},
		{"null", []string{"s=null"}, `"x"|null`, "s = null (was \"x\")\n"},
		{"an object", []string{`n={"k": [1]}`}, `null|{"k": [1]}`, "n = {\"k\": [1]} (was null)\n"},
		{"a place in a list", []string{"b.c.1=9"}, "[1,2]|[1,9]", "b.c.1 = 9 (was 2)\n"},
		{"a key with a dot", []string{`a\.b=2`}, `"a.b":1|"a.b":2`, "a\\.b = 2 (was 1)\n"},
		{"an equals sign in the value", []string{"s=a=b"}, `"x"|"a=b"`, "s = \"a=b\" (was \"x\")\n"},
		{"a key with a star", []string{`a\*=2`}, `567890 }|567890 ,"a*":2}`, "a\\* = 2 (not there before)\n"},
		{"the end of a list", []string{"b.c.2=3"}, "[1,2]|[1,2,3]", "b.c.2 = 3 (not there before)\n"},
		{"a new field", []string{"b.d=1"}, `[1,2]}|[1,2],"d":1}`, "b.d = 1 (not there before)\n"},
		{"several", []string{"a=2", "s=y"}, "1.0,|2,|\"x\"|\"y\"", "a = 2 (was 1.0)\ns = \"y\" (was \"x\")\n"},
		{"what it is", []string{"a=1.0", `s=x`}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := payload
			for pairs := strings.Split(tt.want, "|"); len(pairs) > 1; pairs = pairs[2:] {
				want = strings.Replace(want, strings.TrimSuffix(pairs[0], ","), strings.TrimSuffix(pairs[1], ","), 1)
			}
			var said strings.Builder
			got, err := setAll([]byte(payload), tt.sets, &said)
			require.NoError(t, err)
			require.Equal(t, want, string(got))
			require.Equal(t, tt.said, said.String())
		})
	}
}

func TestSetAllRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ payload, set, want string }{
		{"a=1&b=2", "a=2", "the payload is not JSON, so --set cannot change it"},
		{`{"a":"x"}`, "a.b=1", `--set "a.b=1": "a" is "x", which has no fields`},
		{`{"a":[{"b":1}]}`, "a.0.b.c.d=1", `"a.0.b" is 1, which has no fields`},
		{`"x"`, "a=1", `"" is "x", which has no fields`},
		{`{"a":[1]}`, "a.#=2", `--set "a.#=2": a path names keys and places, not patterns; as a character of a key, write \#`},
		{`{"a":1}`, "*=2", "not patterns"},
		{`{"a":1}`, "a|b=2", "not patterns"},
		{`{"a":1}`, "@this=2", "not patterns"},
		{`{"a":[1]}`, "a.2=2", `"a" is a list: want a place from 0 to 1, which adds one, found "2"`},
		{`{"a":[1]}`, "a.b=2", `found "b"`},
		{`{"a":[1]}`, "a.-1=2", `found "-1"`},
		{`{"a":null}`, "a.7=2", `"a" is no list that has a place 7`},
		{`{"a":1}`, "b..c=2", "the path has an empty key"},
	} {
		_, err := setAll([]byte(tt.payload), []string{tt.set}, io.Discard)
		require.ErrorContains(t, err, tt.want)
	}
}

func TestCorrectUnchanged(t *testing.T) {
	t.Parallel()
	env, _, _ := screen()
	_, err := correct(env, amendOptions{sets: []string{"a=1"}}, []byte(`{"a":1}`))
	require.ErrorIs(t, err, errUnchanged)
	env.Stdin = strings.NewReader("a=1\n")
	got, err := correct(env, amendOptions{file: "-"}, []byte("a=1"))
	require.NoError(t, err)
	require.Equal(t, "a=1\n", string(got), "byte for byte")
}

// TestAmendment sends payloads as the client does and reads them as the worker
// does.
func TestAmendment(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		`{"a":1}`, `{ "a" : 1.0 }`, "{\n  \"url\": \"https://a/?b=1&c=<d>\"\n}", `"text"`, `null`,
		"{\"a\":1}\n", "a=1&b=2", "", "\xff\x00", "{\"line\":\"\u2028\"}",
	} {
		input, err := amendment([]byte(payload), "ada@host", "a <typo>")
		require.NoError(t, err)
		sent, err := converter.GetDefaultDataConverter().ToPayloads(input)
		require.NoError(t, err)
		var taken parking.Amend
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(sent, &taken), "%q", payload)
		require.Equal(t, "ada@host", taken.By)
		require.Equal(t, "a <typo>", taken.Why)
		got := string(taken.Payload)
		if got == "" {
			body, err := base64.StdEncoding.DecodeString(taken.Base64)
			require.NoError(t, err)
			got = string(body)
		} else {
			require.Empty(t, taken.Base64)
		}
		require.Equal(t, payload, got)
	}
}

// TestEditing opens a payload, changes nothing or one thing, and takes it back.
func TestEditing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, payload, shown, want string }{
		{"on one line", `{"a":1.0,"u":"<&>"}`, "{\n  \"a\": 1.0,\n  \"u\": \"<&>\"\n}\n", `{"a":2,"u":"<&>"}`},
		{"laid out", "{\n    \"a\":1.0 }", "{\n    \"a\":1.0 }", "{\n    \"a\":2 }"},
		{"laid out, with a line break at its end", "{\n    \"a\":1.0 }\n", "{\n    \"a\":1.0 }\n", "{\n    \"a\":2 }\n"},
		{"not JSON", "a=1.0", "a=1.0", "a=2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shown := layOut([]byte(tt.payload))
			require.Equal(t, tt.shown, string(shown))
			same, err := takeBack(shown, []byte(tt.payload))
			require.NoError(t, err)
			require.Equal(t, tt.payload, string(same))
			edited := strings.Replace(string(shown), "1.0", "2", 1)
			if !strings.HasSuffix(edited, "\n") {
				edited += "\n" // as editors do
			}
			got, err := takeBack([]byte(edited), []byte(tt.payload))
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
		})
	}
	_, err := takeBack([]byte("{\n\"a\": ,\n}"), []byte(`{"a":1}`))
	require.ErrorContains(t, err, "it is no longer JSON: ")
	require.ErrorContains(t, err, "(line 2)")
}
