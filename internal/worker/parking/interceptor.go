// Package parking keeps a run that cannot go on open, until a person says how
// it does.
//
// It is a worker interceptor, so Workflows have nothing of it in their code. A
// step whose Retry Policy is used up, or that failed for good, does not return
// its error: it parks. The run stays open, says in the Web UI what is the
// matter and what can be done, and goes on from that step when it is resumed.
//
// Where the Workflow as a whole fails (its payload does not decode, it returns
// an error, it panics) the run continues as new, under its Workflow Id, and
// parks before the function is entered. Resumed, the function runs with the
// results of the steps that are done, which do not run again. The new history
// holds nothing of the code that failed, so that mended code can be deployed
// under it.
//
// A run that never parks has not one history event of this package's.
package parking

import (
	"strings"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// Options are what the Interceptor is told.
type Options struct {
	// ParkFor is how long a run may stay parked before it closes as failed
	// with an error of type TypeExpired; 0 for as long as it takes. It is
	// written into the history when a step parks, so a change applies to
	// what parks after it.
	ParkFor time.Duration
	// Fits returns what is wrong with a payload for a Workflow Type, or nil.
	// It has to be deterministic. nil takes every payload.
	Fits func(workflowType string, ev event.Event, payload []byte) error
}

// Interceptor parks. Order matters: it comes before the interceptors that set
// Activity options, so that it sees them.
type Interceptor struct {
	interceptor.WorkerInterceptorBase
	options Options
}

// New returns an Interceptor.
func New(o Options) *Interceptor { return &Interceptor{options: o} }

// System marks Workflow Types that are Hookyard's own: they have no event,
// and nobody is there to repair them.
const System = "hookyard."

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (i *Interceptor) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	if strings.HasPrefix(workflow.GetInfo(ctx).WorkflowType.Name, System) {
		return next
	}
	return &inbound{
		WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next},
		run:                            &run{options: i.options},
	}
}

type offKey struct{}

// Off returns a context in which a step that fails returns its error to the
// Workflow, which then has to deal with it.
func Off(ctx workflow.Context) workflow.Context { return workflow.WithValue(ctx, offKey{}, true) }

func isOff(ctx workflow.Context) bool {
	off, _ := ctx.Value(offKey{}).(bool)
	return off
}
