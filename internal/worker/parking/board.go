package parking

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

const (
	// shownSteps is how many parked steps the memo and the details name. The
	// others are counted. With maxError each they are less than 12 KiB.
	shownSteps = 10
	// maxError is how many bytes of a step's error are kept.
	maxError = 1 << 10
	// recountEvery is how far behind the count of the others may be.
	recountEvery = 10 * time.Second
)

// parkedStep is a step that waits for a person.
type parkedStep struct {
	Step
	decision *decision
}

// decision is what a person decided about a parked step: to try it again, or
// that it was done by hand.
type decision struct {
	resolved bool
	result   []byte
}

// board holds the parked steps in the order in which they parked.
type board struct {
	steps []*parkedStep
	names map[string]*parkedStep

	changed  bool // since it was written, in the steps that are shown
	counted  bool // since it was written, in the number of steps
	reported bool // somebody was told of what is parked now

	written   Parked // what the memo has
	attribute string // what the Search Attributes have
	writtenAt int    // the history's length then
}

func (b *board) add(p *parkedStep) {
	p.Name = b.unusedName(p.Name)
	if b.names == nil {
		b.names = map[string]*parkedStep{}
	}
	b.names[p.Name] = p
	b.touch(len(b.steps))
	b.steps = append(b.steps, p)
}

func (b *board) remove(p *parkedStep) {
	i := slices.Index(b.steps, p)
	if i < 0 {
		return
	}
	delete(b.names, p.Name)
	b.steps = slices.Delete(b.steps, i, i+1)
	b.touch(i)
	if len(b.steps) == 0 {
		b.reported = false
	}
}

// touch notes that the step at this place has come or gone.
func (b *board) touch(place int) {
	b.counted = true
	if place < shownSteps {
		b.changed = true
	}
}

// unusedName numbers steps of the same type that are parked at once.
func (b *board) unusedName(name string) string {
	candidate := name
	for n := 2; b.names[candidate] != nil; n++ {
		candidate = fmt.Sprintf("%s#%d", name, n)
	}
	return candidate
}

// waiting returns the step of that name, if nobody has decided about it.
func (b *board) waiting(name string) *parkedStep {
	if p := b.names[name]; p != nil && p.decision == nil {
		return p
	}
	return nil
}

// summary is the memo.
func (b *board) summary() Parked {
	var parked Parked
	for i, p := range b.steps {
		if i == shownSteps {
			parked.More = len(b.steps) - shownSteps
			break
		}
		parked.Steps = append(parked.Steps, p.Step)
	}
	return parked
}

// park waits until a person decides about a step. The error means that the
// Workflow was canceled meanwhile.
func (r *Run) park(ctx workflow.Context, p *parkedStep) (decision, error) {
	if p.Since.IsZero() {
		p.Since = workflow.Now(ctx)
		workflow.GetLogger(ctx).Warn("parked", "step", p.Name, "reason", p.Reason, "err", p.Error)
		r.count(ctx, countParked, p.Reason)
	}
	r.board.add(p)
	err := workflow.Await(ctx, func() bool { return p.decision != nil })
	r.board.remove(p)
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

// keepShown writes what is parked where people look, once for all that changes
// at a time and once in a Workflow Task: 500 steps that park together are one
// write, and no command is larger for it. It runs for as long as the run is open.
func (r *Run) keepShown(ctx workflow.Context) {
	b := &r.board
	for {
		if workflow.Await(ctx, func() bool { return b.changed || b.counted }) != nil {
			return
		}
		workflow.SetCurrentDetails(ctx, r.details(ctx))
		pause := time.Duration(0)
		switch {
		case !b.changed:
			pause = recountEvery
		case b.writtenAt == workflow.GetInfo(ctx).GetCurrentHistoryLength():
			pause = time.Second
		}
		if pause > 0 {
			soon := func() bool { return b.changed && b.writtenAt != workflow.GetInfo(ctx).GetCurrentHistoryLength() }
			if _, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
				Timeout: pause, TimerOptions: workflow.TimerOptions{Summary: "before what is parked is written again"},
			}, soon); err != nil {
				return
			}
		}
		r.show(ctx)
	}
}

