// Command bench measures Hookyard beside the same Temporal called bare.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/hookyard/hookyard/tests/bench/measure"
	"github.com/hookyard/hookyard/tests/harness"
)

func main() { os.Exit(harness.RunCommand(run)) }

// options are the flags.
type options struct {
	events, rounds, soak int
	concurrency          []int
	only                 []string
	temporal, metrics    string
	program, postgres    string
	json                 bool
	overload             *measure.Overload  // nil to measure the parts
	journaled            *measure.Journaled // nil to measure the parts
}

// run runs the command line. The report goes to stdout, progress to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the edge and the worker beside the same Temporal called bare",
		Long: `Measure how fast Hookyard acknowledges webhooks and works them off, beside the
same Temporal called with nothing in between, and print the ratios.

Everything runs on this machine, in processes that are stopped at the end:
hookyard as edge and worker, the smallest programs that do the same, and the dev
server that "hookyard dev" builds, on a file that is removed. --temporal uses the
server at that address instead, in the namespace of Temporal's own profile; run
"hookyard setup" for it first. The runs of the benchmark stay there until their
retention is over.

Takes about 10 minutes. Run it on an otherwise idle machine, or with more
rounds.`,
		Example: "  go run ./tests/bench\n  go run ./tests/bench --only edge --concurrency 16 --json\n  go run ./tests/bench --soak 100000",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return o.run(ctx, stdout, stderr)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.events, "events", 300, "events in a round, for each thing measured")
	f.IntVar(&o.rounds, "rounds", 9, "rounds; the median counts, so an odd number")
	f.IntSliceVar(&o.concurrency, "concurrency", []int{1, 16, 64}, "deliveries at once, for the edge")
	f.StringSliceVar(&o.only, "only", nil, "just these parts: edge, cost, end-to-end, memory (default all)")
	f.IntVar(&o.soak, "soak", 0, "instead, send so many events and see that memory stays flat")
	f.StringVar(&o.temporal, "temporal", "", "address of a Temporal to measure on (default one that is started for it)")
	f.StringVar(&o.metrics, "metrics", "", "URL of that Temporal's Prometheus metrics, to count writes by")
	shared := cmd.PersistentFlags()
	shared.BoolVar(&o.json, "json", false, "print JSON")
	shared.StringVar(&o.program, "program", "", "the hookyard to measure (default one that is built from this checkout)")
	shared.StringVar(&o.postgres, "postgres", "", "URL of a PostgreSQL; Temporal's own server is then started on databases of its own there")
	cmd.AddCommand(peerCommand(ctx), overloadCommand(ctx, &o, stdout, stderr), journalCommand(ctx, &o, stdout, stderr))
	return harness.Execute(ctx, cmd, args, stdout, stderr)
}

// overloadCommand offers more than can be worked off.
func overloadCommand(ctx context.Context, o *options, stdout, stderr io.Writer) *cobra.Command {
	var load measure.Overload
	cmd := &cobra.Command{
		Use:   "overload",
		Short: "Offer more than can be worked off, and take Temporal away",
		Long: `Find out how many events a second can be worked off, offer multiples of that,
and say how much of it still is, how long refusals and acceptances take, and how
soon all is as usual again. Refused deliveries are sent again, as providers do.
In the last load Temporal is killed, and started again.

Takes about a minute longer than the loads themselves.`,
		Example: "  go run ./tests/bench overload\n  go run ./tests/bench overload --apart --postgres postgres://user@127.0.0.1:5432/postgres",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, times := range load.Times {
				if times <= 0 || times > 100 {
					return harness.Usage(fmt.Errorf("--times %g: want more than 0, at most 100", times))
				}
			}
			if load.Seconds < 10 || load.Seconds > 3600 {
				return harness.Usage(fmt.Errorf("--seconds %d: want 10 to 3600", load.Seconds))
			}
			if load.Away < 0 || load.Away > 3600 {
				return harness.Usage(fmt.Errorf("--away %d: want 0 to 3600", load.Away))
			}
			o.overload = &load
			return o.run(ctx, stdout, stderr)
		},
	}
	f := cmd.Flags()
	f.IntVar(&load.Seconds, "seconds", 60, "how long each load is offered")
	f.Float64SliceVar(&load.Times, "times", []float64{1, 2, 3, 10}, "the loads, in multiples of what can be worked off")
	f.BoolVar(&load.Apart, "apart", false, "run edge and worker as two processes")
	f.IntVar(&load.Away, "away", 40, "how many seconds Temporal is away in the last load; 0 for no such load")
	return cmd
}

