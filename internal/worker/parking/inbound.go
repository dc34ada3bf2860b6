package parking

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// inbound wraps a Workflow's function.
type inbound struct {
	interceptor.WorkflowInboundInterceptorBase
	run *run
}

// Init puts the steps of the Workflow under the run's eyes.
func (i *inbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	i.run.out = next
	return i.Next.Init(&outbound{interceptor.WorkflowOutboundInterceptorBase{Next: next}, i.run})
}

// ExecuteWorkflow runs the function beside what people send, until one of them
// ends the run.
func (i *inbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	r := i.run
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
		result, err = i.whole(ctx, in)
		finished = true
	})
	// A canceled Workflow may still have things to put in order, so its end
	// is waited for here all the same.
	unbound, _ := workflow.NewDisconnectedContext(ctx)
	if err := workflow.Await(unbound, func() bool { return finished || r.ending != nil }); err != nil {
		return nil, err
	}
	if r.ending == nil {
		return result, err
	}
	stop()
	// Whoever sent an update gets its answer before the run closes.
	if err := workflow.Await(unbound, func() bool { return workflow.AllHandlersFinished(unbound) }); err != nil {
		return nil, err
	}
	return nil, r.ending(unbound)
}

// whole runs the function. Where it fails as a whole, the run goes on in
// another one, parked before the function: whatever the function did in this
// one is then out of the way of the code that is deployed to mend it.
func (i *inbound) whole(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if source, held := i.run.held(ctx); held {
		d, err := i.run.hold(ctx, source)
		if err != nil {
			return nil, err
		}
		if d.resolved {
			return json.RawMessage(d.result), nil
		}
	}
	if failed := i.run.legacy.Failed; failed != nil {
		d, err := i.run.park(ctx, *failed)
		if err != nil {
			return nil, err
		}
		if d.resolved {
			return json.RawMessage(d.result), nil
		}
	}
	started := workflow.Now(ctx)
	result, err := guarded(func() (any, error) { return i.Next.ExecuteWorkflow(ctx, in) })
	if err == nil || ends(ctx, err) {
		return result, err
	}
	i.run.failed = &Step{Name: WholeWorkflow, Reason: reasonOfWhole(err), Error: clip(Message(err), 1<<10), Started: started}
	i.run.end(i.run.startOver)
	return nil, workflow.Await(ctx, func() bool { return false })
}

// ends reports an error that ends a run as it is meant to.
func ends(ctx workflow.Context, err error) bool {
	var anew *workflow.ContinueAsNewError
	return errors.As(err, &anew) || temporal.IsCanceledError(err) && ctx.Err() != nil
}

// guarded turns a panic with an error into that error. Any other panic is
// Temporal's own, such as that of a replay that does not match.
func guarded(f func() (any, error)) (result any, err error) {
	defer func() {
		switch broken := recover().(type) {
		case nil:
		case error:
			err = &panicked{broken}
		default:
			panic(broken) //nolint:forbidigo // it is not ours to keep
		}
	}()
	return f()
}

// panicked is what the function panicked with.
type panicked struct{ error }

func (p *panicked) Unwrap() error { return p.error }

// begin registers what people can send, first of all, so that the Web UI's
// menus have it.
func (r *run) begin(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) error {
	args, err := arguments(in.Args)
	if err != nil {
		return err
	}
	r.args = args
	r.legacy, r.keys = inherit(ctx), keys{}
	if r.log = r.legacy.Log; len(r.log) > 0 {
		workflow.SetCurrentDetails(ctx, r.details(ctx))
	}
	r.listen(ctx)
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateAmend, r.amend, workflow.UpdateHandlerOptions{
		Description: `Start over with a corrected payload: {"payload": {…}, "by": "you", "why": "…"}. Works at any time.`,
		Validator:   r.amendable,
	})
}

// arguments returns the run's arguments as they can be passed on to another.
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

// payload returns the event's payload, or nil where the run is not an event's.
func (r *run) payload() *commonpb.Payload {
	if len(r.args) != 2 {
		return nil
	}
	raw, _ := r.args[1].(converter.RawValue)
	return raw.Payload()
}

// amendable is the validator of the amend update.
func (r *run) amendable(ctx workflow.Context, a Amend) error {
	_, err := r.corrected(workflow.GetInfo(ctx).WorkflowType.Name, a)
	return err
}

// amend is the handler of the amend update.
func (r *run) amend(ctx workflow.Context, a Amend) (string, error) {
	payload, err := r.corrected(workflow.GetInfo(ctx).WorkflowType.Name, a)
	if err != nil {
		return "", err
	}
	r.args = []any{r.args[0], converter.NewRawValue(payload)}
	r.calls, r.failed = nil, nil // that was with another payload
	r.note(ctx, UpdateAmend, "", a.By, a.Why)
	r.end(r.startOver)
	return fmt.Sprintf("starting over with a payload of %d bytes", len(payload.GetData())), nil
}

// corrected returns the amended payload, or what is wrong with it.
func (r *run) corrected(workflowType string, a Amend) (*commonpb.Payload, error) {
	ev, ok := r.event()
	if !ok || r.payload() == nil {
		return nil, errors.New("this Workflow has no event whose payload could be amended")
	}
	body, encoding := []byte(a.Payload), converter.MetadataEncodingJSON
	switch {
	case (len(a.Payload) == 0) == (a.Base64 == ""):
		return nil, errors.New(`give either "payload" or "payload_base64"`)
	case a.Base64 != "":
		var err error
		if body, err = base64.StdEncoding.DecodeString(a.Base64); err != nil {
			return nil, fmt.Errorf(`"payload_base64": %w`, err)
		}
		if !json.Valid(body) {
			encoding = converter.MetadataEncodingBinary
		}
	}
	if r.options.Fits != nil {
		if err := r.options.Fits(workflowType, ev, body); err != nil {
			return nil, err
		}
	}
	return &commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding)},
		Data:     body,
	}, nil
}
