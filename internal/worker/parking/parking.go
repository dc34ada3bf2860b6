// Package parking keeps a run that cannot go on open, until a person decides
// how it goes on.
//
// It works from outside the Workflow's code. A step whose Retry Policy is used
// up, or that failed for good, does not return its error to the Workflow: it
// parks. The run stays open, says in the Web UI what is the matter and what can
// be done, and goes on from that step when it is resumed.
//
// Where the Workflow as a whole fails (its payload does not decode, it returns
// an error, it panics) the run continues as new, under its Workflow Id, and
// parks before the function is entered. When it is resumed, the function runs
// with the results of the steps that are done, which do not run again. The new
// history holds nothing of the code that failed, so that corrected code can be
// deployed under it.
//
// A run that never parks has no history event of this package. In a run that
// parks, no command grows with the number of parked steps.
package parking

import (
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// Options are the settings of a Run.
type Options struct {
	// ParkFor is how long a run may stay parked before it closes as failed
	// with an error of type event.ErrorExpired; 0 for as long as it takes. It
	// is written into the history when a run parks, so a change applies to
	// the runs that park after it.
	ParkFor time.Duration
	// Fits returns what is wrong with a payload for a Workflow Type, or nil.
	// It has to be deterministic. nil takes every payload.
	Fits func(workflowType string, ev event.Event, payload []byte) error
	// DataConverter is the worker's; nil for the SDK's default.
	DataConverter converter.DataConverter
}

type offKey struct{}

// Off returns a context in which a step that fails returns its error to the
// Workflow, which then has to handle it.
func Off(ctx workflow.Context) workflow.Context { return workflow.WithValue(ctx, offKey{}, true) }

func isOff(ctx workflow.Context) bool {
	off, _ := ctx.Value(offKey{}).(bool)
	return off
}
