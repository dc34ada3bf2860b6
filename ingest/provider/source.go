package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"
)

// view is a Delivery with what has been parsed out of it so far. It lives as
// long as one call.
type view struct {
	*Delivery
	timestamp string // as sent, for {timestamp}
	id        string // for {id}

	jsonChecked, jsonValid bool
	form, query            url.Values
}

func (v *view) isJSON() bool {
	if !v.jsonChecked {
		v.jsonChecked, v.jsonValid = true, gjson.ValidBytes(v.Body)
	}
	return v.jsonValid
}

func (v *view) formField(name string) (string, bool) {
	if v.form == nil {
		v.form = url.Values{}
		if mediaType, _, _ := mime.ParseMediaType(v.Header.Get("Content-Type")); mediaType == "application/x-www-form-urlencoded" {
			// A form with a mistake in it keeps the fields that parse.
			v.form, _ = url.ParseQuery(string(v.Body))
		}
	}
	return first(v.form, name)
}

func (v *view) queryParameter(name string) (string, bool) {
	if v.query == nil {
		v.query = url.Values{}
		if u, err := url.Parse(v.URL); err == nil {
			v.query = u.Query()
		}
	}
	return first(v.query, name)
}

func first(values url.Values, name string) (string, bool) {
	if !values.Has(name) {
		return "", false
	}
	return values.Get(name), true
}

// header returns the one value of a header. Two values are none: which of
// them the provider meant cannot be known.
func header(h http.Header, name string) (value string, ok bool) {
	values := h[http.CanonicalHeaderKey(name)]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// source finds a value in a Delivery.
type source struct {
	text string // as written in the file
	kind string // the part before the colon; "" for a composed one
	arg  string
	find func(v *view) (string, bool)
}

func (s source) String() string { return s.text }

// firstOf returns the value of the first source that has one that is not
// empty.
func firstOf(sources []source, v *view) (string, bool) {
	for _, s := range sources {
		if value, ok := s.find(v); ok && value != "" {
			return value, true
		}
	}
	return "", false
}

const sourceForms = `header:NAME, json:PATH, form:FIELD, query:NAME, body:sha256, or several composed as "{header:A}-{json:b}"`

func parseSource(text string) (source, error) {
	if strings.Contains(text, "{") {
		t, err := parseTemplate(text)
		if err != nil {
			return source{}, err
		}
		return source{text: text, find: t.text}, nil
	}
	kind, arg, _ := strings.Cut(text, ":")
	s := source{text: text, kind: kind, arg: arg}
	switch {
	case arg == "":
		return source{}, fmt.Errorf("%q is not a value source; want %s", text, sourceForms)
	case kind == "header":
		s.find = func(v *view) (string, bool) { return header(v.Header, arg) }
	case kind == "json":
		s.find = func(v *view) (string, bool) {
			if !v.isJSON() {
				return "", false
			}
			return scalar(gjson.GetBytes(v.Body, arg))
		}
	case kind == "form":
		field, path, inner := strings.Cut(arg, "|")
		s.find = func(v *view) (string, bool) {
			value, ok := v.formField(field)
			if !ok || !inner {
				return value, ok
			}
			if !gjson.Valid(value) {
				return "", false
			}
			return scalar(gjson.Get(value, path))
		}
	case kind == "query":
		s.find = func(v *view) (string, bool) { return v.queryParameter(arg) }
	case kind == "body" && arg == "sha256":
		s.find = func(v *view) (string, bool) {
			sum := sha256.Sum256(v.Body)
			return hex.EncodeToString(sum[:]), true
		}
	default:
		return source{}, fmt.Errorf("%q is not a value source; want %s", text, sourceForms)
	}
	return s, nil
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
