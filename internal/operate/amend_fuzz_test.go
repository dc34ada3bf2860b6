package operate

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/internal/worker/parking"
)

// FuzzSet holds what --set makes of a payload against the same change to the
// decoded one: the field that was named, and nothing else.
func FuzzSet(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"a":1}`, "a=2"}, {`{"a":{"b":[1,{"c":null}]}}`, "a.b.1.c=x"}, {`{"a.b":1}`, `a\.b={"c":[]}`}, {`[]`, "0=1"}, {`{"a":[1]}`, "a.1=2"},
		{`{"\u0061":1}`, "a=2"}, {`{"a*":1}`, `a\*=2`}, {`{}`, "a.0.b=1"}, {`null`, "a=1"}, {`{"a":1e999}`, "b=1"}, {`{"1":1}`, "1=2"},
		{`{}`, "[a,b]=1"}, {`{}`, "{a}=1"}, {`{}`, "!a=1"}, {`{}`, ":1=2"}, {`{"":1}`, "a=\"\\ud800\""}, {`{"a":[]}`, "a.-1=1"}, {`{"a":[]}`, "a.00=1"},
		{`{"a":1}`, "[a]=[1]"}, {`{"a":1}`, "{a}={\"a\":1}"}, {`{}`, `\:1=2`}, {`{}`, `\[a\]=2`}, {`{"b":{}}`, `b.\!a=2`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, payload, set string) {
		if checkSets([]string{set}) != nil || !utf8.ValidString(payload) || !utf8.ValidString(set) || hasTwins(payload) {
			return // Go's own decoder takes the last of two fields, and changes what is not UTF-8
		}
		before := []byte(payload)
		after, err := setAll(before, []string{set}, io.Discard)
		require.Equal(t, payload, string(before), "the payload is the history's")
		if err != nil {
			return
		}
		path, value, _ := strings.Cut(set, "=")
		want := put(decodedJSON(t, before), pathSteps(path), decodedJSON(t, rawValue(value)))
		require.True(t, reflect.DeepEqual(want, decodedJSON(t, after)), "%s with %q became %s", payload, set, after)
	})
}

// pathSteps takes a path of --set apart.
func pathSteps(path string) []string {
	all := []string{""}
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '.':
			all = append(all, "")
			continue
		case path[i] == '\\' && i+1 < len(path):
			i++
		}
		all[len(all)-1] += path[i : i+1]
	}
	return all
}

// put returns a decoded JSON value with another one at the place of the steps.
func put(in any, steps []string, value any) any {
	if len(steps) == 0 {
		return value
	}
	n, err := strconv.Atoi(steps[0])
	switch at := in.(type) {
	case []any:
		if n == len(at) {
			return append(at, put(nil, steps[1:], value))
		}
		at[n] = put(at[n], steps[1:], value)
		return at
	case map[string]any:
		at[steps[0]] = put(at[steps[0]], steps[1:], value)
		return at
	default:
		if err == nil && !strings.ContainsAny(steps[0], "+-") {
			return []any{put(nil, steps[1:], value)}
		}
		return map[string]any{steps[0]: put(nil, steps[1:], value)}
	}
}

func decodedJSON(t *testing.T, data []byte) (value any) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&value), "%s", data)
	return value
}

// hasTwins reports whether an object in a JSON text has two fields of one
// name. It is true of what is no JSON, too.
func hasTwins(text string) bool {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var walk func() bool
	walk = func() bool {
		token, err := decoder.Token()
		if err != nil {
			return true
		}
		open, _ := token.(json.Delim)
		names := map[json.Token]bool{}
		for open != 0 && decoder.More() {
			if open == '{' {
				name, err := decoder.Token()
				if err != nil || names[name] {
					return true
				}
				names[name] = true
			}
			if walk() {
				return true
			}
		}
		if open != 0 {
			_, err = decoder.Token()
		}
		return err != nil
	}
	return walk()
}

// FuzzAmendment looks for a payload that is another one once the run has it.
func FuzzAmendment(f *testing.F) {
	f.Add([]byte(`{"a": 1.0, "b":"<&>"}`), "ada", "a typo")
	f.Add([]byte("{}\n"), "", "")
	f.Add([]byte("null"), "\xff", "\"payload\":1")
	f.Add([]byte("\xff\x00"), "a", "b")
	f.Add([]byte{}, "a", "b")
	f.Fuzz(func(t *testing.T, payload []byte, by, why string) {
		input, err := amendment(payload, by, why)
		require.NoError(t, err)
		sent, err := converter.GetDefaultDataConverter().ToPayload(input)
		require.NoError(t, err)
		var a parking.Amend
		require.NoError(t, converter.GetDefaultDataConverter().FromPayload(sent, &a))
		if utf8.ValidString(by) && utf8.ValidString(why) {
			require.Equal(t, by, a.By)
			require.Equal(t, why, a.Why)
		}
		if a.Base64 == "" && len(a.Payload) > 0 {
			require.Equal(t, string(payload), string(a.Payload))
			return
		}
		require.Empty(t, a.Payload)
		require.Equal(t, payload, decodedBase64(t, a.Base64))
	})
}

// FuzzEdited looks for a payload that changes in an editor although nobody
// has changed it, and for one that is no JSON any more.
func FuzzEdited(f *testing.F) {
	f.Add([]byte(`{"a": 1.0,"b":[1,2]}`), []byte("{\n  \"a\": 2\n}\n"))
	f.Add([]byte("plain\n"), []byte("text"))
	f.Add([]byte("{\n}"), []byte("{"))
	f.Add([]byte(`{"a":1e999}`), []byte("\xff"))
	f.Fuzz(func(t *testing.T, payload, edited []byte) {
		same, err := takeBack(layOut(payload), payload)
		require.NoError(t, err, "what was shown is what it was")
		if json.Valid(payload) && !bytes.ContainsRune(payload, '\n') {
			var compact bytes.Buffer
			require.NoError(t, json.Compact(&compact, payload))
			require.Equal(t, compact.String(), string(same))
		} else {
			require.Equal(t, string(payload), string(same))
		}
		taken, err := takeBack(edited, payload)
		if err == nil && json.Valid(payload) {
			require.True(t, json.Valid(taken))
		}
	})
}
