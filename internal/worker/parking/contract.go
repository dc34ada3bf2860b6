package parking

import (
	"encoding/json"
	"time"

	"github.com/hookyard/hookyard/event"
)

// Resume is the input of the Signal event.SignalResume. The zero Resume, which
// is also what a Signal without input means, asks for all parked steps.
type Resume struct {
	// Step is the name of a parked step; empty for all of them.
	Step string `json:"step,omitempty"`
	// By and Why say who wants it and for what reason.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

// Resolve is the input of the Signal event.SignalResolve: a parked step was
// done by hand.
type Resolve struct {
	// Step is the name of the step; it may be empty where only one is
	// parked.
	Step string `json:"step,omitempty"`
	// Result is what the step would have returned; none where it returns
	// nothing.
	Result json.RawMessage `json:"result,omitempty"`
	By     string          `json:"by,omitempty"`
	Why    string          `json:"why,omitempty"`
}

// Discard is the input of the Signal event.SignalDiscard: it closes a parked
// run as failed.
type Discard struct {
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

// Amend is the input of the Update event.UpdateAmend: it starts the Workflow
// over with a corrected payload. Exactly one of Payload and Base64 is given.
type Amend struct {
	// Payload is the corrected payload where that is JSON. A client that
	// encodes this type loses the blanks in it; Base64 loses nothing.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Base64 is the corrected payload where it is not JSON.
	Base64 string `json:"payload_base64,omitempty"`
	By     string `json:"by,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Parked is the value of the memo event.ParkedMemo. It is empty in a run in
// which nothing is parked.
type Parked struct {
	// Steps are the first ten, in the order in which they parked.
	Steps []Step `json:"steps,omitempty"`
	// More is how many others are parked. It may be ten seconds behind.
	More int `json:"more,omitempty"`
}

// Step is one parked step.
type Step struct {
	// Name is the Activity's type, with "#2" and so on where several of one
	// type are parked; event.WholeWorkflow for the Workflow's function.
	Name   string           `json:"name"`
	Reason event.ParkReason `json:"reason"`
	// Error is the last error, at most 1 KiB of it.
	Error string `json:"error"`
	// Attempts is how often the step was tried before it parked; 0 where that
	// is not known.
	Attempts int `json:"attempts,omitempty"`
	// Since is when it parked: another time at every park, so that it tells
	// one park of a step from the next. Started is when it was scheduled.
	Since   time.Time `json:"since"`
	Started time.Time `json:"started"`
}