// journalCommand compares the journal with a handler that is written by hand.
func journalCommand(ctx context.Context, o *options, stdout, stderr io.Writer) *cobra.Command {
	var j measure.Journaled
	cmd := &cobra.Command{
		Use:   "journal",
		Short: "Acknowledge from the journal, beside a handler that inserts into PostgreSQL",
		Long: `Send signed events of 1 KiB to an edge with a journal, in SQLite and in
PostgreSQL, and to the least handler that verifies, inserts into PostgreSQL and
answers 200. Each is measured without starts, and while it starts Workflows: the
edge by its drain, and the handler with bare starts beside it.

Databases are created in the PostgreSQL, and dropped.`,
		Example: "  go run ./tests/bench journal --database postgres://user@127.0.0.1:5432/postgres",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case j.Database == "":
				return harness.Usage(fmt.Errorf("--database is missing: want postgres://user:password@host:5432/postgres"))
			case j.Events < 1 || j.Events > maxEvents:
				return harness.Usage(fmt.Errorf("--events %d: want 1 to %d", j.Events, maxEvents))
			case j.Rounds < 1 || j.Rounds > maxRounds:
				return harness.Usage(fmt.Errorf("--rounds %d: want 1 to %d", j.Rounds, maxRounds))
			}
			for _, n := range j.Concurrency {
				if n < 1 || n > maxConcurrency {
					return harness.Usage(fmt.Errorf("--concurrency %d: want 1 to %d", n, maxConcurrency))
				}
			}
			o.journaled = &j
			return o.run(ctx, stdout, stderr)
		},
	}
	f := cmd.Flags()
	f.StringVar(&j.Database, "database", "", "URL of the PostgreSQL")
	f.IntVar(&j.Events, "events", 30_000, "events in a round, for each thing measured")
	f.IntVar(&j.Rounds, "rounds", 5, "rounds; the median counts, so an odd number")
	f.IntSliceVar(&j.Concurrency, "concurrency", []int{16, 64}, "deliveries at once")
	return cmd
}

// The most that a benchmark does. Beyond it the machine's limits are measured,
// and not the programs'.
const (
	maxEvents      = 1_000_000
	maxRounds      = 100
	maxConcurrency = 1024
)

func (o options) check() error {
	for _, limit := range []struct {
		flag         string
		given, least int
		most         int
	}{
		{"--events", o.events, 1, maxEvents},
		{"--rounds", o.rounds, 1, maxRounds},
		{"--soak", o.soak, 0, maxEvents},
	} {
		if limit.given < limit.least || limit.given > limit.most {
			return harness.Usage(fmt.Errorf("%s %d: want %d to %d", limit.flag, limit.given, limit.least, limit.most))
		}
	}
	for _, n := range o.concurrency {
		if n < 1 || n > maxConcurrency {
			return harness.Usage(fmt.Errorf("--concurrency %d: want 1 to %d", n, maxConcurrency))
		}
	}
	for _, part := range o.only {
		if !slices.Contains(measure.Parts(), measure.Part(part)) {
			return harness.Usage(fmt.Errorf("--only %q: want edge, cost, end-to-end or memory", part))
		}
	}
	if o.metrics != "" && o.temporal == "" {
		return harness.Usage(fmt.Errorf("--metrics needs --temporal; the server that bench starts has its own"))
	}
	return nil
}

func (o options) parts() []measure.Part {
	if len(o.only) == 0 {
		return measure.Parts()
	}
	parts := make([]measure.Part, len(o.only))
	for i, part := range o.only {
		parts[i] = measure.Part(part)
	}
	return parts
}

func (o options) run(ctx context.Context, stdout, stderr io.Writer) error {
	folder, err := os.MkdirTemp("", "hookyard-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	program, peer, err := o.programs(ctx, folder)
	if err != nil {
		return err
	}
	server, err := o.server(ctx, program, folder, stderr)
	if err != nil {
		return err
	}
	defer server.stop()
	if o.overload != nil {
		o.overload.Temporal = server.temporal
	}
	report, err := measure.Run(ctx, measure.Options{
		Program:     program,
		Peer:        peer,
		Vars:        append(os.Environ(), "TEMPORAL_ADDRESS="+server.options.HostPort),
		Client:      server.options,
		MetricsURL:  server.metrics,
		Folder:      folder,
		Terminate:   o.temporal != "",
		Parts:       o.parts(),
		Events:      o.events,
		Rounds:      o.rounds,
		Concurrency: o.concurrency,
		Soak:        o.soak,
		Overload:    o.overload,
		Journaled:   o.journaled,
		Progress:    stderr,
	})
	if err != nil {
		return err
	}
	report.Temporal = server.name
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.Table(stdout)
}

// programs returns the hookyard that is measured and the command line of what
// it is compared with.
func (o options) programs(ctx context.Context, folder string) (program string, peer []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find this program, to run what hookyard is compared with: %w", err)
	}
	if o.program != "" {
		program, err = filepath.Abs(o.program)
	} else {
		program, err = harness.Hookyard(ctx, folder)
	}
	return program, []string{self, "peer"}, err
}

