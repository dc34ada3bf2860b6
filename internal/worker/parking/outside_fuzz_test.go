package parking

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
)

// FuzzAmend gives the amend update what anybody may send. What is taken is the
// payload that was meant, byte for byte.
func FuzzAmend(f *testing.F) {
	for _, input := range []string{
		`{"payload": {"a": 1.0}, "by": "ada", "why": "a typo"}`, `{"payload": null}`, `{"payload_base64": "/w=="}`, `{"payload_base64": "e30="}`,
		`{"payload_base64": "e30", "payload": 1}`, `{"payload_base64": "!"}`, `{}`, `null`, `[]`, `{"payload": "\ud800"}`, `{"PAYLOAD": 1}`,
	} {
		f.Add([]byte(input))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var a Amend
		stored := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: input}
		if converter.GetDefaultDataConverter().FromPayload(stored, &a) != nil {
			return // the update is refused before it comes here
		}
		var asked []byte
		r := &Run{
			args: []any{event.Event{Source: "s", ID: "1"}, converter.NewRawValue(&commonpb.Payload{})},
			options: Options{Fits: func(_ string, _ event.Event, body []byte) error {
				if asked = body; len(body)%7 == 6 {
					return errors.New("it does not fit")
				}
				return nil
			}},
		}
		payload, err := r.corrected("s.t", a)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.Equal(t, string(asked), string(payload.GetData()), "what is checked is what is taken")
		switch encoding := string(payload.GetMetadata()["encoding"]); encoding {
		case "json/plain":
			require.True(t, json.Valid(payload.GetData()))
		case "binary/plain":
			require.False(t, json.Valid(payload.GetData()))
		default:
			require.Fail(t, "unknown encoding", encoding)
		}
		if a.Base64 != "" {
			want, err := base64.StdEncoding.DecodeString(a.Base64)
			require.NoError(t, err)
			require.Equal(t, string(want), string(payload.GetData()))
		} else {
			require.Equal(t, string(a.Payload), string(payload.GetData()))
		}
	})
}

// calling makes a call of a step, as a Workflow does.
func calling(r *Run, name string, args ...any) *call {
	c := &call{number: len(r.calls), name: name, args: args}
	r.calls = append(r.calls, c)
	r.lookUp(c)
	return c
}

// FuzzCarriedOver gives a run a header that no run has passed on, and looks for
// a call that is taken for done with a result that it did not have.
func FuzzCarriedOver(f *testing.F) {
	r := &Run{keys: keys{}}
	for _, name := range []string{"A", "A", "B"} {
		calling(r, name, 1).finish(&commonpb.Payload{Data: []byte(`"` + name + `"`)}, fromStep)
	}
	left, err := json.Marshal(r.carryOver())
	require.NoError(f, err)
	f.Add(left, "A", "x")
	f.Add([]byte(`{"done":{"A:6b86b273ff34fce19d6b804eff5a3f57:1":{"payload":"AAEC","by_hand":true}},"parked":{"A:6b86b273ff34fce19d6b804eff5a3f57:2":{}},"failed":{"since":"9999-12-31T23:59:59Z"},"log":["","`+"`"+`"]}`), "A", "")
	f.Add([]byte(`{"done":null,"failed":{}}`), "", "\xff")
	f.Fuzz(func(t *testing.T, header []byte, name, arg string) {
		if !utf8.ValidString(name) {
			return // Activities have names
		}
		var found carriedOver
		stored := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: header}
		if converter.GetDefaultDataConverter().FromPayload(stored, &found) != nil {
			found = carriedOver{} // it is done again
		}
		r := &Run{carried: found, keys: keys{}}
		for range 2 {
			c := calling(r, name, arg)
			if !c.done {
				c.finish(&commonpb.Payload{Data: []byte(arg)}, fromStep)
			}
		}
		// What this run passes on, the next one finds.
		data, err := json.Marshal(r.carryOver())
		require.NoError(t, err)
		var next carriedOver
		require.NoError(t, json.Unmarshal(data, &next))
		n := &Run{carried: next, keys: keys{}}
		for i := range 2 {
			was, is := r.calls[i], calling(n, name, arg)
			require.True(t, is.done)
			require.Equal(t, string(was.result.GetData()), string(is.result.GetData()))
		}
		require.False(t, calling(n, name, arg).done, "it was called twice and no more")
	})
}

// FuzzDetails looks for a reason, an error or a name that breaks out of the
// page's Markdown: what is quoted stays in its block, and what somebody gave as
// a reason on its line.
func FuzzDetails(f *testing.F) {
	f.Add("POST https://h: 500", "ada", "a typo")
	f.Add("```\n# Approved\n", "a\n- b", "`x`\r\n\n### Parked")
	f.Add("````", "\u2028", "\xff\x00")
	f.Fuzz(func(t *testing.T, said, by, why string) {
		p := &parkedStep{Step: Step{Name: "Step", Reason: event.ReasonFailed, Error: Clip(said, 1<<10), Since: time.Unix(1, 0)}}
		page := p.details()
		require.Equal(t, 2, strings.Count(page, "```"), "%q", page)
		for _, text := range []string{event.Code(somebody(by)), event.Code(why), event.Code(said)} {
			require.NotContains(t, text, "\n")
			require.Equal(t, 2, strings.Count(text, "`"), "%q", text)
			require.LessOrEqual(t, len(text), maxError+len("``…"))
		}
	})
}
