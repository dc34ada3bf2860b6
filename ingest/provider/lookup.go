package provider

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// lookup finds a value in a Delivery.
type lookup struct {
	text string // as written in the file
	kind string // the part before the colon; "" for a composed one
	arg  string
	find func(v *view) (string, bool)
	// parts are the lookups that a composed one consists of.
	parts []lookup
}

func (l lookup) String() string { return l.text }

// firstOf returns the first value that is not empty.
func firstOf(lookups []lookup, v *view) (string, bool) {
	for _, l := range lookups {
		if value, ok := l.find(v); ok && value != "" {
			return value, true
		}
	}
	return "", false
}

func list(lookups []lookup) string {
	texts := make([]string, len(lookups))
	for i, l := range lookups {
		texts[i] = l.text
	}
	return strings.Join(texts, ", ")
}

const lookupForms = `header:NAME, json:PATH, item:PATH, raw:PATH, form:FIELD, query:NAME, key:A|B, otherkey:A|B, option:NAME, body:sha256, item:sha256, delivery:sha256, delivery:random, or several composed as "{header:A}-{json:b}"`

func parseLookup(text string) (lookup, error) {
	if strings.Contains(text, "{") {
		t, err := parseTemplate(text)
		if err != nil {
			return lookup{}, err
		}
		l := lookup{text: text, find: t.text}
		for _, p := range t {
			if p.lookup != nil {
				l.parts = append(l.parts, *p.lookup)
			}
		}
		return l, nil
	}
	plain, expression, restricted := strings.Cut(text, "~^")
	kind, arg, _ := strings.Cut(plain, ":")
	l := lookup{text: text, kind: kind, arg: arg, find: finder(kind, arg)}
	if l.find == nil {
		return lookup{}, fmt.Errorf("%q is not a lookup; want %s", text, lookupForms)
	}
	if !restricted {
		return l, nil
	}
	form, err := regexp.Compile("^" + expression)
	if err != nil {
		return lookup{}, fmt.Errorf("%q: %w", text, err)
	}
	find := l.find
	l.find = func(v *view) (string, bool) {
		value, ok := find(v)
		return value, ok && form.MatchString(value)
	}
	return l, nil
}

// tells reports whether two different events never have the same value: it
// holds a digest of what the event says, or a random text.
func (l lookup) tells(inBatch bool) bool {
	switch l.kind + ":" + l.arg {
	case "item:sha256", "delivery:sha256", "delivery:random":
		return true
	case "body:sha256":
		return !inBatch
	}
	return slices.ContainsFunc(l.parts, func(p lookup) bool { return p.tells(inBatch) })
}

// ofItem reports whether the value depends on the item of a batch.
func (l lookup) ofItem() bool {
	switch l.kind {
	case "item", "raw", "key", "otherkey", "delivery":
		return true
	}
	return slices.ContainsFunc(l.parts, lookup.ofItem)
}

// finder returns the function that finds values of a kind, or nil if there is
// no such kind.
func finder(kind, arg string) func(v *view) (string, bool) {
	if arg == "" {
		return nil
	}
	switch kind + ":" + arg {
	case "body:sha256":
		return func(v *view) (string, bool) { return v.bodyDigest(), len(v.Body) > 0 }
	case "item:sha256":
		return func(v *view) (string, bool) { return v.itemDigest(), v.item != "" }
	case "delivery:sha256":
		return (*view).deliveryDigest
	case "delivery:random":
		return randomID
	}
	switch kind {
	case "header":
		name := http.CanonicalHeaderKey(arg)
		return func(v *view) (string, bool) { return header(v.Header, name) }
	case "json":
		return func(v *view) (string, bool) {
			text, ok := v.json()
			if !ok {
				return "", false
			}
			return scalar(gjson.Get(text, arg))
		}
	case "item":
		return func(v *view) (string, bool) { return scalar(gjson.Get(v.item, arg)) }
	case "raw":
		return func(v *view) (string, bool) {
			found := gjson.Get(v.item, arg)
			return found.Raw, found.Raw != ""
		}
	case "form":
		return formFinder(arg)
	case "query":
		return func(v *view) (string, bool) { return v.queryParameter(arg) }
	case "key":
		return keyFinder(strings.Split(arg, "|"), true)
	case "otherkey":
		return keyFinder(strings.Split(arg, "|"), false)
	case "option":
		return func(v *view) (string, bool) { return v.option(arg) }
	default:
		return nil
	}
}

func formFinder(arg string) func(v *view) (string, bool) {
	field, path, inner := strings.Cut(arg, "|")
	return func(v *view) (string, bool) {
		value, ok := v.formField(field)
		if !ok || !inner {
			return value, ok
		}
		if !validJSON(value) {
			return "", false
		}
		return scalar(gjson.Get(value, path))
	}
}

// keyFinder finds the first key of the item, or of the body, that is among
// the names, or else that is not.
func keyFinder(names []string, among bool) func(v *view) (string, bool) {
	return func(v *view) (found string, ok bool) {
		object := v.item
		if object == "" {
			if object, ok = v.json(); !ok {
				return "", false
			}
			ok = false
		}
		parsed := gjson.Parse(object)
		if !parsed.IsObject() {
			return "", false
		}
		parsed.ForEach(func(key, _ gjson.Result) bool {
			if slices.Contains(names, key.Str) == among {
				found, ok = key.Str, true
			}
			return !ok
		})
		return found, ok
	}
}

// scalar takes strings and numbers only: an object is not a name.
func scalar(r gjson.Result) (string, bool) {
	switch r.Type {
	case gjson.String:
		return r.Str, true
	case gjson.Number:
		return r.Raw, true // as sent: a large integer must not pass through a float
	default:
		return "", false
	}
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], sum[:])
	return string(digits[:])
}

func randomID(*view) (string, bool) {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:]), true
}