// server is the Temporal that is measured on.
type server struct {
	options       client.Options
	metrics, name string
	temporal      *harness.Temporal // nil where it is not ours
	stop          func()
}

// server returns the server that was named, or starts one.
func (o options) server(ctx context.Context, hookyard, folder string, stderr io.Writer) (*server, error) {
	options, err := clientOptions()
	if err != nil {
		return nil, err
	}
	if o.temporal != "" {
		options.HostPort = o.temporal
		return &server{options: options, metrics: o.metrics, name: "Temporal at " + o.temporal, stop: func() {}}, nil
	}
	s := &server{}
	s.temporal, s.metrics, err = o.temporalServer(ctx, hookyard, folder, stderr)
	if err != nil {
		return nil, err
	}
	s.name = "Temporal's server on " + s.temporal.On
	s.stop = func() {
		s.temporal.Kill()
		if err := s.temporal.Drop(context.WithoutCancel(ctx)); err != nil {
			fmt.Fprintln(stderr, err)
		}
	}
	options.HostPort = s.temporal.Address
	s.options = options
	if err := s.temporal.Start(); err != nil {
		s.stop()
		return nil, err
	}
	if err := s.temporal.Await(ctx); err != nil {
		s.stop()
		return nil, err
	}
	if err := harness.Setup(ctx, hookyard, append(os.Environ(), "TEMPORAL_ADDRESS="+s.temporal.Address)); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// temporalServer returns a server that is not started yet: the dev server on an
// SQLite file or, with --postgres, Temporal's own one.
func (o options) temporalServer(ctx context.Context, hookyard, folder string, stderr io.Writer) (t *harness.Temporal, metrics string, err error) {
	if o.postgres != "" {
		p := harness.Postgres{URL: o.postgres, Out: io.Discard}
		if p.Server, err = harness.Tool(ctx, "devserver", harness.TemporalServer); err != nil {
			return nil, "", err
		}
		if p.SQLTool, err = harness.Tool(ctx, "devserver", harness.TemporalSQLTool); err != nil {
			return nil, "", err
		}
		t, err = p.NewServer(ctx, folder)
		return t, "", err
	}
	program, err := harness.DevServerProgram(ctx, hookyard, stderr)
	if err != nil {
		return nil, "", err
	}
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	t, err = harness.DevServer{
		Program: program, File: filepath.Join(folder, "temporal.db"), Out: stderr,
		// What the server says while the connections to it end is of no use.
		Args: []string{"--metrics-port", harness.Port(address), "--log-level", "never"},
	}.New(ctx)
	return t, "http://" + address + "/metrics", err
}

// clientOptions reads Temporal's own profile and TEMPORAL_* variables, as
// hookyard does, and logs errors only.
func clientOptions() (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return options, fmt.Errorf("temporal profile: %w", err)
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	if options.Namespace == "" {
		options.Namespace = client.DefaultNamespace
	}
	if host, _, err := net.SplitHostPort(options.HostPort); err == nil && host == harness.Host {
		// hookyard leaves out gzip between two programs of one machine, too.
		options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	options.Logger = log.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	return options, nil
}

// peerCommand runs what hookyard is compared with. The benchmark starts it by
// itself.
func peerCommand(ctx context.Context) *cobra.Command {
	var p measure.Peer
	var secretFile string
	var handwritten bool
	cmd := &cobra.Command{
		Use:    "peer",
		Short:  "Run what hookyard is compared with",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) (err error) {
			if p.Client, err = clientOptions(); err != nil {
				return err
			}
			if secretFile != "" {
				secret, err := os.ReadFile(secretFile)
				if err != nil {
					return err
				}
				p.VerifySecret = strings.TrimSpace(string(secret))
			}
			if handwritten {
				p.Database = os.Getenv(measure.DatabaseVar)
			}
			return p.Run(ctx)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Listen, "listen", "", "take what is posted at this address")
	f.StringVar(&p.Source, "source", "", "the first part of the Workflow Ids")
	f.StringVar(&p.TaskQueue, "task-queue", "", "the Task Queue")
	f.StringVar(&p.Ledger, "ledger", "", "run a worker, too, with this SQLite file")
	f.StringVar(&secretFile, "verify-secret", "", "only verify, with the secret in this file")
	f.BoolVar(&handwritten, "handwritten", false, "and insert into the PostgreSQL whose URL is in "+measure.DatabaseVar)
	return cmd
}
