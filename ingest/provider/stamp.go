package provider

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

// Sample returns a body to try the provider with, for the given event type or,
// if that is "", the first type by name. known lists the types there are.
func (p *Provider) Sample(eventType string) (sample []byte, chosen string, known []string) {
	known = sortedKeys(p.samples)
	if eventType == "" && len(known) > 0 {
		eventType = known[0]
	}
	return p.samples[eventType], eventType, known
}

// SampleDelivery returns an unsigned POST of the body. One that is not JSON is
// sent as a form.
func SampleDelivery(target string, body []byte) *Delivery {
	contentType := "application/json"
	if len(body) > 0 && !validJSON(string(body)) {
		contentType = formType
	}
	return &Delivery{
		Method: http.MethodPost,
		URL:    target,
		Header: http.Header{"Content-Type": {contentType}},
		Body:   body,
	}
}

// Stamp writes an event id and type into d where the provider would put them;
// of a batch, into the first item. An empty one is left as it is. Where the id
// is put together from several values it goes into one of them; where it is a
// hash it goes into the body as something to hash. So the same id makes the
// same event again, and another makes another.
func (r *Receiver) Stamp(d *Delivery, id, eventType string) error {
	if _, now := r.names(d); eventType != "" && now != eventType {
		// A sample without a type goes by a name of ours.
		_, sample := r.samples[eventType]
		if err := putFirst(r.here(d, r.types), d, eventType); err != nil && (!sample || now != "") {
			return fmt.Errorf("event type: %w", err)
		}
	}
	if id == "" {
		return nil
	}
	return r.stampID(d, id)
}

// stampID tries the places that the id may come from, until one shows in the
// event's name and leaves the type as it is.
func (r *Receiver) stampID(d *Delivery, id string) error {
	if s, ok := r.verifier.(Stamper); ok {
		return s.Stamp(d, id)
	}
	was, eventType := r.names(d)
	if was == id {
		return nil
	}
	try := func(s lookup, value string, shows func(now string) bool) bool {
		trial := *d
		trial.Header, trial.Body = d.Header.Clone(), bytes.Clone(d.Body)
		if s.put(&trial, value) != nil {
			return false
		}
		now, sameType := r.names(&trial)
		if sameType != eventType || !shows(now) {
			return false
		}
		*d = trial
		return true
	}
	lookups := r.here(d, r.ids)
	for _, s := range flat(lookups) {
		if try(s, id, func(now string) bool { return strings.Contains(now, id) }) {
			return nil
		}
	}
	another := func(now string) bool { return now != was }
	if now, _ := r.names(d); another(now) {
		return nil // no two deliveries are the same event
	}
	for _, s := range flat(lookups) {
		if value, ok := s.find(&view{Delivery: d}); ok && try(s, alike(value, id), another) {
			return nil
		}
	}
	for _, name := range []string{"item:", "json:", "form:"} {
		s, _ := parseLookup(name + "hookyard_sample") // a plain name always parses
		if try(r.here(d, []lookup{s})[0], id, another) {
			return nil
		}
	}
	return fmt.Errorf("event id: none of these can be written: %s", list(r.ids))
}

// alike returns a text made of id that has the form of a real one, for ids
// that are known by their form: the digits are others, decimal and hexadecimal,
// but for the first two.
func alike(form, id string) string {
	sum := sha256.Sum256([]byte(id))
	text := []byte(form)
	for i := 2; i < len(text); i++ {
		b := sum[i%len(sum)]
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			text[i] = '0' + b%10
		case 'a' <= c && c <= 'f':
			text[i] = 'a' + b%6
		case 'A' <= c && c <= 'F':
			text[i] = 'A' + b%6
		}
	}
	return string(text)
}

// flat returns the lookups, with composed ones as what they are made of.
func flat(lookups []lookup) []lookup {
	var all []lookup
	for _, s := range lookups {
		if s.kind == "" {
			all = append(all, flat(s.parts)...)
		} else {
			all = append(all, s)
		}
	}
	return all
}

