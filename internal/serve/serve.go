package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/telemetry"
	"github.com/hookyard/hookyard/internal/worker"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	config, only     string
	admin, traceFile string
	drain            time.Duration
	logs             command.Logging
}

func serveCommand(env command.Env) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the edge and the worker",
		Long: `Run the edge, which takes webhooks, and the worker, which runs their Workflows.

The connection to Temporal (address, namespace, TLS, API key) comes from
Temporal's own profile file and TEMPORAL_* variables, as for the temporal CLI.
While Temporal is away the edge answers 503 with Retry-After and recovers by
itself. SIGTERM drains: requests in flight finish, new ones are refused.

SIGHUP has the config and its secrets read again, without a request refused. A
file with mistakes changes nothing, and each of them is logged. listen, admin,
temporal, store, send, journal, park_for and app take a restart.

The admin address answers /healthz, /readyz, /metrics and /debug/pprof/. Traces
go to the collector that OpenTelemetry's own variables name
(OTEL_EXPORTER_OTLP_ENDPOINT), or to --trace-file; without either there are none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var asked <-chan os.Signal
			if env.Hangups != nil {
				var stop func()
				asked, stop = env.Hangups()
				defer stop()
			}
			s, err := o.system(env)
			if err != nil {
				return err
			}
			s.reload = asked
			return s.Run(cmd.Context(), nil)
		},
	}
	cmd.Flags().StringVarP(&o.config, "config", "c", command.DefaultConfig, "the config file")
	cmd.Flags().StringVar(&o.only, "only", "", "run just the edge or just the worker")
	cmd.Flags().DurationVar(&o.drain, "drain", 30*time.Second, "how long requests in flight may take to finish")
	cmd.Flags().StringVar(&o.admin, "admin", "", "the admin address, or off (default the config's, "+config.DefaultAdmin+")")
	cmd.Flags().StringVar(&o.traceFile, "trace-file", "", "append each span to this file, as a line of JSON")
	o.logs.Flags(cmd, "json")
	return cmd
}

// Service is what the flags and the config ask for, before it runs.
func (o serveOptions) system(env command.Env) (*Service, error) {
	if !slices.Contains([]string{"", "edge", "worker"}, o.only) {
		return nil, command.Usage(fmt.Errorf("--only %q: want edge or worker", o.only))
	}
	if err := checkAdmin(o.admin); err != nil {
		return nil, err
	}
	logger, err := o.logs.Logger(env)
	if err != nil {
		return nil, err
	}
	read := func() (*command.Setting, error) {
		set, err := command.Load(o.config, env, false)
		if err == nil && o.admin != "" {
			set.Admin = o.admin
		}
		return set, err
	}
	set, err := read()
	if err != nil {
		return nil, err
	}
	home, _ := command.UserFolders(env) // without one, no secret that a provider hands over is kept
	options, err := command.ClientOptions(env, logger)
	if err != nil {
		return nil, err
	}
	tasks := &worker.Tasks{}
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(tasks.Watch))
	if _, given := env.LookupEnv("GOMEMLIMIT"); o.only == "edge" && !given {
		debug.SetMemoryLimit(edgeMemory)
	}
	payloads, err := command.OpenPayloads(context.Background(), command.PayloadsOf(set.Config))
	if err != nil {
		return nil, err
	}
	if err := payloads.Wire(&options); err != nil {
		return nil, err
	}
	return &Service{
		Started: set, read: read, Temporal: options, Payloads: payloads, Home: home, Logger: logger, Drain: o.drain, App: env.App, tasks: tasks,
		Edge: o.only != "worker", Worker: o.only != "edge", LookupEnv: env.LookupEnv, traceFile: o.traceFile,
	}, nil
}

// edgeMemory is the soft memory limit of an edge that has a process of its own,
// in bytes: room for bodies, and 64 MiB for all connections. Without it, Go would
// let garbage grow to as much again.
const edgeMemory = ingest.MaxHeld + 64<<20

// Service is an edge, a worker, or both, on one connection to Temporal.
type Service struct {
	Started      *command.Setting
	App          command.App
	Temporal     client.Options
	Payloads     *command.Payloads // as Temporal has them; Run closes them
	Home         command.Folders
	tasks        *worker.Tasks // of the Temporal client
	Logger       *slog.Logger
	Drain        time.Duration
	Edge, Worker bool
	Listener     net.Listener // nil to listen where the config says
	// SendListener is for the API of the sending side; nil as above.
	SendListener net.Listener
	sending      *sending // nil where the config has none
	// AdminElsewhere takes a free port where the default admin address is taken.
	AdminElsewhere bool
	LookupEnv      func(name string) (value string, ok bool)
	traceFile      string // "" for none
	telemetry      *telemetry.Telemetry
	journal        atomic.Pointer[journal.Journal] // nil for none
	current        *current                        // the embedded setting is the one of the start
	read           func() (*command.Setting, error)
	reload         <-chan os.Signal // asks for read; nil for never
}

// Run serves until ctx ends, and then stops in the reverse order of the start:
// the edge first, so that nothing new comes in, then the worker. ready, which
// may be nil, is called once the edge listens and the worker polls or waits
// for Temporal.
func (s *Service) Run(ctx context.Context, ready func()) (err error) {
	s.current = &current{setting: s.Started}
	defer func() { err = errors.Join(err, s.Payloads.Close()) }()
	if s.telemetry, err = s.openTelemetry(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.telemetry.Close(ctx)) }()
	c, err := client.NewLazyClient(s.Temporal)
	if err != nil {
		return fmt.Errorf("temporal: %w", err)
	}
	defer c.Close()
	if err := s.checkNow(ctx, c, s.Started); err != nil {
		return err
	}
	stopAdmin, err := s.startAdmin(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopAdmin()) }()

	if s.sending, err = s.openSending(ctx, c); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.sending.close()) }()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	working := make(chan error, 1)
	stopWorker := s.startWorker(ctx, c, working, cancel)
	defer func() { err = errors.Join(err, stopWorker()) }()

	stopReloading, err := s.reloadOn(ctx, c, s.reload)
	if err != nil {
		return err
	}
	defer stopReloading()

	if !s.Edge {
		if ready != nil {
			ready()
		}
		<-ctx.Done()
		return cause(ctx)
	}
	return s.serveEdge(ctx, c, ready)
}

// serveEdge serves the edge, and the API of the sending side, until ctx ends.
func (s *Service) serveEdge(ctx context.Context, c client.Client, ready func()) (err error) {
	l := s.Listener
	if l == nil {
		if l, err = command.Listen(ctx, s.Started.Listen, "listen in the config"); err != nil {
			return err
		}
	}
	stopAPI, err := s.startSendAPI(ctx, s.sending)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, stopAPI()) }()
	s.Logger.Info("edge started", "listen", l.Addr().String(), "sources", len(s.Started.Bound))
	if ready != nil {
		ready()
	}
	starter := &ingest.WorkflowStarter{
		Client: c, TaskQueue: s.Started.Temporal.TaskQueue, Logger: s.Logger,
		// Temporal would hand such a first task to any build.
		Eager: s.Worker && s.Started.Temporal.Versioning == nil,
	}
	var edge *ingest.Server
	log, err := s.newJournal(ctx, c, starter, func(ctx context.Context, source string) (bool, error) { return edge.Hold(ctx, source) })
	if err != nil {
		return errors.Join(err, l.Close())
	}
	o := ingest.Options{
		Starter: starter,
		Logger:  s.Logger,
		Pauses:  c,
		Check: func(ctx context.Context) error {
			_, err := c.CheckHealth(ctx, nil)
			return err
		},
		HandedOver: s.Home.HandedOver(),
		Meter:      s.telemetry.Meter(),
		Trace:      s.telemetry.HTTP,
	}
	if log != nil {
		o.Journal = log
	}
	edge = ingest.New(o)
	stopJournal := s.runJournal(ctx, log)
	defer stopJournal()
	if err := s.current.follow(func(now *command.Setting) error { return s.reloadEdge(edge, l, now) }); err != nil {
		return err
	}
	if err := edge.Serve(ctx, l, s.Drain); err != nil {
		return err
	}
	return cause(ctx)
}

// reloadEdge has the edge take deliveries as the setting says.
func (s *Service) reloadEdge(edge *ingest.Server, l net.Listener, now *command.Setting) error {
	watch, err := watchEdge(now.Config, s.Logger)
	if err != nil {
		return err
	}
	keys, err := command.EncryptionKeys(now.Encryption)
	if err != nil {
		return err
	}
	s.Payloads.Codec.Replace(keys)
	edge.Reload(ingest.Options{
		Sources:        now.Bound,
		PublicURL:      publicURL(now, l),
		TrustedProxies: now.TrustedProxies,
		Watch:          watch,
	})
	return nil
}

// checkNow refuses a setting for a Temporal that is there and not ready. One
// that is away is waited for later.
func (s *Service) checkNow(ctx context.Context, c client.Client, set *command.Setting) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := command.CheckNamespace(ctx, c, s.Temporal.Namespace, set.Window())
	if errors.Is(err, command.ErrNotReady) {
		return err
	}
	return nil
}

// startWorker runs the worker, once Temporal is there and ready, until the
// returned function stops it. A Temporal that turns out not to be ready ends
// the whole system with that as the cause.
func (s *Service) startWorker(ctx context.Context, c client.Client, done chan error, end context.CancelCauseFunc) (stop func() error) {
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
		if err := <-done; err != nil && !errors.Is(err, command.ErrNotReady) {
			return err
		}
		return nil
	}
}

func (s *Service) work(ctx context.Context, c client.Client) error {
	if err := command.AwaitNamespace(ctx, c, s.Temporal.Namespace, s.Started.Window(), s.Logger); err != nil || ctx.Err() != nil {
		return err
	}
	if !s.Worker {
		return nil
	}
	stopCounting, err := s.countParked(ctx, c)
	if err != nil {
		return err
	}
	defer stopCounting()
	opened, closeAll, err := s.App.OpenActivities(ctx, command.Setup{
		Config: s.Started.App, Logger: s.Logger, LookupEnv: s.LookupEnv, Tracer: s.telemetry.TracerProvider(),
	})
	switch {
	case err == nil && ctx.Err() != nil:
		return closeAll()
	case ctx.Err() != nil: // the end of this process is no failure of theirs
		return nil
	case err != nil:
		return err
	}
	w := newLiveWorker(c, s, opened)
	if w.reconcile, err = newReconciling(ctx, c, s, w.alerts.Config.Load); err != nil {
		return errors.Join(err, closeAll())
	}
	defer w.reconcile.activities.HTTP.Close()
	stopSchedules, err := s.keepSchedules(ctx, c)
	if err != nil {
		return errors.Join(err, closeAll())
	}
	defer stopSchedules()
	stopRelay, err := s.startRelay(ctx, c)
	if err != nil {
		return errors.Join(err, closeAll())
	}
	defer stopRelay()
	if err := s.current.follow(w.reload); err != nil {
		return errors.Join(err, closeAll())
	}
	return errors.Join(w.run(ctx), closeAll())
}

// publicURL is the configured one or, on one machine, where the edge listens.
func publicURL(set *command.Setting, l net.Listener) string {
	if set.PublicURL != "" {
		return set.PublicURL
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
