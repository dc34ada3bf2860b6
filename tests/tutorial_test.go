package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/tests/harness"
)

// TestTutorial does what docs/tutorial.md says, with its own commands and files.
func TestTutorial(t *testing.T) {
	t.Parallel()
	sh := blocks(t, "docs/tutorial.md", "sh")
	code := blocks(t, "docs/tutorial.md", "go")
	require.Len(t, sh, 9)
	require.Len(t, code, 3)

	m := newTeam(t)
	m.run(sh[0])
	m.folder = filepath.Join(m.folder, "hooks")
	m.replace("hookyard.yaml", "127.0.0.1:8080", m.edge, "127.0.0.1:8090", m.system) // the ports of this machine may be taken
	require.Equal(t, "go run . dev\n", sh[1])
	dev := m.dev("")
	c := harness.Dial(t, client.Options{HostPort: m.temporal})

	require.Contains(t, m.run(sh[2]), "accepted  200  acme:evt_1")
	m.completed(c, "acme:evt_1")
	require.Contains(t, m.run(sh[3]), "duplicate")

	m.run(sh[4])
	commands := strings.SplitAfterN(sh[5], "\n", 2)
	harness.Eventually(t, "the run parks", func() bool { return strings.Contains(m.run(commands[0]), "acme:evt_2") })
	shown := m.run(commands[1])
	require.Contains(t, shown, "ReserveGoods")
	require.Contains(t, shown, "resume acme:evt_2")
	m.run(sh[6])
	m.completed(c, "acme:evt_2")

	m.write(fileName(t, code[0]), code[0])
	m.replace("main.go", "Workflows: []hookyard.Handler{\n", "Workflows: []hookyard.Handler{\n"+code[1])
	m.replace("hookyard.yaml", m.stripeSource(), blocks(t, "docs/tutorial.md", "yaml")[0])
	interrupt(dev)
	commands = strings.SplitAfterN(sh[7], "\n", 2)
	m.run(commands[0])
	m.dev("")
	m.run(commands[1])
	require.Len(t, steps(m.completed(c, "stripe:evt_3")), 2)

	m.write(fileName(t, code[2]), code[2])
	require.Contains(t, m.run(sh[8]), "ok  \thooks\t")
}

// write makes a file of the folder.
func (m *team) write(name, text string) {
	m.t.Helper()
	require.NoError(m.t, os.WriteFile(filepath.Join(m.folder, name), []byte(text), 0o600))
}

// stripeSource is what the config of `hookyard new` says of Stripe.
func (m *team) stripeSource() string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.folder, "hookyard.yaml"))
	require.NoError(m.t, err)
	_, after, found := strings.Cut(string(text), "\n  stripe:")
	require.True(m.t, found)
	source, _, found := strings.Cut(after, "\nretry:")
	require.True(m.t, found)
	return "  stripe:" + source + "\n"
}
