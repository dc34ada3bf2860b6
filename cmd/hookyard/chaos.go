package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/chaos"
	"github.com/hookyard/hookyard/chaos/cluster"
)

// chaosOptions are the flags of chaos.
type chaosOptions struct {
	events        int
	seed          uint64
	duration      time.Duration
	postgres      string
	asJSON, plan  bool
	keep, prepare bool
}

func chaosCommand(env environment) *cobra.Command {
	var o chaosOptions
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Prove on this machine that nothing is lost and nothing happens twice",
		Long: `Run two edges, two workers and a Temporal of their own, send them events as
providers do, and meanwhile kill processes (kill -9), cut connections, delay
them, leave them half open, turn the sender's clock, fill the ledger's disk, make
it read-only, and have the downstream service be slow, flaky or talk nonsense.

Afterwards it compares what the sender was told with what Temporal, the ledger
and the downstream service hold, and exits 1 if an event that was acknowledged
is missing, ran twice, had its effect twice or not at all, or was parked without
a fault that explains it.

The same seed gives the same plan of faults and events. It takes place on
127.0.0.1 and in a folder of its own, and touches nothing else.`,
		Example: "  hookyard chaos\n  hookyard chaos --events 2000 --seed 7",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				o.seed = uint64(time.Now().Unix()) //nolint:gosec // the clock is past 1970
			}
			if !cmd.Flags().Changed("duration") {
				o.duration = chaos.DefaultDuration(o.events)
			}
			return runChaos(cmd.Context(), env, o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.events, "events", 500, "send so many events")
	f.Uint64Var(&o.seed, "seed", 0, "draw the faults and the events from this number (default the time)")
	f.DurationVar(&o.duration, "duration", 0, "spread the events and faults over this time (default 50 events per second, 15s at least)")
	f.StringVar(&o.postgres, "temporal-postgres", "", "run Temporal and the ledger on the PostgreSQL at this URL, each in a database of its own that is removed in the end")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	f.BoolVar(&o.plan, "plan", false, "only print the faults that would be")
	f.BoolVar(&o.prepare, "prepare", false, "only build the Temporal server that is needed")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with the logs and the databases; it is kept in any case if something was wrong")
	return cmd
}

// The limits keep a run to what a machine and its user can bear.
const (
	mostChaosEvents   = 1_000_000
	leastChaosTime    = 10 * time.Second
	mostChaosDuration = 24 * time.Hour
)

func (o chaosOptions) check() error {
	switch {
	case o.events < 1 || o.events > mostChaosEvents:
		return usageError{fmt.Errorf("--events %d: want 1 to %d", o.events, mostChaosEvents)}
	case o.duration < leastChaosTime || o.duration > mostChaosDuration:
		return usageError{fmt.Errorf("--duration %s: want %s to %s", o.duration, leastChaosTime, mostChaosDuration)}
	}
	return nil
}

func runChaos(ctx context.Context, env environment, o chaosOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	plan := chaos.NewPlan(o.seed, o.events, o.duration, o.postgres != "")
	if o.plan {
		return printPlan(env, plan)
	}
	run, err := chaosPrograms(ctx, env, o)
	if err != nil || o.prepare {
		return err
	}
	if run.Folder, err = os.MkdirTemp("", "hookyard-chaos-"); err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "seed %d, in %s\n", o.seed, run.Folder)
	report, err := chaos.Run(ctx, run, plan)
	if keep := o.keep || report == nil || !report.OK(); keep && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(env.stderr, "logs, configs and the sender's answers are in %s\n", run.Folder)
	} else if err := os.RemoveAll(run.Folder); err != nil {
		return err
	}
	if report != nil {
		if err := printChaos(env, o, report); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("seed %d: %w", o.seed, err)
	}
	if !report.OK() {
		return fmt.Errorf("seed %d: %s; see them happen again with `%s`", o.seed, broken(report.BrokenCount), o.again())
	}
	return nil
}

// broken writes how many laws were broken.
func broken(n int) string {
	if n == 1 {
		return "1 thing was not as it has to be"
	}
	return fmt.Sprintf("%d things were not as they have to be", n)
}

// again is the command line that repeats the run. The URL stays out of it: it
// may hold a password.
func (o chaosOptions) again() string {
	text := fmt.Sprintf("%s chaos --events %d --seed %d --duration %s", invocation(), o.events, o.seed, o.duration)
	if o.postgres != "" {
		text += " --temporal-postgres URL"
	}
	return text
}

func printChaos(env environment, o chaosOptions, report *chaos.Report) error {
	if o.asJSON {
		return report.JSON(env.stdout)
	}
	return report.Table(env.stdout)
}

func printPlan(env environment, plan chaos.Plan) error {
	for _, f := range plan.Faults {
		if _, err := fmt.Fprintf(env.stdout, "%7.2fs  %s\n", f.At.Seconds(), f); err != nil {
			return err
		}
	}
	return nil
}

// chaosPrograms builds what is needed and is not there yet.
func chaosPrograms(ctx context.Context, env environment, o chaosOptions) (run chaos.Options, err error) {
	run.Progress = env.stderr
	if run.Program, err = os.Executable(); err != nil {
		return run, err
	}
	home, err := userFolders(env)
	if err != nil {
		return run, err
	}
	builder := devServer{cache: home.cache, progress: env.stderr}
	if o.postgres == "" {
		run.DevServer, err = builder.path(ctx)
		return run, err
	}
	run.Postgres = &cluster.Postgres{URL: o.postgres}
	run.Postgres.Server, run.Postgres.SQLTool, err = builder.production(ctx)
	return run, err
}
