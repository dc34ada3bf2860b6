package provider

import (
	"fmt"
	"unicode"
	"unicode/utf8"
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

// maxEvents is the most events that one delivery may carry. Providers stop at
// a thousand or two.
const maxEvents = 10_000

// Identify names the events of a verified delivery: none where it is an empty
// batch. Two of them share an id only where the provider has sent one event
// twice, or gives one id to two. The error wraps ErrNoEvent.
func (r *Receiver) Identify(d *Delivery) ([]Identity, error) {
	if i, ok := r.verifier.(Identifier); ok {
		return i.Identify(d)
	}
	v := r.view(d)
	if !r.isBatch(v) {
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
		v.item, v.element = item.text, item.element
		if identities[i], err = r.identify(v, []byte(item.text)); err != nil {
			return nil, fmt.Errorf("item %d of %d: %w", i+1, len(items), err)
		}
	}
	return identities, nil
}

func (r *Receiver) view(d *Delivery) *view {
	return &view{Delivery: d, options: r.binding.Options, attemptFields: r.spec.Event.AttemptFields}
}

// isBatch reports whether the delivery holds a list of events.
func (r *Receiver) isBatch(v *view) bool { return r.each != nil && r.allHold(r.each.when, v) }

// identify names the event that v shows.
func (r *Receiver) identify(v *view, payload []byte) (Identity, error) {
	eventType, err := r.typeOf(v)
	if err != nil {
		return Identity{}, err
	}
	id, err := r.idOf(v, eventType)
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
func (r *Receiver) identifyWhole(v *view, items []batchItem) ([]Identity, error) {
	common := ""
	for i, item := range items {
		v.item, v.element = item.text, item.element
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
	v.item, v.element = "", ""
	_, isJSON := v.json()
	return []Identity{{ID: hexSHA256(v.Body), Type: common, Payload: v.Body, JSON: isJSON}}, nil
}

func (r *Receiver) idOf(v *view, eventType string) (string, error) {
	if r.binding.ReplayGuard {
		return guardedID(v), nil
	}
	ids := r.ids
	if v.item != "" {
		ids = r.itemIDs
	}
	id, ok := firstOf(ids, v)
	if !ok && r.spec.Event.NoFallback == "" {
		id, ok = r.fallbackID(v, eventType)
	}
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

// fallbackID is the digest of what the delivery carries. A type that stands
// outside of that tells two events apart that are the same bytes.
func (r *Receiver) fallbackID(v *view, eventType string) (string, bool) {
	digest, ok := v.deliveryDigest()
	if ok && r.typeOutside && eventType != "" {
		digest = eventType + "-" + digest
	}
	return digest, ok
}

// guardedID is made of what is signed alone: of the body, and in a batch of the
// item as well, or all items of a delivery would be one event.
func guardedID(v *view) string {
	if v.item == "" {
		return v.bodyDigest()
	}
	return v.bodyDigest() + "-" + v.itemDigest()
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
