package worker

import (
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// WithoutParking is the Interceptor less what parks: what fails is an error
// that a test can see.
func WithoutParking(o Options) interceptor.WorkerInterceptor {
	return &bare{options: o}
}

type bare struct {
	interceptor.WorkerInterceptorBase
	options Options
}

func (b *bare) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	policies := b.options.Policies
	if policies == nil {
		policies = NewPolicies(PolicySet{})
	}
	return &wrapped{
		WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next},
		steps: func(server interceptor.WorkflowOutboundInterceptor) interceptor.WorkflowOutboundInterceptor {
			return &withPolicy{event: func() (event.Event, bool) { return event.Event{}, false }, policies: policies, WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: server}}
		},
	}
}

// FirstAttemptOnly is the part of the Interceptor that makes first attempts, of
// the steps with these names.
func FirstAttemptOnly(tasks *Tasks, steps ...string) interceptor.WorkerInterceptor {
	return &firstOnly{tasks: tasks, steps: steps}
}

type firstOnly struct {
	interceptor.WorkerInterceptorBase
	tasks *Tasks
	steps []string
}

func (f *firstOnly) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &wrapped{
		WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next},
		steps: func(server interceptor.WorkflowOutboundInterceptor) interceptor.WorkflowOutboundInterceptor {
			return &firstAttempt{
				event: func() (event.Event, bool) { return event.Event{Local: f.steps}, true }, tasks: f.tasks,
				WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: server},
			}
		},
	}
}
