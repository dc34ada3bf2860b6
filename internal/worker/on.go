package worker

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// The types of the errors of a run that no Workflow could take on. It parks
// with that reason. Histories hold them: never rename one.
const (
	// TypeUndecodable: the payload does not fit what the Workflow expects.
	TypeUndecodable = string(event.ReasonUndecodable)
	// TypeUnhandled: there is no Workflow for the event's type.
	TypeUnhandled = string(event.ReasonUnhandled)
)

// Handler is a Workflow and the names of the events it is for.
type Handler struct {
	pattern string
	run     func(ctx workflow.Context, ev event.Event, payload converter.RawValue) error
	fits    func(ev event.Event, body []byte) error

	activities []any
}

// Pattern is the name of the events that the Handler is for.
func (h Handler) Pattern() string { return h.pattern }

// Activities are what the Workflow calls, as On was given them.
func (h Handler) Activities() []any { return h.activities }

// On hands the events whose Workflow Type, "<provider>.<event type>", fits the
// pattern to fn. In a pattern "*" stands for any characters. An exact name is
// preferred to a pattern, and a pattern with more of the name in it to one
// with less.
//
// The payload is decoded as JSON, whatever JSON there is in a form's "payload"
// field included; T may be []byte for the bytes as they were signed. One that
// does not fit parks the run with the reason TypeUndecodable, for a person to
// amend it or, once the Workflow takes it, to resume the run.
//
// The activities are those that fn calls: pointers to structs, or functions.
func On[T any](pattern string, fn func(workflow.Context, event.Event, T) error, activities ...any) Handler {
	return Handler{
		pattern:    pattern,
		activities: activities,
		run: func(ctx workflow.Context, ev event.Event, payload converter.RawValue) error {
			decoded, err := decode[T](ev, payload.Payload().GetData())
			if err != nil {
				return err
			}
			return fn(ctx, ev, decoded)
		},
		fits: func(ev event.Event, body []byte) error {
			_, err := decode[T](ev, body)
			return err
		},
	}
}

func decode[T any](ev event.Event, body []byte) (T, error) {
	var decoded T
	if raw, ok := any(&decoded).(*[]byte); ok {
		*raw = body
		return decoded, nil
	}
	text := event.JSONOf(ev, body)        //workflowcheck:ignore // the same bytes give the same text
	err := json.Unmarshal(text, &decoded) //workflowcheck:ignore // and the same value
	if err != nil {
		return decoded, temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("the payload of %d bytes, %s, does not fit %T: %v", len(body), contentType(ev), decoded, err),
			TypeUndecodable, nil)
	}
	return decoded, nil
}

func contentType(ev event.Event) string {
	if ev.ContentType == "" {
		return "without a Content-Type"
	}
	return strings.ToValidUTF8(ev.ContentType, "?")
}
