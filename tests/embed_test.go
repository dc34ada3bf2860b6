package tests

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/tests/harness"
)

// newEmbedded builds a copy of the program in testdata/embedded, a module of its
// own, for a test that may change it.
func newEmbedded(t *testing.T) *team {
	m := newTeam(t)
	m.program = "./embedded"
	m.more = []string{"BETA_SECRET=" + secret, "DEPOT_TOKEN=a token that nobody sees"}
	require.NoError(t, os.CopyFS(m.folder, os.DirFS(filepath.Join("testdata", "embedded"))))
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	m.run("go mod edit -replace " + module + "=" + root + " && go mod tidy && go build -o embedded .")
	m.replace("hookyard.yaml", "127.0.0.1:8080", m.edge)
	return m
}

// TestEmbedded runs a team's program with one of each thing that a team can add.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	m := newEmbedded(t)
	dev := m.dev("--ephemeral")
	c := harness.Dial(t, client.Options{HostPort: m.temporal})

	require.Contains(t, m.run("./embedded send beta parcel.sent --id evt_1"), "accepted  200  beta:evt_1")
	require.Empty(t, cmp.Diff(
		[]string{`Announce "parcel_1 announced to https://depot.example.com, north, under beta:evt_1:Announce: as it was"`},
		steps(m.completed(c, "beta:evt_1"))))
	require.Equal(t, int32(5), attemptsOf(historyOf(t, c, "beta:evt_1"), "Announce")[0].Policy.GetMaximumAttempts())

	forged, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+m.edge+"/webhooks/beta",
		strings.NewReader(`{"id": "evt_2", "type": "parcel.sent", "parcel": "parcel_1"}`))
	require.NoError(t, err)
	forged.Header.Set("Beta-Seal", "MFRGG===")
	resp, err := http.DefaultClient.Do(forged)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)

	m.run("./embedded send beta parcel.lost --id evt_3")
	var shown string
	harness.Eventually(t, "the step of no worker parks", func() bool {
		shown = m.run("./embedded parked")
		return strings.Contains(shown, "beta:evt_3")
	})
	require.Contains(t, shown, "unregistered")
	require.Contains(t, m.run("./embedded parked show beta:evt_3"), `no Activity "SearchEverywhere" is registered: give it to the Workflow's hookyard.On`)

	interrupt(dev)
	require.NotContains(t, dev.Output.String(), "a token that nobody sees")
	require.NotContains(t, dev.Output.String(), secret)
	require.Empty(t, processesOf(t, harness.Port(m.temporal)), "processes left behind")
}

// TestEmbeddedMistakes sees that `check` and a start report what is wrong with
// the team's own parts of the config, with its line.
func TestEmbeddedMistakes(t *testing.T) {
	t.Parallel()
	m := newEmbedded(t)
	good, err := os.ReadFile(filepath.Join(m.folder, "hookyard.yaml"))
	require.NoError(t, err)
	for _, mistake := range []struct{ old, mistaken, want string }{
		{"    url: https://depot.example.com", "    url: depot.example.com", "hookyard.yaml:9: "},
		{"    url: https://depot.example.com\n", "", "hookyard.yaml:8: app.depot: no url"},
		{"    token: env:DEPOT_TOKEN", "    token: a token", "hookyard.yaml:10: "},
		{"    token: env:DEPOT_TOKEN", "    token: env:DEPOT_TOKEN\n    regoin: south", `did you mean "region"`},
		{"    token: env:DEPOT_TOKEN", "    token: env:DEPOT_TOKEN\n    region: South", "region is written in small letters"},
		{"  Announce: {", "  Announcee: {", `hookyard.yaml:6: retry: there is no Activity "Announcee"; did you mean "Announce"`},
		{"provider: beta", "provider: betta", `did you mean "beta"`},
	} {
		require.Contains(t, string(good), mistake.old)
		text := strings.Replace(string(good), mistake.old, mistake.mistaken, 1)
		require.NoError(t, os.WriteFile(filepath.Join(m.folder, "hookyard.yaml"), []byte(text), 0o600))
		for _, command := range []string{"check", "serve", "dev"} {
			p := m.start("exec ./embedded " + command)
			require.Error(t, p.Wait(), command)
			require.Contains(t, p.Output.String(), mistake.want, command)
			require.Contains(t, p.Output.String(), "hookyard.yaml:", command)
		}
	}
}
