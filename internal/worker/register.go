package worker

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// Registry is the part of a worker, or of a test environment, that takes
// Workflows.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
	RegisterDynamicWorkflow(w any, options workflow.DynamicRegisterOptions)
}

// CheckHandlers returns what keeps handlers from being registered: a name
// without a provider, or one that is given twice.
func CheckHandlers(handlers []Handler) error {
	seen := map[string]bool{event.AlertWorkflow: true, event.PauseWorkflow: true, event.DeliveryWorkflow: true, event.ReconcileWorkflow: true}
	var errs []error
	for _, h := range handlers {
		provider, eventType, _ := strings.Cut(h.pattern, ".")
		switch {
		case provider == "" || eventType == "":
			errs = append(errs, fmt.Errorf("workflow %q: want \"<provider>.<event type>\", such as \"stripe.invoice.paid\"", h.pattern))
		case seen[h.pattern]:
			errs = append(errs, fmt.Errorf("there are two Workflows for %q; remove one", h.pattern))
		}
		seen[h.pattern] = true
	}
	return errors.Join(errs...)
}

// Register gives the worker every handler, and a dynamic Workflow for the types
// that only a pattern fits, or nothing does. It adds Hookyard's own Workflows:
// the one that tells people of parked runs, and the one of a pause. The error
// is that of CheckHandlers.
func Register(r Registry, handlers []Handler) error {
	if err := CheckHandlers(handlers); err != nil {
		return err
	}
	r.RegisterWorkflowWithOptions(alerting, workflow.RegisterOptions{Name: event.AlertWorkflow})
	r.RegisterWorkflowWithOptions(pausing, workflow.RegisterOptions{Name: event.PauseWorkflow})
	var patterns []Handler
	for _, h := range handlers {
		if strings.Contains(h.pattern, "*") {
			patterns = append(patterns, h)
			continue
		}
		r.RegisterWorkflowWithOptions(routed(h.run), workflow.RegisterOptions{Name: h.pattern})
	}
	r.RegisterDynamicWorkflow(func(ctx workflow.Context, args converter.EncodedValues) error {
		var ev event.Event
		var payload converter.RawValue
		if err := args.Get(&ev, &payload); err != nil {
			return fmt.Errorf("not an event: %w", err)
		}
		return routed(closest(patterns, workflow.GetInfo(ctx).WorkflowType.Name).run)(ctx, ev, payload)
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
		if ev.Route.Action != event.ActionWorkflow {
			return nil // no handler decodes it
		}
		return closest(handlers, workflowType).fits(ev, body)
	}
}

// unhandled parks an event that no Workflow handles.
func unhandled(_ workflow.Context, ev event.Event, _ converter.RawValue) error {
	return temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("no Workflow handles %q: add one to the program with hookyard.On, or give source %q a route for this type, such as {type: %q, keep: true}",
			ev.WorkflowType(), ev.Source, ev.Type),
		TypeUnhandled, nil)
}
