package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/workflows"
	"github.com/hookyard/hookyard/workflows/parking"
)

// steps are the structs whose methods are the Activities, one per outside
// system. A new system is a new field.
type steps struct {
	Ledger  *activities.Ledger
	Mail    *activities.Mail
	Build   *activities.Build
	Forward *activities.Forward
	Alerts  *activities.Alerts
}

// activityNames lists the Activities that the config may name.
func activityNames() []string {
	var names []string
	t := reflect.TypeFor[steps]()
	for field := range t.Fields() {
		if field.Type == reflect.TypeFor[*activities.Alerts]() {
			continue // attempted as their Workflow says, whatever the config does
		}
		for method := range field.Type.Methods() {
			names = append(names, method.Name)
		}
	}
	slices.Sort(names)
	return names
}

// openSteps connects the Activities to what the config names.
func openSteps(ctx context.Context, cfg *config.Config, home folders) (*steps, error) {
	s := &steps{Mail: &activities.Mail{}, Build: &activities.Build{}}
	var err error
	if s.Ledger, err = openLedger(ctx, cfg.Ledger, home); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if cfg.Mail != nil {
		if s.Mail, err = openMail(cfg.Mail); err != nil {
			return nil, errors.Join(fmt.Errorf("mail: %w", err), s.close())
		}
	}
	// Attempts are bounded by their Activity's timeout, not by the client.
	outbound := &http.Client{}
	if cfg.Build != nil {
		s.Build = &activities.Build{URL: cfg.Build.URL, Token: cfg.Build.Token.Reveal(), HTTP: outbound}
	}
	s.Forward = &activities.Forward{Targets: map[string]activities.Target{}, HTTP: outbound}
	for _, source := range cfg.Sources {
		if source.Forward == nil {
			continue
		}
		sign, err := forwardSigner(source)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("source %q: forward: %w", source.Name, err), s.close())
		}
		s.Forward.Targets[source.Name] = activities.Target{URL: source.Forward.URL, Timeout: source.Forward.Timeout, Sign: sign}
	}
	return s, nil
}

func openLedger(ctx context.Context, cfg *config.Ledger, home folders) (*activities.Ledger, error) {
	switch {
	case cfg == nil:
		return activities.OpenSQLite(ctx, home.ledger())
	case cfg.SQLite != "":
		return activities.OpenSQLite(ctx, cfg.SQLite)
	default:
		return activities.OpenPostgres(ctx, cfg.Postgres.Reveal())
	}
}

func openMail(cfg *config.Mail) (*activities.Mail, error) {
	if cfg.Folder != "" {
		return activities.OpenMailFolder(cfg.Folder, cfg.From.String())
	}
	return activities.OpenSMTP(cfg.SMTP.Reveal(), cfg.From.String())
}

// forwardSigner signs as Standard Webhooks does, with the secret that the
// source gives for it or, where the source itself receives Standard Webhooks,
// the one it verifies with: the service behind it then needs no change.
func forwardSigner(source config.Source) (func(h http.Header, id string, at time.Time, body []byte) error, error) {
	const scheme = "standard-webhooks"
	secret := source.Forward.Secret.Reveal()
	if source.Forward.Secret.IsZero() {
		if source.Provider != scheme {
			return nil, fmt.Errorf("it has no secret to sign with; add `secret: env:NAME`, a base64 text that may start with whsec_")
		}
		if len(source.Secrets) > 0 {
			secret = source.Secrets[0].Reveal()
		}
	}
	if secret == "" {
		return nil, nil // missing, which config has said, or not looked for
	}
	catalog, err := provider.Builtin()
	if err != nil {
		return nil, err
	}
	p, ok := catalog.Lookup(scheme)
	if !ok {
		return nil, fmt.Errorf("there is no provider %q", scheme)
	}
	signer, err := p.Bind([]string{secret}, 0)
	if err != nil {
		return nil, fmt.Errorf("%w, as Standard Webhooks needs it", err)
	}
	return func(h http.Header, id string, at time.Time, body []byte) error {
		d := &provider.Delivery{Header: h, Body: body, ReceivedAt: at}
		if err := signer.Stamp(d, id, ""); err != nil {
			return err
		}
		return signer.Sign(d)
	}, nil
}

func (s *steps) close() error {
	if s == nil || s.Ledger == nil {
		return nil
	}
	return s.Ledger.DB.Close()
}

func policy(r config.Retry) workflows.Policy {
	return workflows.Policy{
		Timeout: r.Timeout,
		Retry: temporal.RetryPolicy{
			InitialInterval:    r.Initial,
			BackoffCoefficient: r.Backoff,
			MaximumInterval:    r.Max,
			MaximumAttempts:    int32(r.Attempts), //nolint:gosec // config keeps it small
		},
	}
}

// workerStopTimeout is how long Activities in flight may go on after the
// worker is told to stop. One that is cut off is attempted again elsewhere.
const workerStopTimeout = 20 * time.Second

// runWorker polls until ctx ends. A worker that cannot start, or that dies of
// a fatal error, is replaced after a pause: nothing is lost meanwhile, since
// Temporal holds the tasks.
func runWorker(ctx context.Context, c client.Client, cfg *config.Config, s *steps, logger *slog.Logger) error {
	const pause = 3 * time.Second
	for {
		died := make(chan error, 1)
		w := worker.New(c, cfg.Temporal.TaskQueue, worker.Options{
			Interceptors: workflows.Interceptors(policies(cfg), parking.Options{
				ParkFor: cfg.ParkFor, Fits: workflows.Fits(workflows.All()),
			}),
			WorkerStopTimeout: workerStopTimeout,
			OnFatalError:      func(err error) { died <- err },
		})
		if err := workflows.Register(w, workflows.All()); err != nil {
			return err
		}
		w.RegisterActivity(s.Ledger)
		w.RegisterActivity(s.Mail)
		w.RegisterActivity(s.Build)
		w.RegisterActivity(s.Forward)
		w.RegisterActivity(s.Alerts)
		err := w.Start()
		if err == nil {
			logger.Info("worker started", "task_queue", cfg.Temporal.TaskQueue)
			select {
			case <-ctx.Done():
				w.Stop()
				return nil
			case err = <-died: // it has stopped itself
			}
		}
		logger.Error("worker stopped; starting another", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
