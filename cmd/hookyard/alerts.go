package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

func alertsCommand(env environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "See whether alerts reach anybody",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(alertsTestCommand(env))
	return cmd
}

func alertsTestCommand(env environment) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test message to every channel of alerts.to",
		Long: `Send a test message to every channel of alerts.to, and say which took it. Exits 0
if all of them did, 1 otherwise. No Temporal is needed.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("alerts test: unknown argument %q; it tests all channels", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return testAlerts(cmd.Context(), env, file) },
	}
	cmd.Flags().StringVarP(&file, "config", "c", defaultConfig, "the config file")
	return cmd
}

func testAlerts(ctx context.Context, env environment, file string) error {
	set, err := load(file, env, false)
	if err != nil {
		return err
	}
	channels, err := openChannels(set.Config)
	if err != nil {
		return err
	}
	if len(channels) == 0 {
		return fmt.Errorf("%s tells nobody; add alerts: {to: [env:ALERT_URL]}", file)
	}
	failed := false
	for i, err := range alert.SendAll(ctx, channels, alert.Message{
		Title: "hookyard: this is a test",
		Text:  "Nothing is wrong. Alerts about parked events and refused deliveries come here.",
		Key:   "hookyard/alerts-test",
		Over:  true,
	}) {
		result := "sent"
		if err != nil {
			result, failed = "failed: "+err.Error(), true
		}
		fmt.Fprintf(env.stdout, "%s  %s\n", channels[i].Name(), result)
	}
	if failed {
		return errSilent
	}
	return nil
}

// openChannels returns the channels of alerts.to. Those whose secrets were left
// out of the config are left out here.
func openChannels(cfg *config.Config) ([]*alert.Channel, error) {
	var channels []*alert.Channel
	for _, to := range cfg.Alerts.To {
		if to.Reveal() == "" {
			continue
		}
		c, err := alert.OpenChannel(to.Ref(), to.Reveal())
		if err != nil {
			return nil, fmt.Errorf("alerts.to: %s: %w", to.Ref(), err)
		}
		channels = append(channels, c)
	}
	return channels, nil
}

// checkAlerts finds notification URLs that no message could be sent to.
func checkAlerts(cfg *config.Config) (mistakes []config.Mistake) {
	if _, err := openChannels(cfg); err != nil {
		mistakes = append(mistakes, cfg.Mistake("alerts.to", "%v", err))
	}
	return mistakes
}

// alertConfig is what the config says of alerts about parked runs.
func alertConfig(cfg *config.Config, namespace string) (*alert.Config, error) {
	channels, err := openChannels(cfg)
	if err != nil {
		return nil, err
	}
	return &alert.Config{
		Channels:      channels,
		DigestEvery:   cfg.Alerts.DigestEvery,
		EscalateAfter: cfg.Alerts.EscalateAfter,
		Links:         alert.Links{WebUI: cfg.Alerts.WebUI, Namespace: namespace},
	}, nil
}

// watchEdge returns what watches the deliveries of this edge, or nil where the
// config asks for none of it.
func watchEdge(cfg *config.Config, logger *slog.Logger) (*ingest.Watch, error) {
	channels, err := openChannels(cfg)
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
