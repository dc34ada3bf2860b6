package operate

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/tests/peers"
)

func TestAlertsTest(t *testing.T) {
	t.Parallel()
	url, texts := peers.AlertInbox(t)
	file := filepath.Join(t.TempDir(), "hookyard.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	alertsTest := func(vars ...string) (output string, err error) {
		var out bytes.Buffer
		env := command.Env{Vars: append(vars, "S=whsec_1"), Stdout: &out, Stderr: &out}
		err = command.Execute(t.Context(), env, []string{"alerts", "test", "--config", file}, Commands(env)...)
		require.NotContains(t, out.String(), "t0ken")
		return out.String(), err
	}
	const source = "sources: {a: {provider: stripe, secrets: [env:S]}}\n"

	write(source + "alerts: {to: [env:UP, env:DOWN]}\n")
	output, err := alertsTest("UP="+url, "DOWN=generic+http://127.0.0.1:1/t0ken")
	require.ErrorIs(t, err, command.ErrSilent)
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

	err = command.Execute(t.Context(), command.Env{}, []string{"alerts", "test", "slack"}, Commands(command.Env{})...)
	require.ErrorAs(t, err, new(command.UsageError))
}
