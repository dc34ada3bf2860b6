package event

import (
	"crypto/sha256"
	"encoding/hex"
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
	// Doubts say what could not be evaluated when the edge looked for a route.
	Doubts []string `json:"doubts,omitempty"`
}

// Action is what the run of an event does. The empty Action runs a Workflow.
type Action string

// The actions.
const (
	ActionWorkflow Action = ""        // run the Workflow that handles the event
	ActionForward  Action = "forward" // POST the payload to the route's URL
	ActionKeep     Action = "keep"    // keep the event in a run that completes at once
)

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
