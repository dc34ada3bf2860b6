package parking

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// held reports whether the run waits for the end of a pause. A child whose
// parent hands the event on does not, because the parent did.
func (r *Run) held(ctx workflow.Context) (source string, held bool) {
	ev, ok := r.Event()
	return ev.Source, ok && ev.Held && !r.carried.Released && workflow.GetInfo(ctx).ParentWorkflowExecution == nil
}

// How often a held run asks whether the pause is over: soon at first, because
// the edge that started it may have known of the end too late, then rarely.
const (
	firstAsk = time.Minute
	lastAsk  = 30 * time.Minute
)

// hold has a run whose source was paused when its event came wait for the end
// of the pause, before the Workflow's function is entered. Nobody is alerted,
// and however long the pause is, the run does not expire.
//
// Two things end the wait. Whoever ends the pause resumes the runs that are
// held. And each run asks by itself: the list of held runs may have been behind
// when the others were resumed, or the worker was away.
func (r *Run) hold(ctx workflow.Context, source string) (decision, error) {
	now := workflow.Now(ctx)
	p := &parkedStep{Step: Step{
		Name: event.WholeWorkflow, Reason: event.ReasonPaused, Error: fmt.Sprintf("source %q is paused", source), Since: now, Started: now,
	}}
	asking, stop := workflow.WithCancel(ctx)
	defer stop()
	workflow.GoNamed(asking, "pause", func(ctx workflow.Context) {
		for wait := firstAsk; ; wait = min(2*wait, lastAsk) {
			paused, err := r.paused(ctx, source)
			if err != nil || p.decision != nil {
				return
			}
			if !paused {
				p.decision = &decision{}
				return
			}
			if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
				r.end(r.startOver) // it is held in the next run, too
				return
			}
			if workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "before it asks again whether the source is paused"}).Get(ctx, nil) != nil {
				return
			}
		}
	})
	r.board.add(p)
	err := workflow.Await(ctx, func() bool { return p.decision != nil })
	r.board.remove(p)
	if err != nil { // the Workflow was canceled
		return decision{}, err
	}
	r.carried.Released = true
	return *p.decision, nil
}

// paused asks whether the source is paused, for as long as it takes to get an
// answer.
func (r *Run) paused(ctx workflow.Context, source string) (paused bool, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
		Summary:             "is the source still paused?",
	})
	err = r.server.ExecuteActivity(ctx, event.PauseActivity, source).Get(ctx, &paused)
	return paused, err
}
