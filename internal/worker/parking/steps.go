package parking

import (
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Steps returns the interceptor for the steps of the Workflow. Steps that it
// lets through go to next.
func (r *Run) Steps(next interceptor.WorkflowOutboundInterceptor) interceptor.WorkflowOutboundInterceptor {
	r.server = next
	return &steps{interceptor.WorkflowOutboundInterceptorBase{Next: next}, r}
}

// steps parks the steps that fail.
type steps struct {
	interceptor.WorkflowOutboundInterceptorBase
	run *Run
}

// ExecuteActivity parks an Activity that fails.
func (s *steps) ExecuteActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	attempts := attemptsOf(workflow.GetActivityOptions(ctx).RetryPolicy)
	return s.step(ctx, activityType, args, attempts, func() workflow.Future {
		return s.Next.ExecuteActivity(ctx, activityType, args...)
	})
}

// ExecuteLocalActivity parks a local Activity that fails.
func (s *steps) ExecuteLocalActivity(ctx workflow.Context, activityType string, args ...any) workflow.Future {
	attempts := attemptsOf(workflow.GetLocalActivityOptions(ctx).RetryPolicy)
	return s.step(ctx, activityType, args, attempts, func() workflow.Future {
		return s.Next.ExecuteLocalActivity(ctx, activityType, args...)
	})
}

func attemptsOf(p *temporal.RetryPolicy) int {
	if p == nil {
		return 0
	}
	return int(p.MaximumAttempts)
}

// call is one call of a step.
type call struct {
	number   int // among the run's calls
	name     string
	args     []any
	attempts int // that its Retry Policy allows; 0 where that is not known
	start    func() workflow.Future

	begun  bool // it has been scheduled in this run
	parked *Step
	done   bool
	result *commonpb.Payload // nil where the step returns nothing
	origin origin            // of the result
}

// running reports a call that waits for an Activity and not for a person.
func (c *call) running() bool { return c.begun && !c.done && c.parked == nil }

// finish keeps the result of a call.
func (c *call) finish(result *commonpb.Payload, from origin) {
	c.done, c.parked, c.result, c.origin = true, nil, result, from
}

// step starts a step and returns a future that is ready once the step is done,
// however long that takes and whatever it takes.
func (s *steps) step(ctx workflow.Context, name string, args []any, attempts int, start func() workflow.Future) workflow.Future {
	if isOff(ctx) {
		return start()
	}
	r := s.run
	c := &call{number: len(r.calls), name: name, args: args, attempts: attempts, start: start}
	r.calls = append(r.calls, c)
	r.lookUp(c)
	future, settable := workflow.NewFuture(ctx)
	if c.done {
		settable.SetValue(c.tagged())
		return future
	}
	var attempt workflow.Future
	if c.parked == nil {
		attempt = c.attempt()
	}
	workflow.GoNamed(ctx, "step "+name, func(ctx workflow.Context) {
		if err := r.settle(ctx, c, attempt); err != nil {
			settable.SetError(err)
			return
		}
		settable.SetValue(c.tagged())
	})
	return future
}

// attempt starts the step, with all the attempts that its Retry Policy allows.
func (c *call) attempt() workflow.Future {
	c.begun = true
	return c.start()
}

// settle returns once the call has a result. It waits for the attempt, and
// parks the call where that fails or where there is none. The error means that
// the Workflow was canceled meanwhile.
func (r *Run) settle(ctx workflow.Context, c *call, attempt workflow.Future) error {
	for {
		if attempt != nil {
			started := workflow.Now(ctx)
			var raw converter.RawValue
			err := attempt.Get(ctx, &raw)
			if err == nil {
				c.finish(raw.Payload(), fromStep)
				return nil
			}
			if ctx.Err() != nil {
				return err
			}
			c.parked = failureOf(c, err, started)
		}
		d, err := r.parkCall(ctx, c)
		if err != nil {
			return err
		}
		if d.resolved {
			c.finish(payloadOf(d.result), fromPerson)
			return nil
		}
		if r.historyIsLong(ctx) {
			r.end(r.startOver)
			return workflow.Await(ctx, func() bool { return false })
		}
		attempt = c.attempt()
	}
}

// parkCall parks a call and returns what a person decided.
func (r *Run) parkCall(ctx workflow.Context, c *call) (decision, error) {
	p := &parkedStep{Step: *c.parked}
	p.Name = c.name
	d, err := r.park(ctx, p)
	if err == nil {
		c.parked = nil
	}
	return d, err
}

const (
	// longHistory and largeHistory are 3/5 of what Temporal terminates a run
	// at, in events and bytes.
	longHistory  = 30_000
	largeHistory = 30 << 20
)

// historyIsLong reports whether the run should continue as a new one before it
// does more. It would take the Activities that are running with it, so it waits
// for a moment without any, for as long as that is safe.
func (r *Run) historyIsLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	if info.GetCurrentHistoryLength() > longHistory || info.GetCurrentHistorySize() > largeHistory {
		return true
	}
	if !info.GetContinueAsNewSuggested() {
		return false
	}
	for _, c := range r.calls {
		if c.running() {
			return false
		}
	}
	return true
}

// failureOf describes a call that has failed.
func failureOf(c *call, err error, started time.Time) *Step {
	reason, attempts := reasonOfStep(err, c.attempts)
	return &Step{Name: c.name, Reason: reason, Error: Clip(Message(err), maxError), Attempts: attempts, Started: started}
}
