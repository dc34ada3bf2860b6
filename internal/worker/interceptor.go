package worker

import (
	"strings"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/internal/worker/parking"
)

// Options are the settings of the Interceptor.
type Options struct {
	// Policies give Activities the options that their Workflow did not set;
	// nil leaves them as they are.
	Policies *Policies
	Parking  parking.Options
	// Tasks knows which Workflow Tasks failed before; nil takes every one for
	// a first attempt.
	Tasks *Tasks
}

// Interceptor is what a worker, a replay and a test put around the Workflows.
// Hookyard's own Workflows run without it: they have no event, and nobody
// repairs them.
func Interceptor(o Options) interceptor.WorkerInterceptor {
	if o.Policies == nil {
		o.Policies = NewPolicies(PolicySet{})
	}
	return &around{options: o}
}

// around makes the two ways through what Hookyard adds to a run.
type around struct {
	interceptor.WorkerInterceptorBase
	options Options
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (a *around) InterceptWorkflow(ctx workflow.Context, function interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	if strings.HasPrefix(workflow.GetInfo(ctx).WorkflowType.Name, system) {
		return function
	}
	run := parking.NewRun(a.options.Parking, function)
	return &wrapped{
		// The function is entered through measured, then the run that parks.
		WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{
			Next: &measured{interceptor.WorkflowInboundInterceptorBase{Next: run}},
		},
		// A step leaves it through its policy, then the run that parks, then
		// the first attempt, to the server.
		steps: func(server interceptor.WorkflowOutboundInterceptor) interceptor.WorkflowOutboundInterceptor {
			return &withPolicy{event: run.Event, policies: a.options.Policies, WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{
				Next: run.Steps(&firstAttempt{event: run.Event, tasks: a.options.Tasks, WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{
					Next: server,
				}}),
			}}
		},
	}
}

// system starts the names of Hookyard's own Workflow Types.
const system = "hookyard."

// wrapped is a run with both ways.
type wrapped struct {
	interceptor.WorkflowInboundInterceptorBase
	steps func(server interceptor.WorkflowOutboundInterceptor) interceptor.WorkflowOutboundInterceptor
}

// Init implements interceptor.WorkflowInboundInterceptor.
func (w *wrapped) Init(server interceptor.WorkflowOutboundInterceptor) error {
	return w.Next.Init(w.steps(server))
}
