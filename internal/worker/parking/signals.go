package parking

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// listen takes what people send for as long as the run is open. A Signal that
// comes while nothing is parked is not kept for later: whoever sent it meant
// something else.
func (r *Run) listen(ctx workflow.Context) {
	channel := func(name, description string) workflow.ReceiveChannel {
		return workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: description})
	}
	resume := channel(event.SignalResume, `Try the parked step again, or all of them: {"step": "", "by": "you", "why": "…"}. No input is needed.`)
	resolve := channel(event.SignalResolve, `A parked step was done by hand: {"step": "…", "result": null, "by": "you", "why": "…"}.`)
	discard := channel(event.SignalDiscard, `Give the event up and close the run as failed: {"by": "you", "why": "…"}.`)

	workflow.GoNamed(ctx, "signals", func(ctx workflow.Context) {
		selector := workflow.NewSelector(ctx)
		selector.AddReceive(resume, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, r.resume) })
		selector.AddReceive(resolve, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, r.resolve) })
		selector.AddReceive(discard, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, r.discard) })
		for {
			selector.Select(ctx)
		}
	})
}

// receive takes one Signal. One whose input cannot be read was sent by mistake
// and changes nothing.
func receive[T any](ctx workflow.Context, c workflow.ReceiveChannel, act func(workflow.Context, T)) {
	var input T
	if !c.ReceiveAsync(&input) {
		workflow.GetLogger(ctx).Warn("a signal's input could not be read; nothing was done", "signal", c.Name())
		return
	}
	act(ctx, input)
}

func (r *Run) resume(ctx workflow.Context, s Resume) {
	resumed := 0
	for _, p := range r.board.steps {
		if p.decision == nil && (s.Step == "" || s.Step == p.Name) {
			p.decision = &decision{}
			resumed++
		}
	}
	if resumed > 0 {
		r.note(ctx, event.SignalResume, s.Step, s.By, s.Why)
	}
}

func (r *Run) resolve(ctx workflow.Context, s Resolve) {
	p := r.board.waiting(s.Step)
	if s.Step == "" && len(r.board.steps) == 1 {
		p = r.board.steps[0]
	}
	if p == nil || p.decision != nil {
		return
	}
	p.decision = &decision{resolved: true, result: s.Result}
	r.note(ctx, event.SignalResolve, p.Name, s.By, s.Why)
}

func (r *Run) discard(ctx workflow.Context, s Discard) {
	if len(r.board.steps) == 0 {
		return
	}
	r.note(ctx, event.SignalDiscard, "", s.By, s.Why)
	p := r.board.steps[0]
	r.end(func(ctx workflow.Context) error {
		r.count(ctx, countDiscarded, "")
		why := "no reason given"
		if s.Why != "" {
			why = line(s.Why, maxWhy)
		}
		return temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("discarded by %s: %s (parked at %s: %s)", somebody(s.By), why, p.Name, p.Error), event.ErrorDiscarded, nil)
	})
}
