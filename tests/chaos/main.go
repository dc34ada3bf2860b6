// Command chaos runs Hookyard on this machine, breaks what it stands on, and
// counts what was lost and what ran twice.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/tests/chaos/trial"
	"github.com/hookyard/hookyard/tests/harness"
)

func main() { os.Exit(harness.RunCommand(run)) }

// options are the flags.
type options struct {
	events       int
	seed         uint64
	duration     time.Duration
	postgres     string
	program      string
	asJSON, plan bool
	keep         bool
	journal      bool
}

// run runs the command line. The report goes to stdout, progress to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
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
		Example: "  go run ./tests/chaos\n  go run ./tests/chaos --events 2000 --seed 7\n  go run ./tests/chaos --journal --events 20000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("seed") {
				o.seed = uint64(time.Now().Unix()) //nolint:gosec // the clock is past 1970
			}
			if !cmd.Flags().Changed("duration") {
				o.duration = trial.DefaultDuration(o.events)
				if o.journal {
					o.duration = time.Minute
				}
			}
			return o.run(ctx, stdout, stderr)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.events, "events", 500, "send so many events")
	f.Uint64Var(&o.seed, "seed", 0, "draw the faults and the events from this number (default the time)")
	f.DurationVar(&o.duration, "duration", 0, "spread the events and faults over this time (default 50 events per second, 15s at least)")
	f.StringVar(&o.postgres, "temporal-postgres", "", "run Temporal and the ledger on the PostgreSQL at this URL, each in a database of its own that is removed in the end")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	f.BoolVar(&o.plan, "plan", false, "only print the faults that would be")
	f.StringVar(&o.program, "program", "", "the hookyard to run (default one that is built from this checkout)")
	f.BoolVar(&o.journal, "journal", false, "give each source a journal and send the events in a burst, while Temporal is away for the duration (default 1m) and edges are killed ten times")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with the logs and the databases; it is kept in any case if something was wrong")
	return harness.Execute(ctx, cmd, args, stdout, stderr)
}

// The limits of what one machine does in the time that somebody waits.
const (
	mostEvents    = 1_000_000
	leastDuration = 10 * time.Second
	mostDuration  = 24 * time.Hour
)

func (o options) check() error {
	switch {
	case o.events < 1 || o.events > mostEvents:
		return harness.Usage(fmt.Errorf("--events %d: want 1 to %d", o.events, mostEvents))
	case o.duration < leastDuration || o.duration > mostDuration:
		return harness.Usage(fmt.Errorf("--duration %s: want %s to %s", o.duration, leastDuration, mostDuration))
	}
	return nil
}

func (o options) run(ctx context.Context, stdout, stderr io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	plan := trial.NewPlan(o.seed, o.events, o.duration, o.postgres != "")
	if o.journal {
		plan = trial.NewBurst(o.seed, o.events, o.duration)
	}
	if o.plan {
		return printPlan(stdout, plan)
	}
	folder, err := os.MkdirTemp("", "hookyard-chaos-")
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "seed %d, in %s\n", o.seed, folder)
	report, err := o.play(ctx, plan, folder, stderr)
	if keep := o.keep || report == nil || !report.OK(); keep && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(stderr, "logs, configs and the sender's answers are in %s\n", folder)
	} else if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if report != nil {
		if err := o.print(stdout, report); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("seed %d: %w", o.seed, err)
	}
	if !report.OK() {
		return fmt.Errorf("seed %d: %s; to repeat it, run `%s`", o.seed, broken(report.BrokenCount), o.again())
	}
	return nil
}

// play builds the programs and carries the plan out.
func (o options) play(ctx context.Context, plan trial.Plan, folder string, stderr io.Writer) (*trial.Report, error) {
	programs, err := os.MkdirTemp("", "hookyard-chaos-programs-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(programs)
	built := trial.Options{Program: o.program, Folder: folder, Progress: stderr}
	if built.Program == "" {
		if built.Program, err = harness.Hookyard(ctx, programs); err != nil {
			return nil, err
		}
	} else if built.Program, err = filepath.Abs(built.Program); err != nil {
		return nil, err
	}
	if o.postgres == "" {
		built.DevServer, err = harness.DevServerProgram(ctx, built.Program, stderr)
	} else {
		built.Postgres, err = withPostgres(ctx, o.postgres, stderr)
	}
	if err != nil {
		return nil, err
	}
	return trial.Run(ctx, built, plan)
}

// withPostgres builds Temporal's own server and its SQL tool.
func withPostgres(ctx context.Context, url string, stderr io.Writer) (*harness.Postgres, error) {
	fmt.Fprintln(stderr, "building Temporal's own server, which takes some 6 minutes the first time")
	server, err := harness.Tool(ctx, "devserver", harness.TemporalServer)
	if err != nil {
		return nil, err
	}
	tool, err := harness.Tool(ctx, "devserver", harness.TemporalSQLTool)
	if err != nil {
		return nil, err
	}
	return &harness.Postgres{URL: url, Server: server, SQLTool: tool}, nil
}

// broken says how many laws were broken.
func broken(n int) string {
	if n == 1 {
		return "1 law was broken"
	}
	return fmt.Sprintf("%d laws were broken", n)
}

// again is the command line that repeats the run. It leaves out the URL of
// PostgreSQL, which may hold a password.
func (o options) again() string {
	text := fmt.Sprintf("go run ./tests/chaos --events %d --seed %d --duration %s", o.events, o.seed, o.duration)
	if o.journal {
		text += " --journal"
	}
	if o.postgres != "" {
		text += " --temporal-postgres URL"
	}
	return text
}

func (o options) print(stdout io.Writer, report *trial.Report) error {
	if o.asJSON {
		return report.JSON(stdout)
	}
	return report.Table(stdout)
}

func printPlan(stdout io.Writer, plan trial.Plan) error {
	for _, f := range plan.Faults {
		if _, err := fmt.Fprintf(stdout, "%7.2fs  %s\n", f.At.Seconds(), f); err != nil {
			return err
		}
	}
	return nil
}
