package parking

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// run is what is known of one run. Only its own coroutines touch it, one at a
// time.
type run struct {
	options Options
	out     interceptor.WorkflowOutboundInterceptor

	args   []any
	parked []*parkedStep // in the order in which they parked
	calls  []*call       // in the order in which they were made
	failed *Step         // the function, where it failed
	legacy legacy
	keys   keys     // of the calls that the legacy was asked for
	log    []string // who did what, for the details
	ending func(ctx workflow.Context) error
	leaves bool // what is done, to the run that it continues as
}

type parkedStep struct {
	Step
	decision *decision
}

// decision is what a person says of a parked step: again, or done by hand.
type decision struct {
	resolved bool
	result   []byte
}

// end has the run closed by the given function. The first one to ask decides.
func (r *run) end(how func(ctx workflow.Context) error) {
	if r.ending == nil {
		r.ending = how
	}
}

// failureOf describes a step that has failed, after at most so many attempts.
func failureOf(step string, err error, started time.Time, most int) Step {
	reason, attempts := reasonOfStep(err, most)
	return Step{Name: step, Reason: reason, Error: clip(Message(err), 1<<10), Attempts: attempts, Started: started}
}

// park waits until a person decides about a step. The error means that the
// Workflow was canceled meanwhile.
func (r *run) park(ctx workflow.Context, s Step) (decision, error) {
	s.Name, s.Since = r.unusedName(s.Name), workflow.Now(ctx)
	p := &parkedStep{Step: s}
	r.parked = append(r.parked, p)
	workflow.GetLogger(ctx).Warn("parked", "step", p.Name, "reason", p.Reason, "err", p.Error)
	r.show(ctx)
	r.count(ctx, countParked, p.Reason)
	r.report(ctx, p)

	err := r.await(ctx, p)
	r.parked = slices.DeleteFunc(r.parked, func(other *parkedStep) bool { return other == p })
	r.show(ctx)
	if err != nil {
		return decision{}, err
	}
	if p.decision.resolved {
		r.count(ctx, countResolved, "")
	} else {
		r.count(ctx, countResumed, p.Reason)
	}
	return *p.decision, nil
}

// await returns once there is a decision, ctx has ended, or the run has been
// parked for too long.
func (r *run) await(ctx workflow.Context, p *parkedStep) error {
	var parkFor time.Duration
	if err := workflow.SideEffect(ctx, func(workflow.Context) any { return r.options.ParkFor }).Get(&parkFor); err != nil {
		return err
	}
	decided := func() bool { return p.decision != nil }
	if parkFor <= 0 {
		return workflow.Await(ctx, decided)
	}
	ok, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: parkFor, TimerOptions: workflow.TimerOptions{Summary: "closes the run if nobody decides"},
	}, decided)
	if ok || err != nil {
		return err
	}
	r.end(func(ctx workflow.Context) error {
		r.clear(ctx)
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("parked at %s for %s: %s", p.Name, parkFor, p.Error), TypeExpired, nil)
	})
	return workflow.Await(ctx, func() bool { return false })
}

// unusedName numbers steps of the same type that are parked at once.
func (r *run) unusedName(name string) string {
	candidate := name
	for n := 2; r.named(candidate) != nil; n++ {
		candidate = fmt.Sprintf("%s#%d", name, n)
	}
	return candidate
}

func (r *run) named(name string) *parkedStep {
	for _, p := range r.parked {
		if p.Name == name && p.decision == nil {
			return p
		}
	}
	return nil
}

// listen takes what people send for as long as the run is open. A signal that
// comes while nothing is parked is not kept for later: whoever sent it meant
// something else.
func (r *run) listen(ctx workflow.Context) {
	channel := func(name, description string) workflow.ReceiveChannel {
		return workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: description})
	}
	resume := channel(SignalResume, `Try the parked step again, or all of them: {"step": "", "by": "you", "why": "…"}. No input is needed.`)
	resolve := channel(SignalResolve, `A parked step was done by hand: {"step": "…", "result": null, "by": "you", "why": "…"}.`)
	discard := channel(SignalDiscard, `Give the event up and close the run as failed: {"by": "you", "why": "…"}.`)

	workflow.GoNamed(ctx, "parking", func(ctx workflow.Context) {
		selector := workflow.NewSelector(ctx)
		selector.AddReceive(resume, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, r.resume) })
		selector.AddReceive(resolve, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, r.resolve) })
		selector.AddReceive(discard, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, r.discard) })
		for {
			selector.Select(ctx)
		}
	})
}

// receive takes one signal. Input that cannot be read is that of a slip of the
// hand; it must change nothing.
func receive[T any](ctx workflow.Context, c workflow.ReceiveChannel, act func(workflow.Context, T)) {
	var input T
	if !c.ReceiveAsync(&input) {
		workflow.GetLogger(ctx).Warn("a signal's input could not be read; nothing was done", "signal", c.Name())
		return
	}
	act(ctx, input)
}

func (r *run) resume(ctx workflow.Context, s Resume) {
	resumed := false
	for _, p := range r.parked {
		if p.decision == nil && (s.Step == "" || s.Step == p.Name) {
			p.decision = &decision{}
			resumed = true
		}
	}
	if resumed {
		r.note(ctx, SignalResume, s.Step, s.By, s.Why)
	}
}

func (r *run) resolve(ctx workflow.Context, s Resolve) {
	p := r.named(s.Step)
	if s.Step == "" && len(r.parked) == 1 {
		p = r.parked[0]
	}
	if p == nil || p.decision != nil {
		return
	}
	p.decision = &decision{resolved: true, result: s.Result}
	r.note(ctx, SignalResolve, p.Name, s.By, s.Why)
}

func (r *run) discard(ctx workflow.Context, s Discard) {
	if len(r.parked) == 0 {
		return
	}
	r.note(ctx, SignalDiscard, "", s.By, s.Why)
	p := r.parked[0]
	r.end(func(ctx workflow.Context) error {
		r.clear(ctx)
		r.count(ctx, countDiscarded, "")
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("discarded by %s: %s (parked at %s: %s)", somebody(s.By), orNot(s.Why), p.Name, p.Error), TypeDiscarded, nil)
	})
}

// report has somebody told, beside what goes on. Whether that works is no
// matter of the run's.
func (r *run) report(ctx workflow.Context, p *parkedStep) {
	ev, ok := r.event()
	if !ok {
		return
	}
	info := workflow.GetInfo(ctx)
	unbound, _ := workflow.NewDisconnectedContext(ctx)
	unbound = workflow.WithActivityOptions(unbound, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 5},
		Summary:             "alert",
	})
	r.out.ExecuteActivity(unbound, ReportActivity, report{
		Source: ev.Source, EventType: ev.Type, WorkflowID: info.WorkflowExecution.ID, RunID: info.WorkflowExecution.RunID,
		Step: p.Name, Reason: string(p.Reason), Error: p.Error,
	})
}

// report is the argument of ReportActivity.
type report struct {
	Source     string `json:"source"`
	EventType  string `json:"event_type"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	Step       string `json:"step"`
	Reason     string `json:"reason"`
	Error      string `json:"error"`
}

// event returns the run's event, if it is one's.
func (r *run) event() (event.Event, bool) {
	if len(r.args) == 0 {
		return event.Event{}, false
	}
	ev, ok := r.args[0].(event.Event)
	return ev, ok
}

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
