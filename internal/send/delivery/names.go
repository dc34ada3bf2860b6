// Package delivery holds the Workflows of sending: one that delivers a message
// to an endpoint, one that starts the deliveries of a message, one that looks
// after an endpoint that fails, and those that challenge and replay.
//
// Its names and the JSON of its types are held by histories: they may be added
// to and not changed.
package delivery

import (
	"time"

	"github.com/hookyard/hookyard/event"
)

// The Workflow Types. Deliveries park like the runs of events, and have their
// name in the package event for that.
const (
	FanOutWorkflow = "hookyard.fanout"
	WatchWorkflow  = "hookyard.endpoint"
	VerifyWorkflow = "hookyard.verify"
	ReplayWorkflow = "hookyard.resend"
	LaneWorkflow   = "hookyard.lane"
)

// The Workflow Ids. No event has one of these, because the Workflow Id of an
// event holds no slash.
const (
	fanOutID = "hookyard/send/"
	watchID  = "hookyard/endpoint/"
	verifyID = "hookyard/verify/"
	replayID = "hookyard/resend/"
	laneID   = "hookyard/lane/"
)

// FanOutID returns the Workflow Id of the start of a message's deliveries.
func FanOutID(tenant, message string) string { return fanOutID + tenant + "/" + message }

// WatchID returns the Workflow Id of the watch over an endpoint.
func WatchID(endpoint string) string { return watchID + endpoint }

// VerifyID returns the Workflow Id of the challenge of an endpoint.
func VerifyID(endpoint string) string { return verifyID + endpoint }

// ReplayID returns the Workflow Id of a replay.
func ReplayID(replay string) string { return replayID + replay }

// LaneID returns the Workflow Id of the lane of an ordered endpoint.
func LaneID(endpoint string) string { return laneID + endpoint }

// ID returns the Workflow Id of the delivery of a message to an endpoint.
func ID(endpoint, message string) string { return event.WorkflowID(endpoint, message) }

// MessageKey is the value of event.MessageAttribute.
func MessageKey(tenant, message string) string { return tenant + "/" + message }

// The Signals.
const (
	SignalChanged = "changed" // to a watch: the state of the endpoint is another one
	SignalNext    = "next"    // to a lane: a Message follows
)

// QueryProgress asks a replay how far it is.
const QueryProgress = "progress"

// Provider is the provider of the event that stands for a delivery.
const Provider = "hookyard"

// Ref is the second argument of a delivery: what its event does not say.
type Ref struct {
	Tenant string `json:"tenant"`
	// Lane is set where a lane delivers one message after the other.
	Lane bool `json:"lane,omitempty"`
}

// Event is the first argument of a delivery.
func Event(endpoint, message, eventType string, published time.Time, held bool) event.Event {
	return event.Event{
		Source: endpoint, Provider: Provider, ID: message, Type: eventType, ReceivedAt: published, Held: held,
	}
}

// Attempt is one attempt to deliver.
type Attempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status,omitempty"` // of the answer; 0 for none
	Millis int64     `json:"ms"`               // until the answer, or until there was none
	Error  string    `json:"error,omitempty"`  // why there was no answer
	// Answer is the beginning of the answer's body, at most 1 KiB.
	Answer string `json:"answer,omitempty"`
}

// The outcomes of a delivery.
const (
	Delivered   = "delivered"
	Undelivered = "undelivered" // the endpoint is disabled or deleted, or the message is gone
)

// Outcome is what a delivery returns.
type Outcome struct {
	State    string    `json:"state"`
	Why      string    `json:"why,omitempty"` // of Undelivered
	Attempts []Attempt `json:"attempts,omitempty"`
}
