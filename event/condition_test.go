package event_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

const order = `{"live":true,"off":false,"none":null,"empty":"","id":7,"big":12345678901234567890,"amount":1e3,"price":"19.90",
"title":"deploy to eu","items":[{"id":"i1"},{"id":"i2"}],"customer":{"id":"c1","a.b":"dotted"},"text":"a=b"}`

func subject(contentType, payload string) *event.Subject {
	return event.NewSubject(event.Event{
		Source: "shop", ID: "evt_1", Type: "order.paid", ContentType: contentType,
		Headers: map[string][]string{"X-Shop": {"eu"}},
	}, []byte(payload))
}

func TestCondition(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"json:live=true":                true,
		"json:live=false":               false,
		"json:live!=true":               false,
		"json:off=false":                true,
		"json:none=null":                true,
		"json:none!=null":               false,
		"json:empty=":                   true,
		"json:id=7":                     true,
		"json:id=7.0":                   false,
		"json:big=12345678901234567890": true,
		"json:big=12345678901234567891": false,
		"json:big>12345678901234567889": true,
		"json:amount>=1000":             true,
		"json:amount>1000":              false,
		"json:amount<1000.5":            true,
		"json:amount<=999":              false,
		"json:price>19.8":               true,
		"json:title=deploy*":            true,
		"json:title=deploy":             false,
		"json:title~^deploy":            true,
		"json:title~^to":                false,
		"json:title~ to (..)$=eu":       false, // what is behind the ~ is the expression
		"json:text~a=b":                 true,
		"json:items.1.id=i2":            true,
		`json:items.#(id="i2").id=i2`:   true,
		`json:items.#(id=="i9")`:        false,
		`json:customer.a\.b=dotted`:     true,
		"json:customer":                 true,
		"json:live":                     true,
		"json:off":                      false,
		"json:none":                     false,
		"json:empty":                    false,
		"json:missing":                  false,
		"json:missing=":                 false,
		"json:missing!=x":               true,
		"json:missing>1":                false,
		"header:X-Shop=eu":              true,
		"header:x-shop=eu":              true,
		"header:X-Other":                false,
		"event:id=evt_1":                true,
		"event:type=order.*":            true,
		"event:source=shop":             true,
	} {
		c, err := event.ParseCondition(text)
		require.NoError(t, err, text)
		holds, err := c.Holds(subject("application/json", order))
		require.NoError(t, err, text)
		require.Equal(t, want, holds, text)
		require.Equal(t, text, c.String())
	}
}

func TestConditionOfForms(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	for text, payload := range map[string]string{
		"form:To=+49":      "To=%2B49",
		"json:ref=main":    "payload=%7B%22ref%22%3A%22main%22%7D",
		"form:Body~^hello": "Body=hello+you",
	} {
		c, err := event.ParseCondition(text)
		require.NoError(t, err)
		holds, err := c.Holds(subject(form, payload))
		require.NoError(t, err, text)
		require.True(t, holds, text)
	}
}

// TestConditionDoubts has conditions that cannot be evaluated. Each is an error,
// never an answer: a route must not lose an event by one.
func TestConditionDoubts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ condition, contentType, payload, want string }{
		{"json:a=1", "text/plain", "not JSON", "json:a=1: the payload is not JSON"},
		{"json:a=1", "", "", "the payload is not JSON"},
		{"json:a!=1", "application/json", `{"a":1`, "the payload is not JSON"},
		{"json:a", "application/json", strings.Repeat("[", 1<<20), "the payload is not JSON"},
		{"json:customer=c1", "application/json", order, "the value is an object or a list"},
		{"json:items!=c1", "application/json", order, "the value is an object or a list"},
		{"json:items>1", "application/json", order, "the value is an object or a list"},
		{"json:title>1", "application/json", order, "the value is not a number"},
		{"json:a>1", "application/json", `{"a":1e999999999}`, "the value is not a number"},
		{"form:a=1", "application/json", order, "the payload is not a form"},
		{"form:a=1", "application/x-www-form-urlencoded", "a=%zz", "the payload is not a form"},
	} {
		condition, err := event.ParseCondition(c.condition)
		require.NoError(t, err, c.condition)
		_, err = condition.Holds(subject(c.contentType, c.payload))
		require.ErrorContains(t, err, c.want, c.condition)
	}
}

func TestParseConditionRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":              "is not a place in an event",
		"json":          "is not a place in an event",
		"json:":         "is not a place in an event",
		"body:x=1":      "is not a place in an event",
		"event:payload": "is not a place in an event",
		"=1":            "is not a place in an event",
		"json:a>b":      "is not a number",
		"json:a>=":      "is not a number",
		"json:a~(":      "is not a regular expression",
	} {
		_, err := event.ParseCondition(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fixed":                          "fixed",
		"order-{json:id}":                "order-7",
		"json:customer.id":               "c1",
		"{event:source}/{header:X-Shop}": "shop/eu",
		`{json:items.#(id=="i2").id}-x`:  "i2-x",
		"{json:title~to (..)}":           "eu",
		"{json:title~^[a-z]{6}}":         "deploy",
		"{json:customer.id}{event:id}":   "c1evt_1",
	} {
		template, err := event.ParseTemplate(text)
		require.NoError(t, err, text)
		got, err := template.Text(subject("", order))
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, template.String())
	}
	for text, want := range map[string]string{"": "empty", "a-{json:x": "no }", "{x}": "not a place", "json:": "not a place"} {
		_, err := event.ParseTemplate(text)
		require.ErrorContains(t, err, want, text)
	}
	for text, want := range map[string]string{
		"a-{json:missing}":  "json:missing",
		"a-{json:customer}": "object or a list",
		"a-{json:none}":     "json:none",
		"a-{json:empty}":    "json:empty",
	} {
		template, err := event.ParseTemplate(text)
		require.NoError(t, err, text)
		got, err := template.Text(subject("", order))
		require.ErrorContains(t, err, want, "%s: %q", text, got)
	}
}

func TestShortFairnessKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", 64)
	require.Equal(t, long, event.ShortFairnessKey(long))
	for _, key := range []string{long + "k", "\xff", strings.Repeat("é", 40)} {
		short := event.ShortFairnessKey(key)
		require.Len(t, short, event.MaxFairnessKey)
		require.NotEqual(t, short, event.ShortFairnessKey(key+"x"))
	}
}

// FuzzCondition sees that no text and no payload makes a condition panic, and
// that a condition which was read answers or says why not.
func FuzzCondition(f *testing.F) {
	f.Add("json:a>=1", "application/json", []byte(`{"a":1}`))
	f.Add(`json:a.#(b=="c")#.d~(x)=y`, "", []byte(`{"a":[{"b":"c","d":"x"}]}`))
	f.Add("form:a!=b", "application/x-www-form-urlencoded", []byte("a=b"))
	f.Fuzz(func(t *testing.T, text, contentType string, payload []byte) {
		before := bytes.Clone(payload)
		s := event.NewSubject(event.Event{ContentType: contentType}, payload)
		if c, err := event.ParseCondition(text); err == nil {
			holds, err := c.Holds(s)
			require.False(t, holds && err != nil)
		}
		if template, err := event.ParseTemplate(text); err == nil {
			got, err := template.Text(s)
			require.False(t, got != "" && err != nil)
		}
		require.Equal(t, before, payload)
	})
}
