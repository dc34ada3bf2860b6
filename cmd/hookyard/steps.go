package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/worker/alert"
	"github.com/hookyard/hookyard/internal/worker/forward"
)

// steps are the structs whose methods are the Activities, one per outside
// system. A new system is a new field, and a line in liveWorker.register.
type steps struct {
	Ledger  *activities.Ledger
	Mail    *activities.Mail
	Build   *activities.Build
	Forward *forward.Forward
	Alerts  *alert.Alerts
}

// activityNames lists the Activities that the config may name.
func activityNames() []string {
	var names []string
	t := reflect.TypeFor[steps]()
	for field := range t.Fields() {
		if field.Type == reflect.TypeFor[*alert.Alerts]() {
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
func openSteps(ctx context.Context, cfg *config.Config, home folders, traces activities.LedgerOption) (*steps, error) {
	s := &steps{Mail: &activities.Mail{}}
	var err error
	if s.Ledger, err = openLedger(ctx, cfg.Ledger, home, traces); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if cfg.Mail != nil {
		if s.Mail, err = openMail(cfg.Mail); err != nil {
			return nil, errors.Join(fmt.Errorf("mail: %w", err), s.close())
		}
	}
	return s, nil
}

// with returns the steps with what the config says of them now. Ledger and
// mail stay as they were opened.
func (s *steps) with(cfg *config.Config) (*steps, error) {
	next := *s
	// Attempts are bounded by their Activity's timeout, not by the client.
	outbound := &http.Client{}
	next.Build = &activities.Build{}
	if cfg.Build != nil {
		next.Build = &activities.Build{URL: cfg.Build.URL, Token: cfg.Build.Token.Reveal(), HTTP: outbound}
	}
	next.Forward = &forward.Forward{Targets: map[string]forward.Target{}, HTTP: outbound}
	for _, source := range cfg.Sources {
		if source.Forward == nil {
			continue
		}
		sign, err := forwardSigner(source)
		if err != nil {
			return nil, fmt.Errorf("source %q: forward: %w", source.Name, err)
		}
		next.Forward.Targets[source.Name] = forward.Target{URL: source.Forward.URL, Timeout: source.Forward.Timeout, Sign: sign}
	}
	return &next, nil
}

func openLedger(ctx context.Context, cfg *config.Ledger, home folders, traces activities.LedgerOption) (*activities.Ledger, error) {
	switch {
	case cfg == nil:
		return activities.OpenSQLite(ctx, home.ledger(), traces)
	case cfg.SQLite != "":
		return activities.OpenSQLite(ctx, cfg.SQLite, traces)
	default:
		return activities.OpenPostgres(ctx, cfg.Postgres.Reveal(), traces)
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
	signer, err := p.Bind(provider.Binding{Secrets: []string{secret}})
	if err != nil {
		return nil, fmt.Errorf("%w, as Standard Webhooks needs it", err)
	}
	return func(h http.Header, id string, at time.Time, body []byte) error {
		d := &provider.Delivery{Header: h, Body: body, ReceivedAt: at}
		if err := signer.Stamp(d, id, ""); err != nil {
			return err
		}
		if err := signer.Sign(d); err != nil {
			return err
		}
		maps.Copy(h, d.Header) // a delivery may get another header when it is stamped
		return nil
	}, nil
}

func (s *steps) close() error {
	if s == nil || s.Ledger == nil {
		return nil
	}
	return s.Ledger.DB.Close()
}
