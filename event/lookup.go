package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"
)

// Lookup finds one text in a verified event. It is written as
//
//	json:PATH     in the payload, or in the field "payload" of a form; PATH is
//	              one of gjson's: data.object.customer, items.0.id
//	form:FIELD    a field of a payload that is a form
//	header:NAME   a header of the delivery that the Event keeps; the provider
//	              may not have signed it
//	event:id      the Event's id; event:type and event:source likewise
//
// and may end in "~" and a regular expression (RE2): the text is then what the
// first group of it matches, or all of it where there is no group.
type Lookup struct {
	text    string
	find    func(s *Subject) (found, error)
	extract *regexp.Regexp // nil for all of the text
}

// found is a value in an event. A value that is not there has no kind.
type found struct {
	there  bool
	text   string
	number bool // a JSON number
	empty  bool // null, false or ""
	// composite is set for an object or a list, which are no text.
	composite bool
	raw       string // as JSON, for json: lookups
}

const lookupForms = "json:PATH, form:FIELD, header:NAME, event:id, event:type or event:source"

// ParseLookup reads a lookup. The error says what is wrong with the text.
func ParseLookup(text string) (Lookup, error) {
	plain, expression, extracts := cutOutside(text, "~")
	l := Lookup{text: text, find: finder(plain)}
	if l.find == nil {
		return Lookup{}, fmt.Errorf("%q is not a place in an event; want %s", plain, lookupForms)
	}
	if !extracts {
		return l, nil
	}
	var err error
	if l.extract, err = regexp.Compile(expression); err != nil {
		return Lookup{}, fmt.Errorf("%q is not a regular expression: %w", expression, err)
	}
	return l, nil
}

// cutOutside cuts text around the first separator that is in no bracket,
// quotation marks or escape of a path.
func cutOutside(text, separator string) (before, after string, ok bool) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted && depth > 0 // only a query of a path quotes
		case quoted:
		case depth == 0 && strings.HasPrefix(text[i:], separator):
			return text[:i], text[i+len(separator):], true
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		}
	}
	return text, "", false
}

// finder returns what finds the value, nil where the text is no lookup.
func finder(text string) func(s *Subject) (found, error) {
	kind, name, _ := strings.Cut(text, ":")
	if name == "" {
		return nil
	}
	switch kind {
	case "json":
		return func(s *Subject) (found, error) { return s.jsonAt(name) }
	case "form":
		return func(s *Subject) (found, error) { return s.formField(name) }
	case "header":
		return func(s *Subject) (found, error) { return textual(s.event.Header(name)), nil }
	case "event":
		switch name {
		case "id":
			return func(s *Subject) (found, error) { return textual(s.event.ID), nil }
		case "type":
			return func(s *Subject) (found, error) { return textual(s.event.Type), nil }
		case "source":
			return func(s *Subject) (found, error) { return textual(s.event.Source), nil }
		}
	}
	return nil
}

func textual(text string) found { return found{there: text != "", text: text, empty: text == ""} }

// String returns the lookup as it was written.
func (l Lookup) String() string { return l.text }

// value returns what the lookup finds, after its regular expression. A panic on
// a payload that nobody has thought of is an error like any other.
func (l Lookup) value(s *Subject) (v found, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			v, err = found{}, fmt.Errorf("the value cannot be read: %v", broken)
		}
	}()
	v, err = l.find(s)
	if err != nil || l.extract == nil || !v.there || v.composite {
		return v, err
	}
	match := l.extract.FindStringSubmatch(v.text)
	switch {
	case match == nil:
		return found{}, nil
	case len(match) > 1:
		return textual(match[1]), nil
	default:
		return textual(match[0]), nil
	}
}

// Text returns the text that the lookup finds. The error says why there is none.
func (l Lookup) Text(s *Subject) (string, error) {
	v, err := l.value(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", l.text, err)
	case v.composite:
		return "", fmt.Errorf("%s is an object or a list, not a text", l.text)
	case !v.there || v.text == "":
		return "", fmt.Errorf("%s is not in the event", l.text)
	}
	return v.text, nil
}

// JSON returns the part of the payload that a json: lookup finds, as it was
// sent; for other lookups, their text as JSON.
func (l Lookup) JSON(s *Subject) ([]byte, error) {
	v, err := l.value(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", l.text, err)
	case v.raw != "":
		return []byte(v.raw), nil
	case !v.there:
		return nil, fmt.Errorf("%s is not in the event", l.text)
	}
	return []byte(quoted(v.text)), nil
}

