package worker

import (
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/internal/worker/parking"
)

// Policy is how one Activity is attempted.
type Policy struct {
	Retry temporal.RetryPolicy
	// Timeout bounds one attempt.
	Timeout time.Duration
}

// Policies is the worker interceptor that gives Activities the options their
// Workflow did not set. Options are not part of what a replay compares, so a
// change of policy is safe for open runs: it applies to the steps that they
// have yet to schedule.
type Policies struct {
	interceptor.WorkerInterceptorBase
	// Default is for every Activity that ByActivity does not name.
	Default    Policy
	ByActivity map[string]Policy

	replaced atomic.Pointer[Policies] // nil until Replace
}

// Replace has p go by other policies from now on.
func (p *Policies) Replace(with *Policies) { p.replaced.Store(with) }

// of returns the policy of an Activity.
func (p *Policies) of(activityType string) Policy {
	if now := p.replaced.Load(); now != nil {
		p = now
	}
	if policy, named := p.ByActivity[activityType]; named {
		return policy
	}
	return p.Default
}

// Interceptors are what a worker, and a replay, puts around the Workflows. The
// order matters: a step is given its policy first, then watched by parking, and
// only then attempted. What is measured is all of it.
func Interceptors(policies *Policies, o parking.Options) []interceptor.WorkerInterceptor {
	return []interceptor.WorkerInterceptor{&Measure{}, &FirstAttempt{}, parking.New(o), policies}
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (p *Policies) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &policiesInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, p}
}

type policiesInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	policies *Policies
}

func (i *policiesInbound) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&policiesOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: outbound}, i.policies})
}

type policiesOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	policies *Policies
}

func (o *policiesOutbound) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	policy := o.policies.of(activityType)
	options := workflow.GetActivityOptions(ctx)
	if options.RetryPolicy == nil {
		options.RetryPolicy = &policy.Retry
	}
	if options.StartToCloseTimeout == 0 && options.ScheduleToCloseTimeout == 0 {
		options.StartToCloseTimeout = policy.Timeout
	}
	return o.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, options), activityType, args...)
}
