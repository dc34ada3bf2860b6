package worker

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/alert"
	"github.com/hookyard/hookyard/internal/worker/forward"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// Registry is the part of a worker, or of a test environment, that takes
// Workflows.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
	RegisterDynamicWorkflow(w any, options workflow.DynamicRegisterOptions)
}

// Register gives the worker every handler, and a dynamic Workflow for the
// types that only a pattern fits, or nothing does. It adds Hookyard's own: the
// Workflow that tells people of parked runs, and that of a pause. The error
// names a handler that is there twice or without a provider.
func Register(r Registry, handlers []Handler) error {
	r.RegisterWorkflowWithOptions(alerting, workflow.RegisterOptions{Name: alert.AlertWorkflow})
	r.RegisterWorkflowWithOptions(pausing, workflow.RegisterOptions{Name: event.PauseWorkflow})
	var patterns []Handler
	seen := map[string]bool{alert.AlertWorkflow: true, event.PauseWorkflow: true}
	for _, h := range handlers {
		if provider, eventType, _ := strings.Cut(h.pattern, "."); provider == "" || eventType == "" {
			return fmt.Errorf("workflow %q: want \"<provider>.<event type>\", such as \"stripe.invoice.paid\"", h.pattern)
		}
		if seen[h.pattern] {
			return fmt.Errorf("workflow %q is in the registry twice; remove one", h.pattern)
		}
		seen[h.pattern] = true
		if strings.Contains(h.pattern, "*") {
			patterns = append(patterns, h)
			continue
		}
		r.RegisterWorkflowWithOptions(h.run, workflow.RegisterOptions{Name: h.pattern})
	}
	r.RegisterDynamicWorkflow(func(ctx workflow.Context, args converter.EncodedValues) error {
		var ev event.Event
		var payload converter.RawValue
		if err := args.Get(&ev, &payload); err != nil {
			return fmt.Errorf("not an event: %w", err)
		}
		return closest(patterns, workflow.GetInfo(ctx).WorkflowType.Name).run(ctx, ev, payload)
	}, workflow.DynamicRegisterOptions{})
	return nil
}

// closest returns the handler whose pattern says most about the name.
func closest(patterns []Handler, name string) Handler {
	best := Handler{run: unhandled, fits: func(event.Event, []byte) error { return nil }}
	for _, h := range patterns {
		if event.Match(h.pattern, name) && event.Literals(h.pattern) > event.Literals(best.pattern) {
			best = h
		}
	}
	return best
}

// Fits returns what a person's correction of a payload is held against: the
// type that the handler of a Workflow Type decodes.
func Fits(handlers []Handler) func(workflowType string, ev event.Event, body []byte) error {
	return func(workflowType string, ev event.Event, body []byte) error {
		return closest(handlers, workflowType).fits(ev, body)
	}
}

// stateAttribute marks what a list of runs should show besides open or closed.
var stateAttribute = temporal.NewSearchAttributeKeyKeyword(parking.StateAttribute)

// unhandled does with an event what its source said when it came in.
func unhandled(ctx workflow.Context, ev event.Event, payload converter.RawValue) error {
	switch ev.Unhandled {
	case event.UnhandledForward:
		var forward *forward.Forward
		return workflow.ExecuteActivity(ctx, forward.ForwardEvent, ev, payload).Get(ctx, nil)
	case event.UnhandledComplete:
		return workflow.UpsertTypedSearchAttributes(ctx, stateAttribute.ValueSet(TypeUnhandled))
	default:
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("no Workflow handles %q: add one to the registry, or set `forward` or `unhandled: complete` for source %q",
				ev.WorkflowType(), ev.Source),
			TypeUnhandled, nil)
	}
}
