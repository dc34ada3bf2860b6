package parking

import (
	"encoding/json"
	"time"
)

// The signals and the update of every run. People and programs send them by
// these names, and histories hold them: never rename one.
const (
	SignalResume  = "resume"
	SignalResolve = "resolve"
	SignalDiscard = "discard"
	UpdateAmend   = "amend"
)

// Resume asks for a parked step again. The zero Resume, which is also what a
// signal without input means, asks for all of them.
type Resume struct {
	// Step is the name of a parked step; empty for all of them.
	Step string `json:"step,omitempty"`
	// By and Why say who wants it and for what reason.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

// Resolve says that a parked step was done by hand.
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

// Discard closes a parked run as failed.
type Discard struct {
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

// Amend starts the Workflow over with a corrected payload. Exactly one of
// Payload and Base64 is given.
type Amend struct {
	// Payload is the corrected payload where that is JSON. A client that
	// encodes this type loses the blanks in it; Base64 loses nothing.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Base64 is the corrected payload where it is not.
	Base64 string `json:"payload_base64,omitempty"`
	By     string `json:"by,omitempty"`
	Why    string `json:"why,omitempty"`
}

// The Search Attributes that a parked run carries, and State's values.
const (
	StateAttribute  = "HookState"
	ReasonAttribute = "HookParkReason"
	StateParked     = "parked"
	// StateHeld is of a run whose source is paused. It waits for the end of
	// the pause and not for somebody to mend something, so that lists, counts
	// and alerts of parked runs leave it out.
	StateHeld = "held"
)

// Reason is why a step is parked.
type Reason string

// The reasons. Saved views hold them: one may be added and none renamed.
const (
	ReasonExhausted   Reason = "exhausted"   // its Retry Policy allows no further attempt
	ReasonPermanent   Reason = "permanent"   // its error says that another attempt is no use
	ReasonTimeout     Reason = "timeout"     // its last attempt did not end in time
	ReasonUndecodable Reason = "undecodable" // the payload does not fit the Workflow
	ReasonUnhandled   Reason = "unhandled"   // no Workflow handles the event's type
	ReasonPanic       Reason = "panic"       // the Workflow's code broke
	ReasonFailed      Reason = "failed"      // the Workflow returned an error, or a step failed in another way
	ReasonPaused      Reason = "paused"      // nothing is wrong: the source is paused, and the run is held
)

// Reasons lists those of parked runs, as HookParkReason has them.
func Reasons() []string {
	return []string{
		string(ReasonExhausted), string(ReasonPermanent), string(ReasonTimeout), string(ReasonUndecodable),
		string(ReasonUnhandled), string(ReasonPanic), string(ReasonFailed),
	}
}

// ReportActivity is the Activity that a run schedules when something parks, to
// have somebody told. It is none of the Workflow's steps.
const ReportActivity = "ReportParked"

// PauseActivity is the Activity that a held run schedules to ask whether its
// source is still paused. It is none of the Workflow's steps.
const PauseActivity = "PauseOpen"

// The types of the errors that a run is closed with on purpose.
const (
	TypeDiscarded = "Discarded"
	TypeExpired   = "ParkExpired"
)

// WholeWorkflow is the name of the step that stands for the Workflow's
// function as a whole.
const WholeWorkflow = "workflow"

// MemoKey is the memo in which a parked run says what is parked, so that a
// list of runs shows it without asking each of them.
const MemoKey = "HookParked"

// Parked is the memo's value. It is empty in a run that goes on.
type Parked struct {
	Steps []Step `json:"steps,omitempty"`
}

// Step is one parked step.
type Step struct {
	// Name is the Activity's type, with "#2" and so on where several of one
	// type are parked; WholeWorkflow for the function.
	Name   string `json:"name"`
	Reason Reason `json:"reason"`
	// Error is the last error, at most 1 KiB of it.
	Error string `json:"error"`
	// Attempts is how often it was tried before it parked; 0 where that is
	// not known.
	Attempts int `json:"attempts,omitempty"`
	// Since is when it parked: another time at every park, so that it tells
	// one park of a step from the next. Started is when it was scheduled.
	Since   time.Time `json:"since"`
	Started time.Time `json:"started"`
}
