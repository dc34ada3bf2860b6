package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

// alertConfig is what the config says of alerts about parked runs.
func alertConfig(cfg *config.Config, namespace string) (*alert.Config, error) {
	channels, err := command.OpenChannels(cfg)
	if err != nil {
		return nil, err
	}
	return &alert.Config{
		Channels:      channels,
		DigestEvery:   cfg.Alerts.DigestEvery,
		EscalateAfter: cfg.Alerts.EscalateAfter,
		Links:         alert.Links{WebUI: cfg.Alerts.WebUI, Namespace: namespace, Private: len(cfg.Encryption.Keys) > 0},
	}, nil
}

// watchEdge returns what watches the deliveries of this edge, or nil where the
// config asks for none of it.
func watchEdge(cfg *config.Config, logger *slog.Logger) (*ingest.Watch, error) {
	channels, err := command.OpenChannels(cfg)
	if err != nil || len(channels) == 0 {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return ingest.NewWatch(ingest.WatchOptions{
		Sources: cfg.Sources,
		Alerter: &edgeAlerts{channels: channels, edge: host + " " + cfg.Listen, logger: logger},
		Logger:  logger,
	}), nil
}

// edgeAlerts is the ingest.Alerter that sends to channels itself, since
// Temporal may be what is away.
type edgeAlerts struct {
	channels []*alert.Channel
	edge     string // which one it is, where there are several
	logger   *slog.Logger
}

// Alert implements ingest.Alerter. Somebody is told once one channel took it:
// trying the others again would tell that one twice.
func (e *edgeAlerts) Alert(ctx context.Context, t ingest.Trouble) error {
	var failures []error
	for i, err := range alert.SendAll(ctx, e.channels, e.message(t)) {
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", e.channels[i].Name(), err))
		}
	}
	if len(failures) == len(e.channels) {
		return errors.Join(failures...)
	}
	for _, err := range failures {
		e.logger.Warn("an alert did not reach everybody", "source", t.Source, "err", err)
	}
	return nil
}

func (e *edgeAlerts) message(t ingest.Trouble) alert.Message {
	m := alert.Message{
		Source: t.Source,
		Key:    strings.Join([]string{"hookyard/edge", e.edge, t.Source, string(t.Kind)}, "/"),
		Over:   t.Over,
		Text:   "At the edge " + e.edge + ".",
	}
	switch {
	case t.Kind == ingest.TroubleRefused && t.Over:
		m.Title = t.Source + ": deliveries are taken again"
	case t.Kind == ingest.TroubleRefused:
		m.Title = fmt.Sprintf("%s: %d deliveries refused in the last minute", t.Source, t.Refused)
		m.Text = fmt.Sprintf("By reason: %s.\n%s", t.Reasons, m.Text)
	case t.Over:
		m.Title = t.Source + ": deliveries come again"
	default:
		m.Title = fmt.Sprintf("%s: no delivery since %s UTC", t.Source, t.Since.UTC().Format(time.DateTime))
		m.Text = "See at the provider whether the webhook is still enabled.\n" + m.Text
	}
	return m
}
