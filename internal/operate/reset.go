package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

func resetCommand(env command.Env) *cobra.Command {
	var (
		f repairFlags
		a reset
	)
	cmd := &cobra.Command{
		Use:   "reset ID | --all",
		Short: "Run a run again from one of its steps, after a change of its code",
		Long: `Run a run again from one of its steps. The steps before it do not run again, and
those after it do, with the same idempotency keys. It is for what "resume" does
not do: a run that is closed, and code that was wrong before the step.

--step NAME goes back to just before the Activity of that type was last
scheduled, in this run or in one that it continues, --start to the beginning. Without either, it is the step that parked
last or, in a run that has failed, the step that it failed of. Steps whose first
attempts were made in one Workflow Task run again together, which is said.

The run is closed, if it is open, and a new one under the same Workflow Id takes
its place. Signals that came after that point are not sent again: a resume would
find nothing parked, and a step that was resolved by hand runs, which is said if
it is so. An amended payload stays, since amending has begun a run of its own.

A run that was reset is not reset again before it has stopped again: see --again.`,
		Example: "  hookyard reset stripe:evt_1\n  hookyard reset stripe:evt_1 --step SendReceipt --why \"fixed in v1.2.3\"\n  hookyard reset --all --failed --source stripe",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.only.failed && !f.all {
				return command.Usage(errors.New("--failed goes with --all, not with one run"))
			}
			if a.again && f.all {
				return command.Usage(errors.New("--again is for one run, not for --all"))
			}
			if a.step != "" && a.start {
				return command.Usage(errors.New("give either --step or --start"))
			}
			a.bulk = f.all
			return f.run(cmd, env, args, a)
		},
	}
	f.flags(cmd, env)
	cmd.Flags().StringVar(&a.step, "step", "", "go back to before this step")
	cmd.Flags().BoolVar(&a.start, "start", false, "go back to the beginning")
	cmd.Flags().BoolVar(&a.again, "again", false, "even if the run was reset before and has not stopped since")
	cmd.Flags().BoolVar(&f.only.failed, "failed", false, "with --all: runs that closed as failed, but for discarded ones, instead of parked ones")
	return cmd
}

// reset is the repair that goes back in a run's history and on from there.
type reset struct {
	step  string // "" for the one that it stopped at
	start bool   // from the beginning, whatever step is
	again bool   // even if it was reset before
	bulk  bool   // among others: what a person has given up is left alone
}

func (reset) words() (does, did string) { return "reset", "reset" }

func (a reset) do(ctx context.Context, o *operator, r eventrun.Run) (string, error) {
	newer, err := o.resetOf(ctx, r)
	if err != nil {
		return "", fmt.Errorf("run %q: %w", r.ID, err)
	}
	if newer != "" { // it was the current run a moment ago
		return "", errAlreadyDone
	}
	events, err := o.history(ctx, r.ID, r.RunID)
	if err != nil {
		return "", err
	}
	if a.bulk && closedAs(events) == event.ErrorDiscarded {
		return "", errAlreadyDone
	}
	goesOn := r.Open() && !r.Parked() || r.Status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	if base := resetFrom(events); base != "" && goesOn && !a.again {
		return "", fmt.Errorf("run %q is %s, and was reset already (from run %s): another Reset would run steps twice; --again does it all the same", r.ID, status(r), base)
	}
	p, err := a.point(r, events)
	if notRun, ok := errors.AsType[*stepNotRun](err); ok {
		r, events, p, err = o.earlierPoint(ctx, r, events, a.step, notRun)
	}
	if err != nil {
		return "", fmt.Errorf("run %q: %w", r.ID, err)
	}
	newer, err = o.reset(ctx, r, p.id)
	if err != nil {
		return "", fmt.Errorf("run %q: %w", r.ID, err)
	}
	said := []string{fmt.Sprintf("reset to before %s: run %s took the place of run %s", p.what, newer, r.RunID)}
	for _, step := range p.also {
		said = append(said, fmt.Sprintf("  note: %s was made in the same Workflow Task, so it runs again too, with the same idempotency key", step))
	}
	for _, step := range resolvedAfter(events, p.id) {
		said = append(said, fmt.Sprintf("  note: %s was resolved by hand after that point, and runs now", cmp.Or(step, "a step")))
	}
	return strings.Join(said, "\n"), nil
}

// earlierPoint looks for a step in the runs that a run continues: to resume a
// run as a whole begins a new one, in which the steps that are done do not run.
// It returns the run that the step ran in.
func (o *operator) earlierPoint(ctx context.Context, r eventrun.Run, events []*historypb.HistoryEvent, step string, notRun *stepNotRun) (eventrun.Run, []*historypb.HistoryEvent, point, error) {
	const most = 50
	for range most {
		earlier := events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
		if earlier == "" {
			break
		}
		r.RunID = earlier
		var err error
		if events, err = o.history(ctx, r.ID, earlier); err != nil {
			if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
				break
			}
			return r, nil, point{}, err
		}
		if len(events) == 0 {
			break
		}
		p, err := stepPoint(events, step)
		amended := wasAmended(events)
		switch {
		case err == nil && amended:
			return r, nil, point{}, fmt.Errorf("step %q ran before the payload was amended, and a Reset to it would bring the payload of then back; use --start, or amend --same", step)
		case err == nil:
			newer, err := o.resetOf(ctx, r)
			if err == nil && newer != "" {
				err = fmt.Errorf("step %q ran in run %s, which was reset before (to run %s)", step, r.RunID, newer)
			}
			return r, events, p, err
		case amended: // what ran before that counts no more
			return r, nil, point{}, notRun
		}
	}
	return r, nil, point{}, notRun
}

func (a reset) point(r eventrun.Run, events []*historypb.HistoryEvent) (point, error) {
	switch {
	case a.start:
		return startPoint(events)
	case a.step != "":
		return stepPoint(events, a.step)
	case r.Open() && !r.Parked():
		return point{}, fmt.Errorf("it is open and nothing in it is parked; say from where it is to run again, with --start or --step%s", namesOf(events))
	default:
		return stoppedPoint(events)
	}
}

// reset asks for the Reset, once: Temporal makes a run of each request, even
// of one that is sent again with the same request id. So an error is not
// answered with another attempt but with a look at what has become of it.
func (o *operator) reset(ctx context.Context, r eventrun.Run, finishEvent int64) (newRun string, err error) {
	reason := o.by
	if o.why != "" {
		reason += ": " + o.why
	}
	sending, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	answer, err := o.client.WorkflowService().ResetWorkflowExecution(sending, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace:                 o.namespace,
		WorkflowExecution:         &commonpb.WorkflowExecution{WorkflowId: r.ID, RunId: r.RunID},
		Reason:                    reason,
		WorkflowTaskFinishEventId: finishEvent,
		RequestId:                 fmt.Sprintf("hookyard-%s-%d", r.RunID, finishEvent),
		ResetReapplyExcludeTypes:  []enumspb.ResetReapplyExcludeType{enumspb.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL},
		Identity:                  o.by,
	})
	if err == nil {
		return answer.GetRunId(), nil
	}
	if newRun, lookErr := o.resetOf(ctx, r); lookErr == nil && newRun != "" {
		return newRun, nil
	}
	return "", err
}
