package provider

import (
	"bytes"
	"net/http"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// FuzzBatch reads lists of every form out of what anyone may send.
func FuzzBatch(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "{}", "[1,2]", `[{"a":1},{"a":2}]`, "{\"a\":1}\n{\"a\":2}\r\n\n", "{}\n{", "null", "\xff",
		`{"entry":[{"id":"1","changes":[{"value":{"messages":[{"id":"a"},{"id":"b"}],"statuses":[{}]}}],"messaging":[1]}]}`,
		`[{"changes":[]}]`, `[{"changes":{"0":{}}}]`, `[{"changes":[[],[]],"changes":[1]}]`, strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed))
	}
	var batches []*batch
	for _, each := range []string{"json:@this", "lines:@this", "json:entry", "lines:entry"} {
		b, err := parseBatch(each)
		require.NoError(f, err)
		b.split = [][]string{{"changes", "messaging", "standby"}, {"changes.0.value.messages", "changes.0.value.statuses"}}
		batches = append(batches, b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range batches {
			before := bytes.Clone(body)
			items, err := b.items(&view{Delivery: &Delivery{Header: http.Header{}, Body: body}})
			require.Equal(t, before, body, "reading changes nothing")
			if err != nil {
				require.ErrorIs(t, err, ErrNoEvent)
				continue
			}
			require.LessOrEqual(t, len(items), maxEvents)
			size := 0
			for _, item := range items {
				require.True(t, gjson.Valid(item.text), "%q of %q", item.text, body)
				require.True(t, gjson.Valid(item.element))
				size += len(item.text)
			}
			require.LessOrEqual(t, size, 3*maxSurroundings+2*len(body))
		}
	})
}

// FuzzMultipart reads fields out of forms that anyone may send.
func FuzzMultipart(f *testing.F) {
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	f.Add("multipart/form-data; boundary=b", part("a", "1")+part("b", "2")+"--b--")
	f.Add("multipart/form-data; boundary=b", part("a", "1")+part("a", "2"))
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n1\r\n--b--")
	f.Add("multipart/form-data; boundary=b", "--b\r\n\r\n")
	f.Add("multipart/form-data", "--\r\n")
	f.Add("multipart/form-data; boundary=\"\"", "")
	f.Add("application/x-www-form-urlencoded", "a=1&a=%zz")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		d := &Delivery{Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}
		for name, values := range formFields(d) {
			for _, value := range values {
				require.LessOrEqual(t, len(name)+len(value), len(body)+3)
				require.LessOrEqual(t, len(value), max(maxPartField, len(body)))
			}
		}
		require.Equal(t, body, string(d.Body))
	})
}

func TestMultipartIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for range 3 * maxParts {
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n")
	}
	d := &Delivery{Header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, Body: []byte(b.String())}
	require.Len(t, formFields(d)["a"], maxParts)
	long := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + strings.Repeat("x", maxPartField+1) + "\r\n--b--"
	d.Body = []byte(long)
	require.Empty(t, formFields(d))
}

func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	r := &batch{text: "lines:@this", lines: true, path: "@this"}
	for _, body := range []string{
		"[" + strings.Repeat("1,", maxEvents) + "1]",
		strings.Repeat("{}\n", maxEvents+1),
	} {
		_, err := r.items(&view{Delivery: &Delivery{Body: []byte(body)}})
		require.ErrorIs(t, err, ErrNoEvent)
		require.ErrorContains(t, err, "more than 10000 events")
	}
	// What surrounds a list is not copied without end: the item stays whole.
	r = &batch{text: "json:@this", path: "@this", split: [][]string{{"l"}}}
	body := `[{"l":[` + strings.Repeat("1,", 4000) + `1],"around":"` + strings.Repeat("x", 8<<10) + `"}]`
	items, err := r.items(&view{Delivery: &Delivery{Body: []byte(body)}})
	require.NoError(t, err)
	require.Len(t, items, 1)
}

// FuzzWithout cuts attempt fields out: what is left is JSON, and what stood
// beside them is still there.
func FuzzWithout(f *testing.F) {
	for _, seed := range []string{`{"a":1,"attempt":2,"b":3}`, `{"attempt":2}`, `{"attempt":{"x":1},"attempt":3}`, `[1]`, `"attempt"`, `{"deep":{"attempt":1}}`, `{"\u0061ttempt":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !validJSON(text) {
			t.Skip()
		}
		rest := without(text, []string{"attempt", "deep.attempt"})
		if !utf8.ValidString(text) {
			return
		}
		require.True(t, gjson.Valid(rest), "%q of %q", rest, text)
		require.LessOrEqual(t, len(rest), len(text))
		require.Equal(t, rest, without(text, []string{"attempt", "deep.attempt"}), "the digest of a redelivery is the same")
	})
}

// FuzzSpellings writes a URL otherwise, and never another one.
func FuzzSpellings(f *testing.F) {
	for _, seed := range []string{"https://a.example/x?y='%27%2f+ z", "https://a.example/'", "?", "%", "a?%zz", "https://a.example/?a=b&&c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		base, _, _ := strings.Cut(text, "?")
		found := spellings(text)
		require.LessOrEqual(t, len(found), 6)
		for _, u := range found {
			require.NotEqual(t, text, u)
			other, _, _ := strings.Cut(u, "?")
			require.Equal(t, strings.ToUpper(strings.ReplaceAll(base, "'", "%27")), strings.ToUpper(strings.ReplaceAll(other, "'", "%27")))
			require.Equal(t, strings.Count(text, "&"), strings.Count(u, "&"))
		}
	})
}

// FuzzWithoutBraces holds what is said of an expression against what it
// matches.
func FuzzWithoutBraces(f *testing.F) {
	for _, seed := range [][2]string{{"[a-z]+$", "a{"}, {".*$", "{"}, {"[^a]$", "{"}, {`\w+\$`, "{"}, {"a|b{$", "{"}, {"(?s).$", "{"}, {"[{]$", "{"}, {"a$|{$", "{"}, {"[a-z]+|x$", "a{"}, {"(?m)[a-z]+$", "a\n{"}, {"(?i)[A-Z]*$", "k{"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		if _, err := syntax.Parse("^"+expression, syntax.Perl); err != nil || !withoutBraces("query:a~^"+expression) {
			return
		}
		form, err := regexp.Compile("^" + expression)
		if err != nil {
			return
		}
		require.False(t, form.MatchString(text) && strings.Contains(text, "{"), "%q matches %q", expression, text)
	})
}
