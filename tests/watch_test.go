package tests

import (
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/tests/harness"
)

// TestDevWatch changes a team's program while `dev --watch` runs it.
func TestDevWatch(t *testing.T) {
	t.Parallel()
	m := newEmbedded(t)
	dev := m.dev("--ephemeral --watch")
	require.Contains(t, dev.Output.String(), "http://"+m.uiAt+"/namespaces/default/workflows\n", "the banner names the Web UI")
	c := harness.Dial(t, client.Options{HostPort: m.temporal})
	temporal := m.temporalServer()
	sent := 0
	// says sends events until the run of one has the note.
	says := func(note string) {
		t.Helper()
		harness.Eventually(t, "the program says "+note, func() bool {
			sent++
			id := "evt_" + strconv.Itoa(sent)
			p := m.start("exec ./embedded send beta parcel.sent --id " + id)
			if p.Wait() != nil {
				return false // it restarts
			}
			return strings.Contains(steps(m.completed(c, "beta:"+id))[0], ": "+note+`"`)
		})
	}
	prints := func(what string, times int) {
		t.Helper()
		harness.Eventually(t, "dev prints "+what, func() bool { return strings.Count(dev.Output.String(), what) >= times })
	}

	says("as it was")
	m.replace("workflow.go", `"as it was"`, `"changed"`)
	prints("watch: workflow.go: built in ", 1)
	says("changed")
	require.Equal(t, 1, strings.Count(dev.Output.String(), "hookyard is up"), "what is where is said once")

	m.replace("workflow.go", `"changed"`, `"broken`)
	prints("the last good build still runs", 1)
	require.Contains(t, dev.Output.String(), "./workflow.go:10:21: newline in string")
	says("changed")
	m.replace("workflow.go", `"broken`, `"mended"`)
	says("mended")

	m.replace("hookyard.yaml", "Announce:", "Announcee:")
	prints("the last good build still runs", 2)
	require.Contains(t, dev.Output.String(), `there is no Activity "Announcee"`)
	m.replace("hookyard.yaml", "Announcee:", "Announce:")
	prints("watch: hookyard.yaml: built in ", 1)
	says("mended")

	require.Empty(t, cmp.Diff(temporal, m.temporalServer()), "Temporal goes on")
	interrupt(dev)
	require.Zero(t, dev.ExitCode(), "a Ctrl-C is how it ends")
	require.Empty(t, processesOf(t, m.edge), "processes left behind")
	require.Empty(t, processesOf(t, harness.Port(m.temporal)), "processes left behind")
}

// TestDevWatchKilled kills `dev --watch` so that it cannot clean up.
func TestDevWatchKilled(t *testing.T) {
	t.Parallel()
	m := newEmbedded(t)
	dev := m.dev("--ephemeral --watch")
	require.NotEmpty(t, m.temporalServer())
	require.NoError(t, dev.Signal(syscall.SIGKILL))
	harness.Eventually(t, "Temporal and the program end with it", func() bool {
		return len(m.temporalServer()) == 0 && !harness.Reachable(t.Context(), m.edge)
	})
}

// temporalServer lists the Temporal that the team's dev has started.
func (m *team) temporalServer() (found []string) {
	for _, process := range processesOf(m.t, harness.Port(m.temporal)) {
		if strings.Contains(process, " start-dev ") {
			found = append(found, process)
		}
	}
	return found
}
