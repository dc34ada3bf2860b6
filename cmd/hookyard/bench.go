package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/bench"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	events, rounds, soak int
	concurrency          []int
	only                 []string
	temporal, metrics    string
	json                 bool
}

func benchCommand(env environment) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the edge and the worker beside the same Temporal called bare",
		Long: `Measure how fast Hookyard acknowledges webhooks and works them off, beside the
same Temporal called with nothing in between, and print the ratios.

Everything runs on this machine, in processes of its own that are ended at the
end: this program as edge and worker, the least programs that do the same, and
the dev server that "hookyard dev" builds, on a file that is removed. With
--temporal it is the server at that address instead, in the namespace of
Temporal's own profile; it needs "hookyard setup", and the runs of the
benchmark stay there until their retention is over.

Takes about 10 minutes. Run it on an otherwise idle machine, or with more
rounds.`,
		Example: "  hookyard bench\n  hookyard bench --only edge --concurrency 16 --json\n  hookyard bench --soak 100000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return runBench(cmd.Context(), env, o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.events, "events", 300, "events in a round, for each thing measured")
	f.IntVar(&o.rounds, "rounds", 9, "rounds; the median counts, so an odd number")
	f.IntSliceVar(&o.concurrency, "concurrency", []int{1, 16, 64}, "deliveries at once, for the edge")
	f.StringSliceVar(&o.only, "only", nil, "just these parts: edge, end-to-end, memory (default all)")
	f.IntVar(&o.soak, "soak", 0, "instead, send so many events and see that memory stays flat")
	f.StringVar(&o.temporal, "temporal", "", "address of a Temporal to measure on (default one that is started for it)")
	f.StringVar(&o.metrics, "metrics", "", "URL of that Temporal's Prometheus metrics, to count writes by")
	f.BoolVar(&o.json, "json", false, "print JSON")
	cmd.AddCommand(peerCommand(env))
	return cmd
}

// The most that a benchmark takes on: beyond it, it measures the machine's
// limits and not the programs'.
const (
	maxBenchEvents      = 1_000_000
	maxBenchRounds      = 100
	maxBenchConcurrency = 1024
)

func (o benchOptions) check() error {
	for _, limit := range []struct {
		flag         string
		given, least int
		most         int
	}{
		{"--events", o.events, 1, maxBenchEvents},
		{"--rounds", o.rounds, 1, maxBenchRounds},
		{"--soak", o.soak, 0, maxBenchEvents},
	} {
		if limit.given < limit.least || limit.given > limit.most {
			return usageError{fmt.Errorf("%s %d: want %d to %d", limit.flag, limit.given, limit.least, limit.most)}
		}
	}
	for _, n := range o.concurrency {
		if n < 1 || n > maxBenchConcurrency {
			return usageError{fmt.Errorf("--concurrency %d: want 1 to %d", n, maxBenchConcurrency)}
		}
	}
	for _, part := range o.only {
		if !slices.Contains(bench.Parts(), bench.Part(part)) {
			return usageError{fmt.Errorf("--only %q: want edge, end-to-end or memory", part)}
		}
	}
	if o.metrics != "" && o.temporal == "" {
		return usageError{fmt.Errorf("--metrics is of a server that --temporal names; the one that bench starts has its own")}
	}
	return nil
}

func (o benchOptions) parts() []bench.Part {
	if len(o.only) == 0 {
		return bench.Parts()
	}
	parts := make([]bench.Part, len(o.only))
	for i, part := range o.only {
		parts[i] = bench.Part(part)
	}
	return parts
}

