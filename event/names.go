package event

import "strings"

// Every name in this file is held by histories, saved views of the Web UI and
// programs that send Signals. A name may be added. None may be renamed.

// The Search Attributes of Hookyard's Workflows, all of type Keyword.
const (
	SourceAttribute = "HookSource"     // the Event's Source
	TypeAttribute   = "HookEventType"  // the Event's Type
	StateAttribute  = "HookState"      // a State constant, or absent
	ReasonAttribute = "HookParkReason" // a ParkReason; set while the run is parked or held
	// MessageAttribute is of deliveries: "<tenant>/<message id>".
	MessageAttribute = "HookMessage"
)

// SearchAttributes lists the names of all Search Attributes.
func SearchAttributes() []string {
	return []string{SourceAttribute, TypeAttribute, StateAttribute, ReasonAttribute, MessageAttribute}
}

// The values of StateAttribute.
const (
	// StateParked: a step failed for good, and the run waits for a person.
	StateParked = "parked"
	// StateHeld: the source is paused, and the run waits for the end of the
	// pause. Nobody has to mend anything, so lists, counts and alerts of
	// parked runs leave it out.
	StateHeld = "held"
	// StateKept: the run completed at once, because the route only keeps the
	// event.
	StateKept = "kept"
)

// ParkReason is why a step is parked. It is the value of ReasonAttribute.
type ParkReason string

// The reasons.
const (
	ReasonExhausted   ParkReason = "exhausted"   // the Retry Policy allows no further attempt
	ReasonPermanent   ParkReason = "permanent"   // the error says that another attempt is of no use
	ReasonTimeout     ParkReason = "timeout"     // the last attempt did not end in time
	ReasonUndecodable ParkReason = "undecodable" // the payload does not fit the Workflow's type
	ReasonUnhandled   ParkReason = "unhandled"   // no Workflow handles the event's type
	ReasonPanic       ParkReason = "panic"       // the Workflow's code panicked
	ReasonFailed      ParkReason = "failed"      // the Workflow returned an error, or a step failed in another way
	// ReasonUnregistered: no worker that polls the Task Queue has the Activity.
	ReasonUnregistered ParkReason = "unregistered"
	ReasonPaused       ParkReason = "paused" // the run is held, because its source is paused; nothing failed
)

// ParkReasons lists the reasons of parked runs. ReasonPaused, which only held
// runs have, is not among them.
func ParkReasons() []ParkReason {
	return []ParkReason{
		ReasonExhausted, ReasonPermanent, ReasonTimeout, ReasonUndecodable, ReasonUnhandled, ReasonPanic, ReasonFailed, ReasonUnregistered,
	}
}

// The Signals and the Update that every run takes from a person or a program.
const (
	SignalResume  = "resume"
	SignalResolve = "resolve"
	SignalDiscard = "discard"
	UpdateAmend   = "amend"
)

// The Activities and the Workflow that a run uses for its own bookkeeping. They
// are no steps of a team's Workflow.
const (
	// ReportActivity has somebody told of a parked step. Its argument is a
	// ParkedReport.
	ReportActivity = "ReportParked"
	// PauseActivity asks whether a source is still paused.
	PauseActivity = "PauseOpen"
	// AlertWorkflow is the Workflow Type that tells people of a source's
	// parked runs. Its Workflow Id is AlertID.
	AlertWorkflow = "hookyard.alerts"
)

// ReconcileWorkflow is the Workflow Type that asks a provider what has happened
// and has what never came started.
const ReconcileWorkflow = "hookyard.reconcile"

const reconcileID = "hookyard/reconcile/"

// ReconcileID returns the id of the Schedule by which a source is reconciled.
// The Workflow Ids of its runs begin with it.
func ReconcileID(source string) string { return reconcileID + source }

// ReconciledSource returns the source of the Schedule with that id.
func ReconciledSource(scheduleID string) (source string, ok bool) {
	return strings.CutPrefix(scheduleID, reconcileID)
}

// AlertID returns the Workflow Id of the AlertWorkflow of a source. No event
// has such an id, because the Workflow Id of an event holds no slash.
func AlertID(source string) string { return "hookyard/alerts/" + source }

// The types of the Temporal application errors that close a run on purpose.
const (
	ErrorDiscarded = "Discarded"   // a person discarded the event
	ErrorExpired   = "ParkExpired" // the run was parked for longer than park_for
	// ErrorUndelivered: a delivery ended because its endpoint is disabled or
	// deleted. A replay may start it again.
	ErrorUndelivered = "Undelivered"
)

// ErrorExhausted is the type of the error of an Activity that has no attempt
// left by a schedule of its own. Such a step parks as ReasonExhausted; the
// error's first detail is the number of attempts.
const ErrorExhausted = "Exhausted"

// DeliveryWorkflow is the Workflow Type of the delivery of a message to an
// endpoint. Its arguments are an Event, whose Source is the endpoint, and a
// reference to the message.
const DeliveryWorkflow = "send.delivery"

// EndpointsLabel is the source, in metrics, of all deliveries to endpoints. There
// are as many endpoints as customers want, and metrics have one series for each
// value of a label. No source has this name.
const EndpointsLabel = "(endpoints)"

// ErrorUnregistered is the type of the error of an Activity that no worker has
// registered. A step that fails with it parks as ReasonUnregistered.
const ErrorUnregistered = "Unregistered"

// WholeWorkflow is the name of the step that stands for the Workflow's function
// as a whole.
const WholeWorkflow = "workflow"

// ParkedMemo is the memo in which a parked run keeps what is parked, so that a
// list of runs shows it without a query to each run.
const ParkedMemo = "HookParked"
