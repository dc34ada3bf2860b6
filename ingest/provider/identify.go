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
}

// The longest id and type, in bytes, that name an event. Real ones are well
// below 200 bytes.
const (
	maxID   = 1024
	maxType = 200
)

// Identify names the events of a verified delivery. The error wraps
// ErrNoEvent.
func (r *Receiver) Identify(d *Delivery) ([]Identity, error) {
	v := &view{Delivery: d}
	id, ok := firstOf(r.ids, v)
	if !ok {
		return nil, fmt.Errorf("%w: none of these holds an id: %s", ErrNoEvent, list(r.ids))
	}
	if len(id) > maxID {
		return nil, fmt.Errorf("%w: the event id is %d bytes, at most %d are taken", ErrNoEvent, len(id), maxID)
	}
	eventType, _ := firstOf(r.types, v)
	if len(eventType) > maxType {
		return nil, fmt.Errorf("%w: the event type is %d bytes, at most %d are taken", ErrNoEvent, len(eventType), maxType)
	}
	if !printable(eventType) {
		return nil, fmt.Errorf("%w: the event type %q is not printable text", ErrNoEvent, eventType)
	}
	return []Identity{{ID: id, Type: eventType, Payload: d.Body}}, nil
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