// show writes what is parked: Search Attributes and memo for lists, the details
// for the run's own page. It has somebody told where nothing was parked before.
func (r *Run) show(ctx workflow.Context) {
	b := &r.board
	b.changed, b.counted = false, false
	b.writtenAt = workflow.GetInfo(ctx).GetCurrentHistoryLength()
	workflow.SetCurrentDetails(ctx, r.details(ctx))
	memo := b.summary()
	var reason event.ParkReason
	if len(memo.Steps) > 0 {
		reason = memo.Steps[0].Reason
	}
	// Both fail only on values that cannot be encoded, and these can.
	if b.attribute != string(reason) {
		b.attribute = string(reason)
		_ = workflow.UpsertTypedSearchAttributes(ctx, attributesOf(reason)...)
	}
	if memo.More != b.written.More || !slices.Equal(memo.Steps, b.written.Steps) {
		b.written = memo
		_ = workflow.UpsertMemo(ctx, map[string]any{event.ParkedMemo: memo})
	}
	if len(memo.Steps) > 0 && reason != event.ReasonPaused && !b.reported {
		b.reported = true
		r.report(ctx, memo.Steps[0])
	}
}

func attributesOf(reason event.ParkReason) []temporal.SearchAttributeUpdate {
	state := temporal.NewSearchAttributeKeyKeyword(event.StateAttribute)
	why := temporal.NewSearchAttributeKeyKeyword(event.ReasonAttribute)
	switch reason {
	case "":
		return []temporal.SearchAttributeUpdate{state.ValueUnset(), why.ValueUnset()}
	case event.ReasonPaused:
		return []temporal.SearchAttributeUpdate{state.ValueSet(event.StateHeld), why.ValueSet(string(reason))}
	default:
		return []temporal.SearchAttributeUpdate{state.ValueSet(event.StateParked), why.ValueSet(string(reason))}
	}
}

// clear shows that nothing is parked any more, in a run that is about to close.
func (r *Run) clear(ctx workflow.Context) {
	r.board = board{written: r.board.written, attribute: r.board.attribute}
	if len(r.board.written.Steps) > 0 {
		r.show(ctx)
	}
}

// expire closes the run once its oldest parked step has waited for too long.
func (r *Run) expire(ctx workflow.Context) {
	oldest := func() *parkedStep {
		if len(r.board.steps) == 0 || r.board.steps[0].Reason == event.ReasonPaused {
			return nil
		}
		return r.board.steps[0]
	}
	for {
		if workflow.Await(ctx, func() bool { return oldest() != nil }) != nil {
			return
		}
		var parkFor time.Duration
		if err := workflow.SideEffectWithOptions(ctx, workflow.SideEffectOptions{Summary: "park_for"}, func(workflow.Context) any {
			return r.options.ParkFor
		}).Get(&parkFor); err != nil {
			workflow.GetLogger(ctx).Error("the time to stay parked cannot be read", "err", err)
		}
		for p := oldest(); p != nil; p = oldest() {
			another := func() bool { return oldest() != p }
			if parkFor <= 0 {
				if workflow.Await(ctx, another) != nil {
					return
				}
				continue
			}
			decided, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
				Timeout:      p.Since.Add(parkFor).Sub(workflow.Now(ctx)),
				TimerOptions: workflow.TimerOptions{Summary: "closes the run if nobody decides"},
			}, another)
			if err != nil {
				return
			}
			if decided {
				continue
			}
			r.end(func(workflow.Context) error {
				return temporal.NewNonRetryableApplicationError(
					fmt.Sprintf("parked at %s for %s: %s", p.Name, parkFor, p.Error), event.ErrorExpired, nil)
			})
			return
		}
	}
}

// report has somebody told, beside the run. A failure here does not affect the
// run.
func (r *Run) report(ctx workflow.Context, s Step) {
	ev, ok := r.Event()
	if !ok {
		return
	}
	info := workflow.GetInfo(ctx)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: 5},
		Summary:             "alert",
	})
	r.server.ExecuteActivity(ctx, event.ReportActivity, event.ParkedReport{
		Source: ev.Source, EventType: ev.Type, WorkflowID: info.WorkflowExecution.ID, RunID: info.WorkflowExecution.RunID,
		Step: s.Name, Reason: s.Reason, Error: s.Error,
	})
}