// names returns what the first event of d goes by now.
func (r *Receiver) names(d *Delivery) (id, eventType string) {
	if i, ok := r.verifier.(Identifier); ok {
		if events, err := i.Identify(d); err == nil && len(events) > 0 {
			return events[0].ID, events[0].Type
		}
		return "", ""
	}
	v := r.view(d)
	if r.isBatch(v) {
		if items, err := r.each.items(v); err == nil && len(items) > 0 {
			v.item, v.element = items[0].text, items[0].element
		}
	}
	eventType, _ = firstOf(r.types, v)
	id, _ = r.idOf(v, eventType)
	return id, eventType
}

// here returns the lookups with those that look into an item looking into the
// first one of the delivery's list.
func (r *Receiver) here(d *Delivery, lookups []lookup) []lookup {
	if !r.isBatch(r.view(d)) {
		return lookups
	}
	moved := make([]lookup, len(lookups))
	for i, l := range lookups {
		if moved[i] = r.each.first(d, l); l.kind == "" {
			moved[i].parts = r.here(d, l.parts)
		}
	}
	return moved
}

func (b *batch) first(d *Delivery, l lookup) lookup {
	if l.kind != "item" {
		return l
	}
	// An object may stand in the place of the list.
	isList := b.field != "" || gjson.GetBytes(d.Body, b.path).IsArray()
	path := l.arg
	if isList {
		path = "0." + path
	}
	if b.path != "@this" {
		// The first list of several that are strung together will do.
		path = strings.NewReplacer(".#.", ".0.", "|@flatten", "").Replace(b.path) + "." + path
	}
	text := "json:" + path
	if b.field != "" {
		text = "form:" + b.field + "|" + path
	}
	moved, err := parseLookup(text)
	if err != nil {
		return l
	}
	return moved
}

// putFirst writes to the place that has a value already, else to the first
// that can be written.
func putFirst(lookups []lookup, d *Delivery, value string) error {
	v := &view{Delivery: d}
	for _, l := range lookups {
		if got, ok := l.find(v); ok && got != "" && l.put(d, value) == nil {
			return nil
		}
	}
	for _, l := range lookups {
		if l.put(d, value) == nil {
			return nil
		}
	}
	if len(lookups) == 0 {
		return errors.New("the provider sends none")
	}
	return fmt.Errorf("none of these can be written: %s", list(lookups))
}

// onlyIf is how a path says that the body has to match before it is looked
// into.
var onlyIf = regexp.MustCompile(`^\[@this\]\.#\([^)]*\)\.`)

// put writes a value where the lookup will find it.
func (l lookup) put(d *Delivery, value string) error {
	switch l.kind {
	case "header":
		d.Header.Set(l.arg, value)
	case "query":
		putQuery(d, l.arg, value)
	case "json":
		if len(d.Body) > 0 && !validJSON(string(d.Body)) {
			return fmt.Errorf("%s cannot be written: the body is not JSON", l)
		}
		body, err := sjson.SetBytes(d.Body, onlyIf.ReplaceAllString(l.arg, ""), value)
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", l, err)
		}
		d.Body = body
	case "form":
		return l.putForm(d, value)
	case "":
		// Of several values that make one, the first that is text will do.
		for _, part := range l.parts {
			if part.put(d, value) == nil {
				return nil
			}
		}
		return fmt.Errorf("%s cannot be written", l)
	default:
		return fmt.Errorf("%s cannot be written", l)
	}
	return nil
}

func (l lookup) putForm(d *Delivery, value string) error {
	field, path, inner := strings.Cut(l.arg, "|")
	form, err := url.ParseQuery(string(d.Body))
	if err != nil {
		return fmt.Errorf("%s: the body is not a form: %w", l, err)
	}
	if inner {
		if value, err = sjson.Set(form.Get(field), path, value); err != nil {
			return fmt.Errorf("%s cannot be written: %w", l, err)
		}
	}
	form.Set(field, value)
	d.Body = []byte(form.Encode())
	return nil
}