func runBench(ctx context.Context, env environment, o benchOptions) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to run it as edge and worker: %w", err)
	}
	folder, err := os.MkdirTemp("", "hookyard-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	server, stop, err := benchTemporal(ctx, env, o, folder)
	if err != nil {
		return err
	}
	defer stop()
	report, err := bench.Run(ctx, bench.Options{
		Program:     program,
		Vars:        append(slices.Clone(env.vars), "TEMPORAL_ADDRESS="+server.options.HostPort),
		Client:      server.options,
		MetricsURL:  server.metrics,
		Folder:      folder,
		Terminate:   o.temporal != "",
		Prepare:     ownGroup,
		Interrupt:   interrupt,
		Parts:       o.parts(),
		Events:      o.events,
		Rounds:      o.rounds,
		Concurrency: o.concurrency,
		Soak:        o.soak,
		Progress:    env.stderr,
	})
	if err != nil {
		return err
	}
	report.Temporal = server.what
	if o.json {
		encoder := json.NewEncoder(env.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.Table(env.stdout)
}

// benchServer is the Temporal that is measured on.
type benchServer struct {
	options       client.Options
	metrics, what string
}

// benchTemporal finds the server that was named, or starts one.
func benchTemporal(ctx context.Context, env environment, o benchOptions, folder string) (*benchServer, func(), error) {
	logger, err := (&logging{level: "error", format: "text"}).logger(env)
	if err != nil {
		return nil, nil, err
	}
	options, err := clientOptions(env, logger)
	if err != nil {
		return nil, nil, err
	}
	if o.temporal != "" {
		options.HostPort = o.temporal
		return &benchServer{options, o.metrics, "Temporal at " + o.temporal}, func() {}, benchReady(ctx, options)
	}
	home, err := userFolders(env)
	if err != nil {
		return nil, nil, err
	}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, nil, err
	}
	options.HostPort = net.JoinHostPort(defaultHost, strconv.Itoa(ports[0]))
	server := &temporalProcess{
		options: options, home: home, output: env.stderr,
		builder: devServer{cache: home.cache, progress: env.stderr},
		dev:     devOptions{uiPort: ports[1], dbFilename: filepath.Join(folder, "temporal.db")},
	}
	cmd, err := server.command(ctx, defaultHost, strconv.Itoa(ports[0]))
	if err != nil {
		return nil, nil, err
	}
	// Of a flag that is there twice the last one holds. What the server says
	// while the connections to it end is nothing to look at.
	cmd.Args = append(cmd.Args, "--metrics-port", strconv.Itoa(ports[2]), "--log-level", "never")
	if err := server.run(ctx, cmd); err != nil {
		return nil, nil, err
	}
	if err := devSetup(ctx, options); err != nil {
		server.stop()
		return nil, nil, err
	}
	metrics := "http://" + net.JoinHostPort(defaultHost, strconv.Itoa(ports[2])) + "/metrics"
	return &benchServer{options, metrics, "Temporal's dev server on an SQLite file"}, server.stop, nil
}

// benchReady sees that a server is there and set up.
func benchReady(ctx context.Context, options client.Options) error {
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return fmt.Errorf("no Temporal answers at %s: %w", options.HostPort, err)
	}
	defer c.Close()
	return checkNamespace(ctx, c, options.Namespace, window{})
}

// freePorts returns so many ports of this machine that nothing listens on.
func freePorts(ctx context.Context, n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := listen(ctx, net.JoinHostPort(defaultHost, "0"), "nothing: it is a free port")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:revive // all are held until all are found, so that no two are one
		address, _ := l.Addr().(*net.TCPAddr)
		ports[i] = address.Port
	}
	return ports, nil
}

// peerCommand is what bench compares Hookyard with. It starts it itself.
func peerCommand(env environment) *cobra.Command {
	var p bench.Peer
	var secretFile string
	cmd := &cobra.Command{
		Use:    "peer",
		Short:  "Run what bench compares Hookyard with",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := (&logging{level: "error", format: "text"}).logger(env)
			if err != nil {
				return err
			}
			if p.Client, err = clientOptions(env, logger); err != nil {
				return err
			}
			if secretFile != "" {
				secret, err := os.ReadFile(secretFile)
				if err != nil {
					return err
				}
				p.VerifySecret = strings.TrimSpace(string(secret))
			}
			return p.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Listen, "listen", "", "where to take what is posted")
	f.StringVar(&p.Source, "source", "", "the first part of the Workflow Ids")
	f.StringVar(&p.TaskQueue, "task-queue", "", "the Task Queue")
	f.StringVar(&p.Ledger, "ledger", "", "run a worker too, with this SQLite file")
	f.StringVar(&secretFile, "verify-secret", "", "only verify, with the secret in this file")
	return cmd
}
