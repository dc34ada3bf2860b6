package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/alert"
)

// alertInbox takes alerts and keeps their texts.
func alertInbox(t *testing.T) (address string, texts *[]string) {
	texts = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var posted struct{ Message string }
		if err := json.NewDecoder(r.Body).Decode(&posted); err == nil {
			*texts = append(*texts, posted.Message)
		}
	}))
	t.Cleanup(server.Close)
	return "generic+" + server.URL + "/t0ken?template=json", texts
}

func TestAlertsTest(t *testing.T) {
	t.Parallel()
	url, texts := alertInbox(t)
	file := filepath.Join(t.TempDir(), "hookyard.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	alertsTest := func(vars ...string) (output string, err error) {
		var out bytes.Buffer
		err = run(t.Context(), []string{"alerts", "test", "--config", file},
			environment{vars: append(vars, "S=whsec_1"), stdout: &out, stderr: &out})
		require.NotContains(t, out.String(), "t0ken")
		return out.String(), err
	}
	const source = "sources: {a: {provider: stripe, secrets: [env:S]}}\n"

	write(source + "alerts: {to: [env:UP, env:DOWN]}\n")
	output, err := alertsTest("UP="+url, "DOWN=generic+http://127.0.0.1:1/t0ken")
	require.ErrorIs(t, err, errSilent)
	require.Equal(t, "generic (env:UP)  sent\ngeneric (env:DOWN)  failed: it failed: connection refused\n", output)
	require.Len(t, *texts, 1)
	require.Contains(t, (*texts)[0], "this is a test")

	output, err = alertsTest("UP="+url, "DOWN="+url)
	require.NoError(t, err)
	require.Equal(t, "generic (env:UP)  sent\ngeneric (env:DOWN)  sent\n", output)

	_, err = alertsTest("UP="+url, "DOWN=slack://t0ken")
	require.EqualError(t, err, file+`:2: alerts.to: env:DOWN: it is not what "slack" URLs look like`)

	write(source)
	_, err = alertsTest()
	require.ErrorContains(t, err, "tells nobody; add alerts:")

	err = run(t.Context(), []string{"alerts", "test", "slack"}, environment{})
	require.ErrorAs(t, err, new(usageError))
}

// TestEdgeAlerts sees what people read about an edge, and that one channel that
// is down costs nothing but a line in the log.
func TestEdgeAlerts(t *testing.T) {
	t.Parallel()
	url, texts := alertInbox(t)
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
	require.Equal(t, []string{
		"stripe: 73 deliveries refused in the last minute\nBy reason: not-stored 3, not-verified 70.\nAt the edge web-1 :8080.",
		"stripe: deliveries are taken again\nAt the edge web-1 :8080.",
		"stripe: no delivery since 2026-03-01 12:00:00 UTC\nSee at the provider whether the webhook is still enabled.\nAt the edge web-1 :8080.",
		"stripe: deliveries come again\nAt the edge web-1 :8080.",
	}, *texts)
	require.Contains(t, log.String(), "generic (env:DOWN): it failed: connection refused")
	require.NotContains(t, log.String(), "t0ken")

	// Where nobody hears of it, it is said again later.
	e.channels = e.channels[:1]
	require.ErrorContains(t, e.Alert(t.Context(), ingest.Trouble{Source: "stripe", Kind: ingest.TroubleSilent}), "connection refused")
	require.NotEqual(t, e.message(ingest.Trouble{Source: "a", Kind: ingest.TroubleSilent}).Key, e.message(ingest.Trouble{Source: "a", Kind: ingest.TroubleRefused}).Key)
}

// TestAlertsAreNotRetriedByConfig sees that a policy that would change nothing
// is a mistake.
func TestAlertsAreNotRetriedByConfig(t *testing.T) {
	t.Parallel()
	require.NotContains(t, command.App{}.ActivityNames(), "SendAlert")
	require.Contains(t, command.App{}.ActivityNames(), worker.ForwardActivity)
}

func TestWatchEdge(t *testing.T) {
	t.Parallel()
	url, _ := alertInbox(t)
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
