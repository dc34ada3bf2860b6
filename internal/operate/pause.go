package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

func pauseCommand(env command.Env) *cobra.Command {
	var by, why string
	cmd := &cobra.Command{
		Use:   "pause [SOURCE]",
		Short: "Hold a source's events: they are stored, and not worked on",
		Long: fmt.Sprintf(`Hold a source's events. Its webhooks are accepted and stored as ever, and their
runs wait before their first step until "unpause" lets them go on. Runs that are
open already go on.

Every edge holds to it within %s, after a restart, too. Without SOURCE, the
sources that are paused are listed, with who paused them and why.`, ingest.PauseEvery),
		Example: "  hookyard pause stripe --why \"the ledger is being moved\"\n  hookyard pause",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && strings.TrimSpace(why) == "" {
				return command.Usage(errors.New("say why, with --why: whoever finds the source paused will ask"))
			}
			var queue string
			if len(args) == 1 {
				found, err := command.FindConfig(*env.Config, env)
				if err != nil {
					return err
				}
				set, _, err := command.Examine(found, env, true) // a mistake elsewhere is no reason to work on
				if err != nil {
					return err
				}
				if _, err := set.Declared(args[0]); err != nil {
					return err
				}
				queue = set.Temporal.TaskQueue
			}
			o, err := newOperator(cmd.Context(), env)
			if err != nil {
				return err
			}
			defer o.close()
			if len(args) == 0 {
				return o.listPauses(cmd.Context(), env.Stdout)
			}
			o.by, o.why = by, why
			return o.pause(cmd.Context(), env.Stdout, args[0], queue)
		},
	}
	byFlags(cmd, env, &by, &why)
	return cmd
}

func unpauseCommand(env command.Env) *cobra.Command {
	var (
		by, why   string
		perSecond float64
	)
	cmd := &cobra.Command{
		Use:   "unpause SOURCE",
		Short: "End a pause: what was held goes on",
		Long: `End a source's pause, and let the runs that are held go on, so many per second.

After an interrupt or an error it can be run again, and does what is left.`,
		Example: "  hookyard unpause stripe --rate 20",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if perSecond <= 0 {
				return command.Usage(fmt.Errorf("--rate %v: want more than 0 runs per second", perSecond))
			}
			o, err := newOperator(cmd.Context(), env)
			if err != nil {
				return err
			}
			defer o.close()
			o.by, o.why = by, why
			if err := o.unpause(cmd.Context(), env.Stdout, args[0]); err != nil {
				return err
			}
			return o.release(cmd.Context(), env, args[0], perSecond)
		},
	}
	byFlags(cmd, env, &by, &why)
	cmd.Flags().Float64Var(&perSecond, "rate", 50, "runs per second that go on, at most")
	return cmd
}

// pause starts the Workflow that stands for the pause.
func (o *operator) pause(ctx context.Context, out io.Writer, source, taskQueue string) error {
	p := event.Pause{Source: source, By: o.by, Why: o.why}
	_, err := o.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       event.PauseID(source),
		TaskQueue:                                taskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            source + " is paused by " + event.Code(command.PlainLine(o.by, 80)) + ": " + event.Code(command.PlainLine(o.why, 100)),
		Memo:                                     map[string]any{event.PauseMemo: p},
	}, event.PauseWorkflow, p)
	if _, already := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); already {
		_, err := fmt.Fprintf(out, "%s: paused already; `%s pause` says by whom and why\n", source, command.Invocation())
		return err
	}
	if err != nil {
		return fmt.Errorf("pause source %q: %w", source, err)
	}
	_, err = fmt.Fprintf(out, "%s: paused; every edge holds its events from now, or %s from now at the latest\n", source, ingest.PauseEvery)
	return err
}

// pauses lists the Workflows of the pauses that are on.
func (o *operator) pauses(ctx context.Context) ([]*workflowpb.WorkflowExecutionInfo, error) {
	listed, err := o.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: o.namespace, PageSize: 1000,
		Query: equals("WorkflowType", event.PauseWorkflow) + " AND " + equals("ExecutionStatus", "Running"),
	})
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", err)
	}
	return listed.GetExecutions(), nil
}

// printForgotten says which sources have runs that are held though they are not
// paused. Each such run asks every half hour whether the pause is over, so they
// show only while no worker is there to answer, or for half an hour.
func (o *operator) printForgotten(ctx context.Context, out io.Writer) error {
	held, err := o.list(ctx, filter{held: true})
	if err != nil || len(held) == 0 {
		return err
	}
	pauses, err := o.pauses(ctx)
	if err != nil {
		return err
	}
	paused := map[string]bool{}
	for _, run := range pauses {
		source, _ := event.PausedSource(run.GetExecution().GetWorkflowId())
		paused[source] = true
	}
	forgotten := map[string]int{}
	for _, r := range held {
		if !paused[r.Source] {
			forgotten[r.Source]++
		}
	}
	for _, source := range slices.Sorted(maps.Keys(forgotten)) {
		fmt.Fprintf(out, "%s held for source %s, which is not paused: `%s unpause %s` lets them go on\n",
			are(forgotten[source], "run"), source, command.Invocation(), source)
	}
	return nil
}

