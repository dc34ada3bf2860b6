package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
)

// current is the setting that a process lives by, which a reload replaces.
type current struct {
	mu      sync.Mutex
	setting *command.Setting
	takers  []func(*command.Setting) error
}

// get returns the setting of now.
func (c *current) get() *command.Setting {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setting
}

// follow hands the setting of now to take, and each later one.
func (c *current) follow(take func(*command.Setting) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takers = append(c.takers, take)
	return take(c.setting)
}

// replace hands a setting to everybody who follows.
func (c *current) replace(next *command.Setting) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setting = next
	var errs []error
	for _, take := range c.takers {
		errs = append(errs, take(next))
	}
	return errors.Join(errs...)
}

// reloader reads the config again when the process is asked to. A config that
// could not be started with changes nothing.
type reloader struct {
	started *config.Config // the one that the process started with
	now     *current
	read    func() (*command.Setting, error)
	check   func(ctx context.Context, next *command.Setting) error
	logger  *slog.Logger
	count   metric.Int64Counter // by result
}

// reloadOn has the config read again whenever asked delivers, until stop is
// called.
func (s *Service) reloadOn(ctx context.Context, c client.Client, asked <-chan os.Signal) (stop func(), err error) {
	count, err := s.telemetry.Meter().Int64Counter("hookyard_config_reloads_total",
		metric.WithDescription("Times that the config was read again, by what became of it: ok or refused."))
	if err != nil {
		return nil, err
	}
	r := &reloader{
		started: s.Started.Config, now: s.current, read: s.read, logger: s.Logger, count: count,
		check: func(ctx context.Context, next *command.Setting) error { return s.checkNow(ctx, c, next) },
	}
	for _, result := range []string{reloadOK, reloadRefused} {
		r.counted(ctx, result, 0) // so that the first one is seen as an increase
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx, asked) })
	return func() {
		cancel()
		running.Wait()
	}, nil
}

// The results of a reload.
const (
	reloadOK      = "ok"
	reloadRefused = "refused"
)

func (r *reloader) counted(ctx context.Context, result string, n int64) {
	r.count.Add(ctx, n, metric.WithAttributes(attribute.String("result", result)))
}

func (r *reloader) run(ctx context.Context, asked <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
		}
		result := reloadOK
		if err := r.reload(ctx); err != nil {
			result = reloadRefused
			for _, mistake := range each(err) {
				r.logger.Error("the config was not reloaded; the old one stays", "err", mistake)
			}
		}
		r.counted(ctx, result, 1)
	}
}

// reload reads the config and, if it could be started with, takes it into use.
func (r *reloader) reload(ctx context.Context) error {
	began := time.Now()
	next, err := r.read()
	if err != nil {
		return err
	}
	if err := r.check(ctx, next); err != nil {
		return err
	}
	for _, key := range config.FixedChanges(r.started, next.Config) {
		r.logger.Warn("this part of the config changes with a restart only; until then the old one stays", "key", key)
	}
	if err := r.now.replace(next); err != nil {
		// load has tried all of it, so this is a fault of ours.
		return fmt.Errorf("a part of it could not be taken into use: %w", err)
	}
	r.logger.Info("config reloaded", "file", next.File, "sources", len(next.Bound), "took", time.Since(began))
	return nil
}

// each returns all that is wrong, one by one.
func each(err error) []error {
	mistakes, ok := errors.AsType[config.Mistakes](err)
	if !ok {
		return []error{err}
	}
	var all []error
	for _, m := range mistakes {
		all = append(all, m)
	}
	return all
}