// Subject is an event that lookups look into. It parses a payload once. It is
// not for several goroutines at once.
type Subject struct {
	event   Event
	payload []byte

	read   bool
	text   string // the JSON
	isJSON bool
	form   url.Values
	noForm error
}

// NewSubject returns the Subject of an event and its payload. Neither may change
// while it is in use.
func NewSubject(ev Event, payload []byte) *Subject { return &Subject{event: ev, payload: payload} }

var (
	errNoJSON = errors.New("the payload is not JSON")
	errNoForm = errors.New("the payload is not a form")
)

func (s *Subject) jsonAt(path string) (found, error) {
	if !s.read {
		s.read, s.text = true, string(JSONOf(s.event, s.payload))
		// The standard library bounds how deep a payload nests. gjson's own check
		// recurses: a few megabytes of "[" would end the process.
		s.isJSON = json.Valid([]byte(s.text))
	}
	if !s.isJSON {
		return found{}, errNoJSON
	}
	r := gjson.Get(s.text, path)
	v := found{there: r.Exists(), raw: r.Raw}
	switch r.Type {
	case gjson.Number:
		v.text, v.number = r.Raw, true // as it was sent: a large integer is no float
	case gjson.JSON:
		v.composite = true
	case gjson.Null:
		v.empty = true
	case gjson.String:
		v.text, v.empty = r.Str, r.Str == ""
	case gjson.True:
		v.text = "true"
	case gjson.False:
		v.text, v.empty = "false", true
	}
	return v, nil
}

func (s *Subject) formField(name string) (found, error) {
	if s.form == nil && s.noForm == nil {
		if s.form, s.noForm = url.ParseQuery(string(s.payload)); s.noForm != nil || !isForm(s.event) {
			s.form, s.noForm = nil, errNoForm
		}
	}
	if s.noForm != nil {
		return found{}, s.noForm
	}
	return textual(s.form.Get(name)), nil
}

func isForm(ev Event) bool {
	mediaType, _, _ := mime.ParseMediaType(ev.ContentType)
	return mediaType == "application/x-www-form-urlencoded"
}

// JSONOf returns the JSON in a payload: the payload itself or, in a form, the
// field "payload", in which GitHub and Slack put it.
func JSONOf(ev Event, payload []byte) []byte {
	if !isForm(ev) {
		return payload
	}
	form, err := url.ParseQuery(string(payload))
	if err != nil || !form.Has("payload") {
		return payload
	}
	return []byte(form.Get("payload"))
}

// Template is a text with lookups in braces, "order-{json:data.order}". A text
// that is a lookup as a whole, "json:data.order", is one without the braces.
type Template struct {
	text  string
	parts []templatePart
}

type templatePart struct {
	literal string
	lookup  *Lookup // nil for a literal
}

// ParseTemplate reads a template. The error says what is wrong with the text.
func ParseTemplate(text string) (Template, error) {
	t := Template{text: text}
	if kind, _, ok := strings.Cut(text, ":"); ok && isKind(kind) {
		l, err := ParseLookup(text)
		if err != nil {
			return Template{}, err
		}
		t.parts = []templatePart{{lookup: &l}}
		return t, nil
	}
	for rest := text; rest != ""; {
		literal, from, opens := strings.Cut(rest, "{")
		if literal != "" {
			t.parts = append(t.parts, templatePart{literal: literal})
		}
		if !opens {
			break
		}
		inside, after, closes := cutOutside(from, "}")
		if !closes {
			return Template{}, fmt.Errorf("a { has no } behind it in %q", text)
		}
		l, err := ParseLookup(inside)
		if err != nil {
			return Template{}, err
		}
		t.parts = append(t.parts, templatePart{lookup: &l})
		rest = after
	}
	if len(t.parts) == 0 {
		return Template{}, errors.New("the text is empty")
	}
	return t, nil
}

func isKind(kind string) bool {
	switch kind {
	case "json", "form", "header", "event":
		return true
	}
	return false
}

// String returns the template as it was written.
func (t Template) String() string { return t.text }

// Text returns the template's text for an event. The error says which lookup
// finds nothing.
func (t Template) Text(s *Subject) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.lookup == nil {
			b.WriteString(p.literal)
			continue
		}
		text, err := p.lookup.Text(s)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}
