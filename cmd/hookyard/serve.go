package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
)

func serveCommand(env environment) *cobra.Command {
	var (
		configFile, only string
		drain            time.Duration
		logs             logging
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the edge and the worker",
		Long: `Run the edge, which takes webhooks, and the worker, which runs their Workflows.

The connection to Temporal (address, namespace, TLS, API key) comes from
Temporal's own profile file and TEMPORAL_* variables, as for the temporal CLI.
While Temporal is away the edge answers 503 with Retry-After and recovers by
itself. SIGTERM drains: requests in flight finish, new ones are refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"", "edge", "worker"}, only) {
				return usageError{fmt.Errorf("--only %q: want edge or worker", only)}
			}
			logger, err := logs.logger(env)
			if err != nil {
				return err
			}
			set, err := load(configFile, config.Options{LookupEnv: env.LookupEnv})
			if err != nil {
				return err
			}
			home, err := userFolders(env)
			if err != nil && set.Ledger == nil && only != "edge" {
				return fmt.Errorf("the ledger has no place to be: %w; or give it one with `ledger` in %s", err, configFile)
			}
			options, err := clientOptions(env, logger)
			if err != nil {
				return err
			}
			s := &system{setting: set, temporal: options, home: home, logger: logger, drain: drain,
				edge: only != "worker", worker: only != "edge"}
			return s.run(cmd.Context(), nil)
		},
	}
	cmd.Flags().StringVarP(&configFile, "config", "c", defaultConfig, "the config file")
	cmd.Flags().StringVar(&only, "only", "", "run just the edge or just the worker")
	cmd.Flags().DurationVar(&drain, "drain", 30*time.Second, "how long requests in flight may take to finish")
	logs.flags(cmd, "json")
	return cmd
}

// system is an edge, a worker, or both, on one connection to Temporal.
type system struct {
	*setting
	temporal     client.Options
	home         folders
	logger       *slog.Logger
	drain        time.Duration
	edge, worker bool
	listener     net.Listener // nil to listen where the config says
}

// run serves until ctx ends, and then stops in the reverse order of the start:
// the edge first, so that nothing new comes in, then the worker. ready, which
// may be nil, is called once the edge listens and the worker polls or waits
// for Temporal.
func (s *system) run(ctx context.Context, ready func()) (err error) {
	c, err := client.NewLazyClient(s.temporal)
	if err != nil {
		return fmt.Errorf("temporal: %w", err)
	}
	defer c.Close()
	if err := s.checkNow(ctx, c); err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	working := make(chan error, 1)
	stopWorker := s.startWorker(ctx, c, working, cancel)
	defer func() { err = errors.Join(err, stopWorker()) }()

	if !s.edge {
		if ready != nil {
			ready()
		}
		<-ctx.Done()
		return cause(ctx)
	}
	l := s.listener
	if l == nil {
		if l, err = listen(ctx, s.Listen, "listen in the config"); err != nil {
			return err
		}
	}
	watch, err := watchEdge(s.Config, s.logger)
	if err != nil {
		return err
	}
	s.logger.Info("edge started", "listen", l.Addr().String(), "sources", len(s.sources))
	if ready != nil {
		ready()
	}
	edge := ingest.New(ingest.Options{
		Sources: s.sources,
		Starter: &ingest.WorkflowStarter{
			Client: c, TaskQueue: s.Temporal.TaskQueue, Eager: s.worker, Logger: s.logger,
		},
		Logger:         s.logger,
		PublicURL:      s.publicURL(l),
		TrustedProxies: s.TrustedProxies,
		Watch:          watch,
	})
	if err := edge.Serve(ctx, l, s.drain); err != nil {
		return err
	}
	return cause(ctx)
}

// checkNow refuses to start on a Temporal that is there and not ready. One
// that is away is waited for later.
func (s *system) checkNow(ctx context.Context, c client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := checkNamespace(ctx, c, s.temporal.Namespace, longestWindow(s.sources))
	if errors.Is(err, errNotReady) {
		return err
	}
	return nil
}

// startWorker runs the worker, once Temporal is there and ready, until the
// returned function stops it. A Temporal that turns out not to be ready ends
// the whole system with that as the cause.
func (s *system) startWorker(ctx context.Context, c client.Client, done chan error, end context.CancelCauseFunc) (stop func() error) {
	// The worker outlives the edge, so it does not end with ctx.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		err := s.work(ctx, c)
		if err != nil {
			end(err)
		}
		done <- err
	}()
	return func() error {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, errNotReady) {
			return err
		}
		return nil
	}
}

func (s *system) work(ctx context.Context, c client.Client) error {
	if err := awaitNamespace(ctx, c, s.temporal.Namespace, longestWindow(s.sources), s.logger); err != nil || ctx.Err() != nil {
		return err
	}
	if !s.worker {
		return nil
	}
	steps, err := openSteps(ctx, s.Config, s.home)
	if ctx.Err() != nil {
		return steps.close()
	}
	if err != nil {
		return err
	}
	if steps.Alerts, err = openAlerts(s.Config, c, s.temporal.Namespace); err != nil {
		return errors.Join(err, steps.close())
	}
	return errors.Join(runWorker(ctx, c, s.Config, steps, s.logger), steps.close())
}

// publicURL is the configured one or, on one machine, where the edge listens.
func (s *system) publicURL(l net.Listener) string {
	if s.PublicURL != "" {
		return s.PublicURL
	}
	return "http://" + l.Addr().String()
}

// cause returns why ctx ended, or nil if somebody asked for it.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// listen takes a TCP address; setting is where an operator changes it.
func listen(ctx context.Context, address, setting string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another program; stop it, or choose another address with %s", address, setting)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return l, nil
}
