package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/payload"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// replayFlags say which runs are replayed.
type replayFlags struct {
	query string
	since time.Duration
	limit int
	rate  float64
}

func replayCommand(env command.Env) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Try this build's Workflows on the runs of a namespace, before it is deployed",
		Long: `Try the Workflows of this very program on the histories of the runs that are open,
and of those that closed lately. Nothing is changed: no step runs, and no run
notices.

A run whose history this build would not repeat is named, and the exit code is
1: deployed, this build would be stuck on it until the old one is back. Make the
change with workflow.GetVersion, or let those runs end first.`,
		Example: "  hookyard replay && deploy\n  hookyard replay --since 168h --limit 5000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			o, err := newOperator(cmd.Context(), env)
			if err != nil {
				return err
			}
			defer o.close()
			return f.run(cmd.Context(), env, o)
		},
	}
	cmd.Flags().StringVar(&f.query, "query", "", "only runs that fit this query of Temporal's, such as 'HookSource=\"stripe\"'")
	cmd.Flags().DurationVar(&f.since, "since", 24*time.Hour, "besides open runs, those that closed within so long")
	cmd.Flags().IntVar(&f.limit, "limit", 1000, "so many runs at most, open ones first; 0 for all")
	cmd.Flags().Float64Var(&f.rate, "rate", 50, "histories per second that are asked of Temporal, at most")
	return cmd
}

func (f replayFlags) check() error {
	switch {
	case f.since < 0:
		return command.Usage(fmt.Errorf("--since %s: want a time span, such as 24h, or 0 for open runs alone", f.since))
	case f.limit < 0:
		return command.Usage(fmt.Errorf("--limit %d: want 0, which is all, or more", f.limit))
	case f.rate <= 0:
		return command.Usage(fmt.Errorf("--rate %v: want more than 0 histories per second", f.rate))
	}
	return nil
}

// run replays, and says what it has found.
func (f replayFlags) run(ctx context.Context, env command.Env, o *operator) error {
	runs, more, err := f.list(ctx, o, time.Now())
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		_, err := fmt.Fprintln(env.Stdout, "No run fits; nothing to replay.")
		return err
	}
	found := findings{handlers: env.App.Workflows, payloads: o.payloads}
	b := bulk{do: func(ctx context.Context, r eventrun.Run) error { return found.replay(ctx, o, r) }, rate: f.rate, progress: progressOn(env.Stderr)}
	b.run(ctx, runs)
	if err := ctx.Err(); err != nil {
		return err
	}
	found.print(env.Stdout, len(runs))
	if more {
		fmt.Fprintf(env.Stdout, "There are more: --limit %d left them out.\n", f.limit)
	}
	if len(found.bad)+len(found.unread) > 0 {
		return command.ErrSilent
	}
	return nil
}

// list returns the runs to replay, the open ones in front, and whether the
// limit left some out.
func (f replayFlags) list(ctx context.Context, o *operator, now time.Time) (runs []eventrun.Run, more bool, err error) {
	states := []string{equals("ExecutionStatus", "Running")}
	if f.since > 0 {
		states = append(states, `CloseTime > "`+now.Add(-f.since).UTC().Format(time.RFC3339)+`"`)
	}
	for _, state := range states {
		for r, err := range eventrun.List(ctx, o.client, state+" AND "+f.ours()) {
			if invalid, ok := errors.AsType[*serviceerror.InvalidArgument](err); ok && f.query != "" {
				return nil, false, command.Usage(fmt.Errorf("--query %q: %s", f.query, invalid.Message))
			}
			if err != nil {
				return nil, false, fmt.Errorf("list runs: %w", err)
			}
			if f.limit > 0 && len(runs) == f.limit {
				return runs, true, nil
			}
			runs = append(runs, r)
		}
	}
	return runs, false, nil
}

// ours is the condition for runs of Hookyard's: of events, and those that it
// keeps for itself.
func (f replayFlags) ours() string {
	if f.query != "" {
		return "(" + f.query + ")"
	}
	return fmt.Sprintf("(%s IS NOT NULL OR WorkflowType IN (%q, %q, %q))", event.SourceAttribute, event.AlertWorkflow, event.PauseWorkflow, event.ReconcileWorkflow)
}

// findings is what became of the replays.
type findings struct {
	handlers []worker.Handler
	payloads *command.Payloads

	mu      sync.Mutex
	good    int
	unbegun int               // runs that no worker has taken on yet
	bad     map[string]string // why, by Workflow Id and Run Id
	unread  map[string]string // histories that could not be had
}

// replay tries a run's history. The error is for the progress to count.
func (f *findings) replay(ctx context.Context, o *operator, r eventrun.Run) error {
	name := r.ID + " (run " + r.RunID + ")"
	events, err := o.history(ctx, r.ID, r.RunID)
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return nil // its retention ended a moment ago
	}
	if err != nil {
		f.note(&f.unread, name, err)
		return err
	}
	const least = 3 // started, scheduled, begun
	if len(events) < least {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.unbegun++
		return nil
	}
	if err := replayHistory(f.handlers, f.payloads, r, events); err != nil {
		f.note(&f.bad, name, err)
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.good++
	return nil
}

func (f *findings) note(in *map[string]string, name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *in == nil {
		*in = map[string]string{}
	}
	(*in)[name] = err.Error()
}

// replayHistory runs this program's Workflow over a history, as a worker does
// that takes on an open run.
func replayHistory(handlers []worker.Handler, payloads *command.Payloads, r eventrun.Run, events []*historypb.HistoryEvent) error {
	converting := payload.DataConverter(payloads.Codec)
	options := sdkworker.WorkflowReplayerOptions{
		DataConverter: converting,
		// Policies are no part of what a replay compares.
		Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{
			Parking: parking.Options{Fits: worker.Fits(handlers), DataConverter: converting},
		})},
	}
	if payloads.Store != nil {
		options.ExternalStorage = payloads.Store.External()
	}
	replayer, err := sdkworker.NewWorkflowReplayerWithOptions(options)
	if err != nil {
		return err
	}
	if err := worker.Register(replayer, handlers); err != nil {
		return err
	}
	sweep.Register(replayer)
	return replayer.ReplayWorkflowHistoryWithOptions(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), &historypb.History{Events: events},
		sdkworker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: r.ID, RunID: r.RunID}})
}

// print says what was found. Each run that does not replay is named.
func (f *findings) print(out io.Writer, total int) {
	fmt.Fprintf(out, "%d of %s replayed", f.good, command.Count(total, "run"))
	if f.unbegun > 0 {
		fmt.Fprintf(out, ", %d have not begun", f.unbegun)
	}
	if len(f.bad) > 0 {
		fmt.Fprintf(out, ", %d would break", len(f.bad))
	}
	if len(f.unread) > 0 {
		fmt.Fprintf(out, ", %d could not be read", len(f.unread))
	}
	fmt.Fprintln(out, ".")
	for _, kind := range []struct {
		what string
		runs map[string]string
	}{{"would break", f.bad}, {"not read", f.unread}} {
		for _, name := range slices.Sorted(maps.Keys(kind.runs)) {
			fmt.Fprintf(out, "%s: %s\n    %s\n", kind.what, command.PlainLine(name, 400), command.PlainLine(kind.runs[name], 600))
		}
	}
}
