package parking

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// held reports whether the run is to wait for the end of a pause. A child whose
// parent hands the event on is not, since the parent was.
func (r *run) held(ctx workflow.Context) (source string, held bool) {
	ev, ok := r.event()
	return ev.Source, ok && ev.Held && !r.legacy.Released && workflow.GetInfo(ctx).ParentWorkflowExecution == nil
}

// hold has a run whose source was paused when its event came wait for the end
// of the pause, before the Workflow's function is entered. Nobody is alerted,
// and however long the pause is, the run does not expire.
//
// Two things end the wait. Whoever ends the pause resumes the runs that are
// held. And each run asks once, after it can be resumed, whether the pause is
// still on: the edge that started it may have known of its end too late, or
// the worker was away while the others were resumed.
func (r *run) hold(ctx workflow.Context, source string) (decision, error) {
	now := workflow.Now(ctx)
	p := &parkedStep{Step: Step{
		Name: WholeWorkflow, Reason: ReasonPaused, Error: fmt.Sprintf("source %q is paused", source), Since: now, Started: now,
	}}
	r.parked = append(r.parked, p)
	r.show(ctx)

	asking, stop := workflow.WithCancel(ctx)
	workflow.GoNamed(asking, "pause", func(ctx workflow.Context) {
		paused, err := r.paused(ctx, source)
		if err == nil && !paused && p.decision == nil {
			p.decision = &decision{}
		}
	})
	err := workflow.Await(ctx, func() bool { return p.decision != nil })
	stop()
	r.parked = nil // nothing else parks before the function is entered
	r.show(ctx)
	if err != nil { // the Workflow was canceled
		return decision{}, err
	}
	r.legacy.Released = true
	return *p.decision, nil
}

// paused asks whether the source is paused, for as long as it takes to get an
// answer.
func (r *run) paused(ctx workflow.Context, source string) (paused bool, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
		Summary:             "is the source still paused?",
	})
	err = r.out.ExecuteActivity(ctx, PauseActivity, source).Get(ctx, &paused)
	return paused, err
}

// heldDetails is what a held run's page says.
func heldDetails(s Step) string {
	return fmt.Sprintf("### Held: %s\n\nsince %s UTC, before its first step. It goes on when the pause ends:"+
		"\n\n- `hookyard unpause` with the name of the source\n\nA Signal `resume` from this page lets this one run go on before that.\n\n",
		s.Error, s.Since.UTC().Format(time.DateTime))
}
