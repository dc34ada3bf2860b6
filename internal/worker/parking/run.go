package parking

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// Run watches one run of a Workflow. It is the interceptor around the
// Workflow's function. Only the run's own coroutines use it, one at a time.
type Run struct {
	interceptor.WorkflowInboundInterceptorBase
	options Options
	server  interceptor.WorkflowOutboundInterceptor // for the Activities of this package

	args    []any
	started time.Time
	calls   []*call     // in the order in which the Workflow made them
	keys    keys        // of the calls that were looked up in carried
	carried carriedOver // from the run that this one continues
	failed  *Step       // the function as a whole, once it has failed

	board board    // the parked steps
	log   []string // who did what, for the details

	ending  func(ctx workflow.Context) error // closes the run; nil while it goes on
	carries bool                             // the run that continues this one gets what is done
}

// NewRun returns a Run around the Workflow's function.
func NewRun(o Options, function interceptor.WorkflowInboundInterceptor) *Run {
	if o.DataConverter == nil {
		o.DataConverter = converter.GetDefaultDataConverter()
	}
	return &Run{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: function}, options: o}
}

// ExecuteWorkflow runs the function and takes what people send, until either
// ends the run.
func (r *Run) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if err := r.begin(ctx, in); err != nil {
		return nil, err
	}
	var (
		result   any
		err      error
		finished bool
	)
	body, stop := workflow.WithCancel(ctx)
	workflow.GoNamed(body, "workflow", func(ctx workflow.Context) {
		result, err = r.whole(workflow.WithDataConverter(ctx, &results{DataConverter: r.options.DataConverter, run: r}), in)
		finished = true
	})
	// A canceled Workflow may still have to tidy up, so this waits for its end.
	unbound, _ := workflow.NewDisconnectedContext(ctx)
	if err := workflow.Await(unbound, func() bool { return finished || r.ending != nil }); err != nil {
		return nil, err
	}
	if r.ending == nil {
		r.clear(unbound)
		return result, err
	}
	stop()
	// Whoever sent an Update gets its answer before the run closes.
	if err := workflow.Await(unbound, func() bool { return workflow.AllHandlersFinished(unbound) }); err != nil {
		return nil, err
	}
	r.clear(unbound)
	return nil, r.ending(unbound)
}

// begin registers what people can send, first of all, so that the Web UI's
// menus have it.
func (r *Run) begin(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) error {
	args, err := arguments(in.Args)
	if err != nil {
		return err
	}
	r.args, r.started = args, workflow.Now(ctx)
	r.carried, r.keys = r.readCarriedOver(ctx), keys{}
	if r.log = r.carried.Log; len(r.log) > 0 {
		workflow.SetCurrentDetails(ctx, r.details(ctx))
	}
	r.listen(ctx)
	unbound, _ := workflow.NewDisconnectedContext(ctx)
	workflow.GoNamed(unbound, "parked", r.keepShown)
	workflow.GoNamed(unbound, "expiry", r.expire)
	return workflow.SetUpdateHandlerWithOptions(ctx, event.UpdateAmend, r.amend, workflow.UpdateHandlerOptions{
		Description: `Start over with a corrected payload: {"payload": {…}, "by": "you", "why": "…"}. Works at any time.`,
		Validator:   r.amendable,
	})
}

// whole runs the function. Where it fails as a whole, the run continues as
// another one, which is parked before the function: whatever the function did
// in this run is then out of the way of the code that is deployed to correct it.
func (r *Run) whole(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if source, held := r.held(ctx); held {
		d, err := r.hold(ctx, source)
		if err != nil {
			return nil, err
		}
		if d.resolved {
			return json.RawMessage(d.result), nil
		}
	}
	if failed := r.carried.Failed; failed != nil {
		d, err := r.park(ctx, &parkedStep{Step: *failed})
		if err != nil {
			return nil, err
		}
		if d.resolved {
			return json.RawMessage(d.result), nil
		}
	}
	var (
		result any
		err    error
	)
	if broken := guarded(func() { result, err = r.Next.ExecuteWorkflow(ctx, in) }); broken != nil {
		err = broken
	}
	if err == nil || ends(ctx, err) {
		return result, err
	}
	r.fail(ctx, err)
	return nil, workflow.Await(ctx, func() bool { return false })
}

// fail has the run continue as one that is parked as a whole, unless it is
// about to close already.
func (r *Run) fail(ctx workflow.Context, err error) {
	if r.ending != nil {
		return
	}
	workflow.GetLogger(ctx).Warn("the Workflow failed as a whole", "err", err)
	r.failed = &Step{Name: event.WholeWorkflow, Reason: reasonOfWhole(err), Error: Clip(Message(err), maxError), Started: r.started}
	r.end(r.startOver)
	// The SDK runs other coroutines again only if this one got on. It does not
	// see that where a panic left a Selector.
	_ = workflow.Await(ctx, func() bool { return true })
}

// end has the run closed by the given function. The first one to ask decides.
func (r *Run) end(how func(ctx workflow.Context) error) {
	if r.ending == nil {
		r.ending = how
	}
}

// ends reports an error that ends a run as it is meant to end.
func ends(ctx workflow.Context, err error) bool {
	var anew *workflow.ContinueAsNewError
	app, said := errors.AsType[*temporal.ApplicationError](err)
	if said && app.Type() == event.ErrorUndelivered && app.NonRetryable() {
		return true
	}
	return errors.As(err, &anew) || temporal.IsCanceledError(err) && ctx.Err() != nil
}

// arguments returns the run's arguments in a form that another run can be given.
func arguments(args []any) ([]any, error) {
	if len(args) != 1 {
		return args, nil
	}
	encoded, dynamic := args[0].(converter.EncodedValues)
	if !dynamic {
		return args, nil
	}
	var ev event.Event
	var payload converter.RawValue
	if err := encoded.Get(&ev, &payload); err != nil {
		return nil, fmt.Errorf("not an event: %w", err)
	}
	return []any{ev, payload}, nil
}

// Event returns the run's event, if it has one.
func (r *Run) Event() (event.Event, bool) {
	if len(r.args) == 0 {
		return event.Event{}, false
	}
	ev, ok := r.args[0].(event.Event)
	return ev, ok
}

// payload returns the event's payload, or nil where the run has no event.
func (r *Run) payload() *commonpb.Payload {
	if len(r.args) != 2 {
		return nil
	}
	raw, _ := r.args[1].(converter.RawValue)
	return raw.Payload()
}
