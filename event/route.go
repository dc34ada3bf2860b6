package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Route says what becomes of an event: what the first route of its source that
// fits says. The edge writes it into the Event, so a later change of the config
// changes nothing for events that have come. The zero Route starts the Workflow
// "<provider>.<type>" on the default Task Queue.
type Route struct {
	// Name is the route's name in the config, or what it fits: "invoice.*", or
	// "invoice.* where json:livemode=true". It is empty where no route fits.
	Name string `json:"name,omitempty"`
	// Action is what the run does with the event.
	Action Action `json:"action,omitempty"`
	// Workflow is the Workflow Type; empty for "<provider>.<type>".
	Workflow string `json:"workflow,omitempty"`
	// TaskQueue is where the run starts; empty for the config's own.
	TaskQueue string `json:"task_queue,omitempty"`
	// Priority is 1, the most urgent, to 5; 0 for Temporal's default, 3.
	Priority int `json:"priority,omitempty"`
	// FairnessKey shares a Task Queue out among those who have the same key. It
	// is at most MaxFairnessKey bytes; empty for the Event's source.
	FairnessKey string `json:"fairness_key,omitempty"`
	// FairnessWeight is how large the key's share is, 0.001 to 1000; 0 for 1.
	FairnessWeight float32 `json:"fairness_weight,omitempty"`
	// Waiting is what waits for the event; nil for an action that reaches nobody.
	Waiting *Waiting `json:"waiting,omitempty"`
	// Doubts say what could not be evaluated when the edge looked for a route.
	Doubts []string `json:"doubts,omitempty"`
}

// Action is what the run of an event does. The empty Action runs a Workflow.
type Action string

// The actions.
const (
	ActionWorkflow Action = ""         // run the Workflow that handles the event
	ActionForward  Action = "forward"  // POST the payload to the route's URL
	ActionKeep     Action = "keep"     // keep the event in a run that completes at once
	ActionSignal   Action = "signal"   // send a Signal to the Workflow that waits for it
	ActionUpdate   Action = "update"   // send an Update to the Workflow that waits for it
	ActionComplete Action = "complete" // complete the Activity that waits for it
)

// Waiting is a Workflow, or an Activity of one, that waits for an event. The ids
// are texts with places of the event in them, see ParseTemplate. The event's run
// fills them in, so an amended payload counts.
type Waiting struct {
	// Workflow is the Workflow Id.
	Workflow string `json:"workflow"`
	// Name is that of the Signal or the Update.
	Name string `json:"name,omitempty"`
	// Activity is the Activity Id.
	Activity string `json:"activity,omitempty"`
	// Result is the Lookup of the Activity's result; empty for the payload.
	Result string `json:"result,omitempty"`
	// FailsIf is the Condition on which the Activity fails; empty for never.
	FailsIf string `json:"fails_if,omitempty"`
	// Wait is how long the run tries to reach it before it parks.
	Wait time.Duration `json:"wait"`
	// Start is the Workflow Type that a Signal starts where no Workflow has the
	// id; empty to wait for one.
	Start string `json:"start,omitempty"`
	// TaskQueue is where Start starts; empty for the queue of the event's run.
	TaskQueue string `json:"task_queue,omitempty"`
}

// Received is what a Signal or an Update of a route carries, as JSON.
type Received struct {
	Event Event `json:"event"`
	// Payload is the event's payload where that is JSON, or the field "payload"
	// of a form; empty otherwise.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Bytes are any other payload.
	Bytes []byte `json:"bytes,omitempty"`
}

// NewReceived returns what a Signal or an Update about an event carries.
func NewReceived(ev Event, payload []byte) Received {
	if text := JSONOf(ev, payload); json.Valid(text) {
		return Received{Event: ev, Payload: text}
	}
	return Received{Event: ev, Bytes: payload}
}

// Body returns the payload: the JSON, or the other bytes.
func (r Received) Body() []byte {
	if len(r.Payload) > 0 {
		return r.Payload
	}
	return r.Bytes
}

// ErrorFailed is the type of the error with which an Activity fails that a route
// completes, where the condition of the route holds.
const ErrorFailed = "EventFailed"

// MaxFairnessKey is the longest fairness key that Temporal takes, in bytes.
const MaxFairnessKey = 64

// ShortFairnessKey returns the key itself, or its SHA-256 digest in hex where it
// is longer than MaxFairnessKey or is not UTF-8, which Temporal refuses.
func ShortFairnessKey(key string) string {
	if len(key) <= MaxFairnessKey && utf8.ValidString(key) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
