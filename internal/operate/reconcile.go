package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
)

// reconcileFlags say what a sweep by hand looks at.
type reconcileFlags struct {
	config string
	since  string
	dryRun bool
	json   bool
}

func reconcileCommand(env command.Env) *cobra.Command {
	var f reconcileFlags
	cmd := &cobra.Command{
		Use:   "reconcile SOURCE",
		Short: "Ask a source's provider what has happened, and start what never came",
		Long: `Ask the API of a source's provider what has happened, and have every event whose
delivery never came started, or delivered again where the provider can. What was
there is left alone, so it may be run at any time.

It is the same Workflow that the source's Schedule starts, so a worker of this
config has to run. Interrupted, this command stops watching; the sweep goes on.`,
		Example: "  hookyard reconcile stripe --since 3d --dry-run",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args[0])
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", command.DefaultConfig, "the config file")
	cmd.Flags().StringVar(&f.since, "since", "", "how far back to look, such as 3d (default the source's window)")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what is missing, and do nothing about it")
	cmd.Flags().BoolVar(&f.json, "json", false, "print what was found as JSON")
	return cmd
}

func (f reconcileFlags) run(ctx context.Context, env command.Env, source string) error {
	in, set, err := f.input(env, source)
	if err != nil {
		return err
	}
	env.Config = &f.config
	o, err := newOperator(ctx, env)
	if err != nil {
		return err
	}
	defer o.close()
	retention, err := command.Retention(ctx, o.client, o.namespace)
	if err != nil {
		return fmt.Errorf("namespace %q: %w", o.namespace, err)
	}
	if in.Since > retention {
		return fmt.Errorf("--since %s is longer than namespace %q keeps closed runs, which is %s: an event that is forgotten would run again; give %s or less",
			f.since, o.namespace, retention, retention)
	}
	run, err := o.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: event.ReconcileID(source) + "/by-hand", TaskQueue: set.Temporal.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "asks the provider of " + source + " for what never came",
	}, event.ReconcileWorkflow, in)
	if _, running := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); running {
		return fmt.Errorf("a sweep of source %q by hand is under way: run %q; wait for it, or terminate it", source, event.ReconcileID(source)+"/by-hand")
	}
	if err != nil {
		return fmt.Errorf("start the sweep: %w", err)
	}
	result, err := follow(ctx, env, o.client, run)
	if err != nil {
		return sweepFailed(source, err)
	}
	if f.json {
		encoder := json.NewEncoder(env.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	return printSweep(env.Stdout, source, result, f.dryRun)
}

// input checks what was asked for against the config.
func (f reconcileFlags) input(env command.Env, source string) (sweep.Input, *command.Setting, error) {
	set, err := command.LoadFor(f.config, env, source)
	if err != nil {
		return sweep.Input{}, nil, err
	}
	bound, err := set.Source(source)
	if err != nil {
		return sweep.Input{}, nil, err
	}
	how := bound.Reconcile()
	if how == nil {
		return sweep.Input{}, nil, fmt.Errorf("source %q is not reconciled; add reconcile: {key: env:NAME} to it in %s", source, f.config)
	}
	in := sweep.Input{Source: source, DryRun: f.dryRun, By: somebody(env)}
	if f.since == "" {
		return in, set, nil
	}
	if in.Since, err = config.ParseDuration(f.since); err != nil || in.Since <= how.Settle {
		return sweep.Input{}, nil, command.Usage(fmt.Errorf("--since %q: want a time span longer than %s, such as 36h or 3d", f.since, how.Settle))
	}
	if in.Since > how.API.Keeps() {
		return sweep.Input{}, nil, fmt.Errorf("--since %s: provider %q lists what happened for %s; give that or less", f.since, bound.Provider.Name(), how.API.Keeps())
	}
	return in, set, nil
}

// follow waits for the sweep, and says how far it is.
func follow(ctx context.Context, env command.Env, c client.Client, run client.WorkflowRun) (result sweep.Result, err error) {
	done := make(chan error, 1)
	go func() { done <- run.Get(ctx, &result) }()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	hinted := false
	for looks := 1; ; looks++ {
		select {
		case err := <-done:
			return result, err
		case <-tick.C:
		}
		// A Query needs a worker, too, and without one takes its time.
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		var progress sweep.Result
		value, err := c.QueryWorkflow(asking, run.GetID(), run.GetRunID(), sweep.ProgressQuery)
		cancel()
		if err == nil && value.Get(&progress) == nil {
			fmt.Fprintf(env.Stderr, "%s: %s\n", command.Count(progress.Pages, "page"), progress.String())
		} else if looks >= 3 && !hinted {
			hinted = true
			fmt.Fprintln(env.Stderr, "No worker has taken the sweep on yet: does `hookyard serve` run with this config?")
		}
	}
}

// sweepFailed is why the sweep ended early, without what the SDK wraps around it.
func sweepFailed(source string, err error) error {
	if said, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return fmt.Errorf("reconcile %s: %s", source, said.Message())
	}
	return fmt.Errorf("reconcile %s: %w", source, err)
}

// printSweep writes what was missing as a table.
func printSweep(out io.Writer, source string, r sweep.Result, dryRun bool) error {
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format(time.DateTime)
	}
	fmt.Fprintf(out, "%s, %s to %s UTC: %s.\n", source, stamp(r.From), stamp(r.To), r.String())
	if r.Unread > 0 {
		fmt.Fprintf(out, "%s could not be read: %s\n", command.Count(r.Unread, "item"), command.PlainLine(r.Why, 300))
	}
	if r.Missing == 0 {
		return nil
	}
	switch {
	case dryRun:
		fmt.Fprintln(out, "Nothing was done about them: --dry-run.")
	case r.Redelivered > 0:
		fmt.Fprintf(out, "The provider was asked to deliver %d of them again; %d have not come yet.\n", r.Redelivered, r.Waiting)
	default:
		fmt.Fprintf(out, "%d of them were started.\n", r.Started)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nTYPE\tMISSING")
	for _, name := range slices.Sorted(maps.Keys(r.Types)) {
		fmt.Fprintf(table, "%s\t%d\n", command.PlainLine(cmp.Or(name, "-"), 100), r.Types[name])
	}
	fmt.Fprintln(table, "\nEVENT\tTYPE\tHAPPENED")
	for _, e := range r.Events {
		fmt.Fprintf(table, "%s\t%s\t%s\n", command.PlainLine(e.ID, 100), command.PlainLine(cmp.Or(e.Type, "-"), 100), stamp(e.At))
	}
	if more := r.Missing - len(r.Events); more > 0 {
		fmt.Fprintf(table, "and %d more\n", more)
	}
	return table.Flush()
}
