package provider

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Identity is one event in a delivery.
type Identity struct {
	// ID is the same in every redelivery.
	ID string
	// Type is the provider's name for what happened; "" where it sends none.
	Type string
	// Payload is the event's part of the body: all of it, byte for byte,
	// where the provider sends one event at a time.
	Payload []byte
	// JSON says that the payload is JSON.
	JSON bool
}

// The longest id and type, in bytes, that name an event. Real ones are well
// below 200 bytes.
const (
	maxID   = 1024
	maxType = 200
)

// Identify names the events of a verified delivery: none where it is an empty
// batch. The error wraps ErrNoEvent.
func (r *Receiver) Identify(d *Delivery) ([]Identity, error) {
	if i, ok := r.verifier.(Identifier); ok {
		return i.Identify(d)
	}
	v := &view{Delivery: d, options: r.binding.Options}
	if r.each == nil {
		identity, err := r.identify(v, d.Body)
		if err != nil {
			return nil, err
		}
		return []Identity{identity}, nil
	}
	items, err := r.each.items(v)
	switch {
	case err != nil || len(items) == 0:
		return nil, err
	case r.binding.Whole:
		return r.identifyWhole(v, items)
	}
	identities := make([]Identity, len(items))
	for i, item := range items {
		v.item = item.Raw
		if identities[i], err = r.identify(v, []byte(item.Raw)); err != nil {
			return nil, fmt.Errorf("item %d of %d: %w", i+1, len(items), err)
		}
	}
	return identities, nil
}

// identify names the event that v shows.
func (r *Receiver) identify(v *view, payload []byte) (Identity, error) {
	id, err := r.idOf(v)
	if err != nil {
		return Identity{}, err
	}
	eventType, err := r.typeOf(v)
	if err != nil {
		return Identity{}, err
	}
	isJSON := v.item != ""
	if !isJSON {
		_, isJSON = v.json()
	}
	return Identity{ID: id, Type: eventType, Payload: payload, JSON: isJSON}, nil
}

// identifyWhole names a batch that is one event: its id is the body's hash, as
// the items of a redelivery may be batched otherwise, and its type the one
// that all of its items have.
func (r *Receiver) identifyWhole(v *view, items []gjson.Result) ([]Identity, error) {
	common := ""
	for i, item := range items {
		v.item = item.Raw
		eventType, err := r.typeOf(v)
		if err != nil {
			return nil, fmt.Errorf("item %d of %d: %w", i+1, len(items), err)
		}
		if i == 0 {
			common = eventType
		}
		if eventType != common {
			common = ""
			break
		}
	}
	_, isJSON := v.json()
	return []Identity{{ID: hexSHA256(v.Body), Type: common, Payload: v.Body, JSON: isJSON}}, nil
}

func (r *Receiver) idOf(v *view) (string, error) {
	if r.binding.ReplayGuard {
		return hexSHA256(v.Body), nil
	}
	id, ok := firstOf(r.ids, v)
	if !ok {
		return "", fmt.Errorf("%w: none of these holds an id: %s", ErrNoEvent, list(r.ids))
	}
	if len(id) > maxID {
		return "", fmt.Errorf("%w: the event id is %d bytes, at most %d are taken", ErrNoEvent, len(id), maxID)
	}
	if !utf8.ValidString(id) {
		// JSON, in which histories hold the Event, would make another id of
		// it, and one and the same of several.
		return "", fmt.Errorf("%w: the event id %q is not UTF-8", ErrNoEvent, id)
	}
	return id, nil
}

func (r *Receiver) typeOf(v *view) (string, error) {
	eventType, _ := firstOf(r.types, v)
	if len(eventType) > maxType {
		return "", fmt.Errorf("%w: the event type is %d bytes, at most %d are taken", ErrNoEvent, len(eventType), maxType)
	}
	if !printable(eventType) {
		return "", fmt.Errorf("%w: the event type %q is not printable text", ErrNoEvent, eventType)
	}
	return eventType, nil
}

// printable text can be part of a Workflow Type, which Temporal stores and
// shows as text.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// batch is where the list of events stands in a delivery.
type batch struct {
	text  string // as written in the file
	field string // of a form; "" for a JSON body
	path  string
}

func parseBatch(text string) (*batch, error) {
	kind, arg, _ := strings.Cut(text, ":")
	b := &batch{text: text, path: arg}
	if kind == "form" {
		b.field, b.path, _ = strings.Cut(arg, "|")
		if b.path == "" {
			b.path = "@this"
		}
	}
	if arg == "" || (kind != "json" && kind != "form") {
		return nil, fmt.Errorf("%q names no list; want json:PATH, or form:FIELD|PATH", text)
	}
	return b, nil
}

// items returns the events of the list, byte for byte.
func (b *batch) items(v *view) ([]gjson.Result, error) {
	text, ok := v.json()
	switch {
	case b.field != "":
		if text, ok = v.formField(b.field); !ok || !validJSON(text) {
			return nil, fmt.Errorf("%w: there is no JSON in %s", ErrNoEvent, b.text)
		}
	case text == "":
		return nil, nil
	case !ok:
		return nil, fmt.Errorf("%w: the body is not JSON", ErrNoEvent)
	}
	switch found := gjson.Get(text, b.path); {
	case found.IsArray():
		return found.Array(), nil
	case found.IsObject():
		return []gjson.Result{found}, nil
	default:
		return nil, fmt.Errorf("%w: there is no list at %s", ErrNoEvent, b.text)
	}
}