// are writes "1 run is" and "2 runs are".
func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}

// listPauses says which sources are paused.
func (o *operator) listPauses(ctx context.Context, out io.Writer) error {
	runs, err := o.pauses(ctx)
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		_, err := fmt.Fprintln(out, "No source is paused.")
		return err
	}
	slices.SortFunc(runs, func(a, b *workflowpb.WorkflowExecutionInfo) int {
		return a.GetStartTime().AsTime().Compare(b.GetStartTime().AsTime())
	})
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SOURCE\tPAUSED FOR\tHELD\tBY\tWHY")
	for _, run := range runs {
		source, _ := event.PausedSource(run.GetExecution().GetWorkflowId())
		p, _ := eventrun.Decoded[event.Pause](run.GetMemo().GetFields()[event.PauseMemo])
		held, err := o.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: o.namespace, Query: filter{source: source, held: true}.query(),
		})
		if err != nil {
			return fmt.Errorf("count the runs that are held: %w", err)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", source, age(run.GetStartTime().AsTime(), time.Now()), held.GetCount(),
			command.PlainLine(p.By, 60), command.PlainLine(p.Why, 200))
	}
	return table.Flush()
}

const (
	// unpauseWithin is how long a worker may take to end a pause.
	unpauseWithin = 30 * time.Second
	// heldLag is how far behind the list of held runs is taken to be, at most.
	heldLag = 2 * time.Second
)

// unpause ends the pause, if there is one, and returns once it has ended: a run
// that asks from then on is told so.
func (o *operator) unpause(ctx context.Context, out io.Writer, source string) error {
	described, err := o.client.DescribeWorkflowExecution(ctx, event.PauseID(source), "")
	if _, never := errors.AsType[*serviceerror.NotFound](err); err != nil && !never {
		return fmt.Errorf("unpause source %q: %w", source, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		_, err := fmt.Fprintf(out, "%s: not paused\n", source)
		return err
	}
	run := info.GetExecution()
	if err := o.client.SignalWorkflow(ctx, run.GetWorkflowId(), run.GetRunId(), event.SignalUnpause, event.Unpause{By: o.by, Why: o.why}); err != nil {
		return fmt.Errorf("unpause source %q: %w", source, err)
	}
	waiting, cancel := context.WithTimeout(ctx, unpauseWithin)
	defer cancel()
	err = o.client.GetWorkflow(waiting, run.GetWorkflowId(), run.GetRunId()).Get(waiting, nil)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waiting.Err() != nil:
		return fmt.Errorf("no worker has ended the pause of source %q within %s; it ends once one runs: see that a worker is up, and run the same command again", source, unpauseWithin)
	case err != nil: // it was canceled or terminated meanwhile, and is over all the same
		fmt.Fprintf(out, "%s: no longer paused (%s)\n", source, command.PlainLine(err.Error(), 200))
		return nil
	}
	_, err = fmt.Fprintf(out, "%s: no longer paused\n", source)
	return err
}

// release lets the held runs of a source go on, until the list, which may be a
// moment behind, has no more of them. What an edge holds that does not yet know
// of the end goes on by itself.
func (o *operator) release(ctx context.Context, env command.Env, source string, perSecond float64) error {
	seen := map[string]bool{} // by Run Id
	failed := false
	for last := false; ; {
		runs, err := o.list(ctx, filter{source: source, held: true})
		if err != nil {
			return err
		}
		runs = slices.DeleteFunc(runs, func(r eventrun.Run) bool { return seen[r.RunID] })
		if len(runs) == 0 && last {
			break
		}
		if last = len(runs) == 0; last {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(heldLag):
			}
			continue
		}
		b := bulk{
			do:       func(ctx context.Context, r eventrun.Run) error { return repairListed(ctx, o, resume{}, r) },
			rate:     perSecond,
			progress: progressOn(env.Stderr),
		}
		t := b.run(ctx, runs)
		t.print(env.Stdout, "released")
		if err := ctx.Err(); err != nil {
			fmt.Fprintln(env.Stdout, "Interrupted. Run the same command again for the rest.")
			return err
		}
		failed = failed || t.failed > 0
		for _, r := range runs {
			seen[r.RunID] = true
		}
	}
	if failed {
		return command.ErrSilent
	}
	return nil
}
