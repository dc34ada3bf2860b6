package serve

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/worker/alert"
	"github.com/hookyard/hookyard/tests/peers"
)

// TestEdgeAlerts sees what people read about an edge, and that one channel that
// is down costs nothing but a line in the log.
func TestEdgeAlerts(t *testing.T) {
	t.Parallel()
	url, texts := peers.AlertInbox(t)
	up, err := alert.OpenChannel("env:UP", url)
	require.NoError(t, err)
	down, err := alert.OpenChannel("env:DOWN", "generic+http://127.0.0.1:1/t0ken")
	require.NoError(t, err)
	var log bytes.Buffer
	e := &edgeAlerts{channels: []*alert.Channel{down, up}, edge: "web-1 :8080", logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, trouble := range []ingest.Trouble{
		{Source: "stripe", Kind: ingest.TroubleRefused, Refused: 73, Reasons: "not-stored 3, not-verified 70"},
		{Source: "stripe", Kind: ingest.TroubleRefused, Over: true},
		{Source: "stripe", Kind: ingest.TroubleSilent, Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		{Source: "stripe", Kind: ingest.TroubleSilent, Over: true},
	} {
		require.NoError(t, e.Alert(t.Context(), trouble))
	}
	require.Empty(t, cmp.Diff([]string{
		"stripe: 73 deliveries refused in the last minute\nBy reason: not-stored 3, not-verified 70.\nAt the edge web-1 :8080.",
		"stripe: deliveries are taken again\nAt the edge web-1 :8080.",
		"stripe: no delivery since 2026-03-01 12:00:00 UTC\nSee at the provider whether the webhook is still enabled.\nAt the edge web-1 :8080.",
		"stripe: deliveries come again\nAt the edge web-1 :8080.",
	}, *texts))
	require.Contains(t, log.String(), "generic (env:DOWN): it failed: connection refused")
	require.NotContains(t, log.String(), "t0ken")

	// Where nobody hears of it, it is said again later.
	e.channels = e.channels[:1]
	require.ErrorContains(t, e.Alert(t.Context(), ingest.Trouble{Source: "stripe", Kind: ingest.TroubleSilent}), "connection refused")
	require.NotEqual(t, e.message(ingest.Trouble{Source: "a", Kind: ingest.TroubleSilent}).Key, e.message(ingest.Trouble{Source: "a", Kind: ingest.TroubleRefused}).Key)
}

func TestWatchEdge(t *testing.T) {
	t.Parallel()
	url, _ := peers.AlertInbox(t)
	cfg := &config.Config{Live: config.Live{
		Sources: []config.Source{{Name: "a", ExpectEvery: time.Hour}},
		Alerts:  config.Alerts{To: []config.Secret{config.NewSecret("env:A", url)}},
	}}
	watch, err := watchEdge(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NotNil(t, watch)
	cfg.Sources[0].ExpectEvery = 0
	watch, err = watchEdge(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Nil(t, watch)
}
