//go:build flawed

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/forward"
	"github.com/hookyard/hookyard/internal/worker/parking"
	"github.com/hookyard/hookyard/workflows"
)

// receiver is an edge or a worker with a flaw.
type receiver struct {
	config *config.Config
	client client.Client
	logger *slog.Logger
	flaw   flaw
}

// flaw replaces the parts of a receiver that are not nil.
type flaw struct {
	settings  func(*config.Config)
	starter   func(r receiver, next ingest.Starter) ingest.Starter
	handler   func(r receiver, next http.Handler) http.Handler
	transport http.RoundTripper // of what is forwarded
}

// serveEdge is the edge of `hookyard serve`.
func (r receiver) serveEdge(ctx context.Context) error {
	if r.flaw.settings != nil {
		r.flaw.settings(r.config)
	}
	catalog, err := provider.Builtin()
	if err != nil {
		return err
	}
	catalog, found := ingest.Providers(r.config, catalog)
	sources, more := ingest.Sources(r.config, catalog)
	if err := config.Mistakes(append(found, more...)).Err(); err != nil {
		return err
	}
	var starter ingest.Starter = &ingest.WorkflowStarter{Client: r.client, TaskQueue: r.config.Temporal.TaskQueue, Logger: r.logger}
	if r.flaw.starter != nil {
		starter = r.flaw.starter(r, starter)
	}
	handler := ingest.New(ingest.Options{Sources: sources, Starter: starter, Logger: r.logger, PublicURL: r.config.PublicURL}).Handler()
	if r.flaw.handler != nil {
		handler = r.flaw.handler(r, handler)
	}

	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.config.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	r.logger.Info("edge started", "listen", l.Addr().String())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// serveWorker is the worker of `hookyard serve`, with the steps that the
// scenarios need. It forwards unsigned.
func (r receiver) serveWorker(ctx context.Context) error {
	app, _ := r.config.App.(*activities.Config)
	ledger, err := activities.OpenSQLite(ctx, string(app.Ledger.SQLite))
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer ledger.DB.Close()
	mail, err := activities.OpenSMTP(app.Mail.SMTP.Reveal(), app.Mail.From)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	targets := map[forward.Route]forward.Target{}
	forwarding := &forward.Activities{
		HTTP: &http.Client{Transport: cmp.Or(r.flaw.transport, http.DefaultTransport)},
	}
	for _, source := range r.config.Sources {
		route := source.Routes[len(source.Routes)-1] // the one that forwards
		targets[forward.Route{Source: source.Name, Name: route.Name}] = forward.Target{URL: route.Forward.URL}
	}
	forwarding.Targets.Store(&targets)

	retry := r.config.Retry.Default
	policies := worker.NewPolicies(worker.PolicySet{Entries: worker.Entries{Default: worker.Policy{
		Timeout: retry.Timeout,
		Retry:   temporal.RetryPolicy{InitialInterval: retry.Initial, BackoffCoefficient: retry.Backoff, MaximumInterval: retry.Max},
	}}})
	w := sdkworker.New(r.client, r.config.Temporal.TaskQueue, sdkworker.Options{
		Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{Policies: policies, Parking: parking.Options{Fits: worker.Fits(handlers())}})},
	})
	if err := worker.Register(w, handlers()); err != nil {
		return err
	}
	w.RegisterActivity(ledger)
	w.RegisterActivity(mail)
	w.RegisterActivity(forwarding)
	if err := w.Start(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	r.logger.Info("worker started")
	<-ctx.Done()
	w.Stop()
	return nil
}

func handlers() []worker.Handler {
	return []worker.Handler{worker.On("stripe.invoice.paid", workflows.InvoicePaid)}
}
