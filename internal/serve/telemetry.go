package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/telemetry"
)

// openTelemetry starts to keep what this process tells of itself, and has the
// connection to Temporal do so, too.
func (s *Service) openTelemetry(ctx context.Context) (*telemetry.Telemetry, error) {
	t, err := telemetry.New(ctx, telemetry.Options{
		Version: command.Version(), TraceFile: s.traceFile, LookupEnv: s.LookupEnv, Logger: s.Logger,
	})
	if err != nil {
		return nil, err
	}
	t.ReportErrors()
	if err := t.Observe(&s.Temporal); err != nil {
		return nil, errors.Join(err, t.Close(ctx))
	}
	return t, nil
}

// startAdmin serves the admin listener until stop is called. It outlives ctx,
// so that the last moments of a process can be watched; from the end of ctx on,
// the process is not ready.
func (s *Service) startAdmin(ctx context.Context, c client.Client) (stop func() error, err error) {
	l, err := listenAdmin(ctx, s.Started.Admin, s.AdminElsewhere, s.Logger)
	if l == nil || err != nil {
		return func() error { return nil }, err
	}
	s.Logger.Info("admin started", "listen", l.Addr().String())
	ready := func(probe context.Context) error {
		if ctx.Err() != nil {
			return errors.New("this process is stopping")
		}
		if command.Journals(s.Started.Config) && s.Edge {
			// Its events are taken while Temporal is away, too. Those of a source
			// without a journal are refused by the edge itself.
			return s.journalReady()
		}
		return checkReady(probe, c, s.Temporal)
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- telemetry.Serve(serving, l, s.telemetry.Admin(ready), s.Logger) }()
	return sync.OnceValue(func() error {
		cancel()
		return <-served
	}), nil
}

// listenAdmin takes the configured address, or the default one. It returns nil
// for no listener. elsewhere allows any free port of loopback where the default
// is taken, as on a developer's machine; a service would lose its metrics.
func listenAdmin(ctx context.Context, configured string, elsewhere bool, logger *slog.Logger) (net.Listener, error) {
	if configured == config.AdminOff {
		return nil, nil
	}
	l, err := command.Listen(ctx, cmp.Or(configured, config.DefaultAdmin), "admin in the config, or --admin")
	if err == nil || configured != "" || !elsewhere {
		return l, err
	}
	logger.Warn("the usual admin address is taken; taking a free port", "taken", config.DefaultAdmin)
	return command.Listen(ctx, "127.0.0.1:0", "admin in the config")
}

// checkReady returns what keeps deliveries from being stored: Temporal cannot be
// reached, or its namespace or Search Attributes are not there. A retention that
// is too short keeps nothing from being stored, and is said at the start.
func checkReady(ctx context.Context, c client.Client, o client.Options) error {
	err := command.CheckNamespace(ctx, c, o.Namespace, command.Window{})
	if err == nil || errors.Is(err, command.ErrNotReady) {
		return err
	}
	return fmt.Errorf("temporal at %s cannot be asked: %w", o.HostPort, err)
}

// checkAdmin finds a --admin that is neither an address nor the word for none.
func checkAdmin(address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil && address != "" && address != config.AdminOff {
		return command.Usage(fmt.Errorf("--admin %q: want host:port such as %s, or %s", address, config.DefaultAdmin, config.AdminOff))
	}
	return nil
}
