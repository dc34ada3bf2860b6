package worker

import (
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// Policy says how one Activity is attempted.
type Policy struct {
	Retry temporal.RetryPolicy
	// Timeout bounds one attempt.
	Timeout time.Duration
	// TaskQueue is where the Activity runs; empty for the Task Queue of its run.
	TaskQueue string
}

// Entries are Policies by Activity.
type Entries struct {
	// Default is for every Activity that ByActivity does not name.
	Default    Policy
	ByActivity map[string]Policy
}

// of returns the policy of an Activity.
func (e Entries) of(activityType string) Policy {
	if policy, named := e.ByActivity[activityType]; named {
		return policy
	}
	return e.Default
}

// PolicySet says how the Activities of all runs are attempted. Nothing changes
// it once Policies hold it.
type PolicySet struct {
	Entries // of every source that BySource does not name
	// BySource are whole: a source's Entries take nothing from the others.
	BySource map[string]Entries
}

// of returns the policy of an Activity in a run of the source.
func (s *PolicySet) of(source, activityType string) Policy {
	if own, named := s.BySource[source]; named {
		return own.of(activityType)
	}
	return s.Entries.of(activityType)
}

// Policies hold the PolicySet in use. Workers read it while a reload replaces
// it.
type Policies struct {
	inUse atomic.Pointer[PolicySet]
}

// NewPolicies returns Policies that hold the set.
func NewPolicies(set PolicySet) *Policies {
	p := &Policies{}
	p.Replace(set)
	return p
}

// Replace changes the set. Activity options are not part of what a replay
// compares, so this is safe for open runs: it applies to the steps that they
// schedule from now on.
func (p *Policies) Replace(set PolicySet) { p.inUse.Store(&set) }

// withPolicy gives Activities the options that their Workflow did not set.
type withPolicy struct {
	interceptor.WorkflowOutboundInterceptorBase
	event    func() (event.Event, bool) // of the run
	policies *Policies
}

func (o *withPolicy) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	ev, _ := o.event()
	policy := o.policies.inUse.Load().of(ev.Source, activityType)
	options := workflow.GetActivityOptions(ctx)
	if options.RetryPolicy == nil {
		if options.ScheduleToCloseTimeout > 0 {
			policy.Retry.MaximumAttempts = 0 // the time that the step has in all bounds it
		}
		options.RetryPolicy = &policy.Retry
	}
	if options.StartToCloseTimeout == 0 {
		options.StartToCloseTimeout = policy.Timeout
	}
	if options.TaskQueue == "" {
		options.TaskQueue = policy.TaskQueue
	}
	return o.Next.ExecuteActivity(workflow.WithActivityOptions(ctx, options), activityType, args...)
}
