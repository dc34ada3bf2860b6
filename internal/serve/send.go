package serve

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/send/api"
	"github.com/hookyard/hookyard/internal/send/attempt"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/store"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

// sending is what the edge and the worker of the sending side share: the store
// and the client that requests go out by.
type sending struct {
	db         *store.DB
	http       *egress.Client
	starter    *attempt.Starter
	activities *attempt.Activities
}

// openSending opens the sending side, or returns nil where the config has none.
func (s *Service) openSending(ctx context.Context, c client.Client) (*sending, error) {
	cfg := s.Started.Config
	if cfg.Send == nil {
		return nil, nil //nolint:nilnil // no sending side is no error
	}
	key, err := store.ParseKey(cfg.Store.Key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("store.key: %w", err)
	}
	out, err := command.Egress(cfg)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, command.StoreOptions(cfg))
	if err != nil {
		return nil, err
	}
	book, err := endpoint.Open(ctx, db, key, nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	starter := &attempt.Starter{Client: c, TaskQueue: cfg.Temporal.TaskQueue, Book: book}
	schedule := cfg.Send.Schedule
	if len(schedule) == 0 {
		schedule = attempt.DefaultSchedule()
	}
	return &sending{
		db: db, http: out, starter: starter,
		activities: &attempt.Activities{
			Starter: starter, HTTP: out, Schedule: schedule, DisableAfter: cfg.Send.DisableAfter, Origin: cfg.Send.Origin,
			Tell: s.tellOfEndpoint,
		},
	}, nil
}

func (o *sending) close() error {
	if o == nil {
		return nil
	}
	o.http.Close()
	return o.db.Close()
}

// startSendAPI serves the API of the sending side until stop is called.
func (s *Service) startSendAPI(ctx context.Context, o *sending) (stop func() error, err error) {
	cfg := s.Started.Config
	if o == nil {
		return func() error { return nil }, nil
	}
	l := s.SendListener
	if l == nil {
		if l, err = command.Listen(ctx, cfg.Send.Listen, "send.listen in the config"); err != nil {
			return nil, err
		}
	}
	server, err := api.New(api.Options{
		Book: o.book(), Starter: o.starter, Namespace: s.Temporal.Namespace, HTTP: o.http, Keys: reveal(cfg.Send.Keys),
		Keep: cfg.Send.Keep, Logger: s.Logger, Meter: s.telemetry.Meter(),
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.Logger.Info("sending API started", "listen", l.Addr().String())
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, l, s.Drain) }()
	return func() error {
		cancel()
		return <-served
	}, nil
}

// startRelay starts the deliveries of messages that wait, and has the metrics
// tell of the sending side, until stop is called.
func (s *Service) startRelay(ctx context.Context, c client.Client) (stop func(), err error) {
	if s.sending == nil {
		return func() {}, nil
	}
	g := &sendGauge{client: c, book: s.sending.book(), logger: s.Logger}
	if err := g.register(s.telemetry.Meter()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var under sync.WaitGroup
	under.Go(func() { s.sending.starter.Relay(ctx, s.Started.Send.Keep, s.Logger) })
	under.Go(func() { g.run(ctx) })
	return func() {
		cancel()
		under.Wait()
	}, nil
}

func (o *sending) book() *endpoint.Book { return o.starter.Book }

func reveal(secrets []config.Secret) []string {
	var texts []string
	for _, secret := range secrets {
		texts = append(texts, secret.Reveal())
	}
	return texts
}

// tellOfEndpoint tells the operator and the endpoint's contact of a change of
// state. One channel that took the message is enough: another attempt would
// tell that one twice.
func (s *Service) tellOfEndpoint(ctx context.Context, e *endpoint.Endpoint, n delivery.Notice) error {
	cfg := s.Started.Config
	channels, err := command.OpenChannels(cfg)
	if err != nil {
		return err
	}
	if e.Contact != "" && !cfg.Send.Mail.IsZero() {
		mail, err := contactChannel(cfg.Send.Mail, e.Contact)
		if err != nil {
			return err
		}
		channels = append(channels, mail)
	}
	if len(channels) == 0 {
		return nil
	}
	m := alert.Message{
		Source: e.ID, Key: "hookyard/endpoint/" + e.ID, Over: n.Kind == "recovered",
		Title: fmt.Sprintf("endpoint %s is %s", e.ID, n.Kind),
		Text:  fmt.Sprintf("%s\nTenant: %s\n%s", e.URL, e.Tenant, n.Why),
	}
	var failures []error
	for i, err := range alert.SendAll(ctx, channels, m) {
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", channels[i].Name(), err))
		}
	}
	if len(failures) == len(channels) {
		return errors.Join(failures...)
	}
	for _, err := range failures {
		s.Logger.Warn("a notice did not reach everybody", "endpoint", e.ID, "err", err)
	}
	return nil
}

// contactChannel is the mail of the config with an endpoint's contact as the
// addressee.
func contactChannel(mail config.Secret, contact string) (*alert.Channel, error) {
	u, err := url.Parse(mail.Reveal())
	if err != nil {
		return nil, fmt.Errorf("send.mail: %s is not a URL", mail.Ref())
	}
	q := u.Query()
	q.Del("toaddresses")
	q.Set("to", contact)
	u.RawQuery = q.Encode()
	return alert.OpenChannel(mail.Ref(), u.String())
}
