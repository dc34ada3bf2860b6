// Package event holds what the edge and the Workflows agree on: a verified
// webhook's header, its Workflow Id, its Workflow Type, and how event types
// are matched by pattern.
//
// It is a wire format. Histories in Temporal hold Events for as long as their
// runs are kept, so a field may be added and never renamed, removed or given
// another meaning.
package event

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Event is the header of a verified webhook and the first argument of every
// Workflow. The payload travels beside it as an argument of its own, byte for
// byte as it was signed.
type Event struct {
	// Source is the configured endpoint that took the delivery ("stripe-eu").
	Source string `json:"source"`
	// Provider is who sent it ("stripe").
	Provider string `json:"provider"`
	// ID is the provider's id of the event, as it was sent. It is the same
	// in every redelivery.
	ID string `json:"id"`
	// Type is the provider's name for what happened ("invoice.paid"). It is
	// empty where the provider sends none.
	Type string `json:"type,omitempty"`
	// ReceivedAt is when the edge took the delivery that started the run.
	ReceivedAt time.Time `json:"received_at"`
	// ContentType is the delivery's Content-Type header.
	ContentType string `json:"content_type,omitempty"`
	// Headers are the delivery's headers as they came, at most MaxHeaders
	// bytes of names and values. A batch's events all have those of their
	// delivery. Never among them are credentials, cookies, signatures and
	// secrets of the provider, headers of the connection or of proxies, and
	// what the source's drop_headers or the config's log.mask names.
	Headers Headers `json:"headers,omitempty"`
	// HeadersLeftOut names the headers that Headers has no room for: the
	// largest ones. At most 1 KiB of names is kept; where there are more,
	// "..." is the last entry.
	HeadersLeftOut []string `json:"headers_left_out,omitempty"`
	// Route is what becomes of the Event.
	Route Route `json:"route,omitzero"`
	// Local names the Activities whose first attempt is made where the
	// Workflow runs. The edge records it, so that a later change of the config
	// cannot change how a run replays.
	Local []string `json:"local,omitempty"`
	// Held is set where the edge knew the source to be paused: the run then
	// waits before its Workflow's function is entered, until the pause ends.
	Held bool `json:"held,omitempty"`
	// Via is ViaReconcile where the Event was found in a list of the provider's
	// API, because its delivery never came: the payload is then the API's, which
	// nobody has signed, and ReceivedAt is when it was found. Empty for a
	// delivery.
	Via string `json:"via,omitempty"`
}

// ViaReconcile is the Via of an Event that was found by asking the provider.
const ViaReconcile = "reconcile"

// LocalWithin is the longest timeout of a step whose first attempt is made where
// the Workflow runs. A Workflow Task may take 10 s by itself, so an attempt that
// fits into it needs no heartbeat.
const LocalWithin = 5 * time.Second

// MaxHeaders is how much of a delivery's headers an Event holds, in bytes of
// names and values: 16 KiB.
const MaxHeaders = 16 << 10

// MaxWorkflowID is the longest Workflow Id, in bytes. Temporal's SQL schemas
// store Workflow Ids as VARCHAR(255); the rest is room for suffixes.
const MaxWorkflowID = 200

// hashed marks an event id that stands for the digest of the real one.
const hashed = "sha256-"

// WorkflowID returns the Workflow Id of the event id as the given source sent
// it: "<source>:<id>" where that is at most MaxWorkflowID bytes of
// [A-Za-z0-9._:@-], else "<source>:sha256-<hex digest of id>". Nothing is
// trimmed or folded, so distinct ids keep distinct Workflow Ids; an id that
// itself starts like a digest is hashed, so that it cannot pose as another's.
func WorkflowID(source, id string) string {
	if plain(id) && !strings.HasPrefix(id, hashed) && len(source)+1+len(id) <= MaxWorkflowID {
		return source + ":" + id
	}
	sum := sha256.Sum256([]byte(id))
	return source + ":" + hashed + hex.EncodeToString(sum[:])
}

func plain(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '@', c == '-':
		default:
			return false
		}
	}
	return id != ""
}

// WorkflowID returns the Event's Workflow Id.
func (e Event) WorkflowID() string { return WorkflowID(e.Source, e.ID) }

// Untyped stands in a Workflow Type for the type of an event that has none.
const Untyped = "untyped"

// WorkflowType returns the name of the Workflow that handles the Event: the one
// that its Route names, else "<provider>.<event type>", with Untyped for a
// missing type.
func (e Event) WorkflowType() string {
	if e.Route.Workflow != "" {
		return e.Route.Workflow
	}
	if e.Type == "" {
		return e.Provider + "." + Untyped
	}
	return e.Provider + "." + e.Type
}

// Key returns the idempotency key of one step of the Event's processing. It
// is the same in every attempt and in every run that a Reset makes, so an
// outside system that honours it does the step once.
func (e Event) Key(step string) string { return e.WorkflowID() + ":" + step }
