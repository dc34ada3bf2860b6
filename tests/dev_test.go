package tests

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// devSystem is `hookyard dev` on a machine where nothing is set up.
type devSystem struct {
	*harness.TestProcess
	t                    *testing.T
	home                 string
	edge, temporal, uiAt string
}

func startDev(t *testing.T, args ...string) *devSystem {
	s := &devSystem{t: t, home: t.TempDir(), edge: harness.TestAddress(t), temporal: harness.TestAddress(t), uiAt: harness.TestAddress(t)}
	s.start(args...)
	return s
}

// vars give it the cache that holds the dev server, and no `temporal`.
func (s *devSystem) vars() []string {
	return []string{"HOME=" + s.home, "XDG_CACHE_HOME=" + filepath.Dir(filepath.Dir(programs.DevServer)), "PATH=" + filepath.Dir(goTool(s.t))}
}

// goEnv returns a setting of the go command.
func goEnv(t *testing.T, name string) string {
	value, err := exec.CommandContext(t.Context(), goTool(t), "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(value))
}

func goTool(t *testing.T) string {
	path, err := exec.LookPath("go")
	require.NoError(t, err)
	return path
}

func (s *devSystem) args(more ...string) []string {
	return append([]string{"dev", "--listen", s.edge, "--temporal-port", harness.Port(s.temporal),
		"--ui-port", harness.Port(s.uiAt)}, more...)
}

func (s *devSystem) start(args ...string) {
	s.TestProcess = harness.Run(s.t, s.vars(), programs.Hookyard, s.args(args...)...)
	harness.Eventually(s.t, "hookyard dev is up", func() bool {
		require.False(s.t, s.Gone(), "hookyard dev ended: %s", s.Output)
		return strings.Contains(s.Output.String(), "hookyard is up")
	})
}

// send runs the line that dev prints to try, with more flags.
func (s *devSystem) send(args ...string) string {
	p := harness.Run(s.t, s.vars(), programs.Hookyard, append([]string{"send"}, args...)...)
	require.NoError(s.t, p.Wait(), p.Output)
	return p.Output.String()
}

// publish runs the line with curl that dev prints to try.
func (s *devSystem) publish() {
	line := ""
	for printed := range strings.Lines(s.Output.String()) {
		if strings.HasPrefix(printed, "  curl ") {
			line = strings.TrimSpace(printed)
		}
	}
	require.NotEmpty(s.t, line, s.Output)
	p := harness.Run(s.t, []string{"PATH=" + os.Getenv("PATH")}, "/bin/sh", "-c", strings.Replace(line, "curl ", debian(s.t, "curl", "curl")+" -sS ", 1))
	require.NoError(s.t, p.Wait(), p.Output)
	require.Contains(s.t, p.Output.String(), `"duplicate":false`)
}

// TestDev is the README's first minute, then a restart.
func TestDev(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	ledger := &system{t: t, dir: filepath.Join(s.home, ".local", "state", "hookyard", "demo")}

	require.Contains(t, s.Output.String(), "send stripe invoice.paid")
	require.Contains(t, s.Output.String(), "http://"+s.uiAt+"/namespaces/default/workflows?query=HookState%3D%22parked%22")
	require.Equal(t, 200, get(t, "http://"+s.uiAt+"/"))

	require.Contains(t, s.send("stripe", "invoice.paid", "--id", "evt_1"), "accepted  200  stripe:evt_1")
	require.Contains(t, s.send("stripe", "invoice.paid", "--id", "evt_1"), "duplicate  200  stripe:evt_1")
	run := struct {
		WorkflowExecutionInfo struct{ Status string }
	}{}
	harness.Eventually(t, "the run has completed in the Web UI's API", func() bool {
		getJSON(t, "http://"+s.uiAt+"/api/v1/namespaces/default/workflows/stripe:evt_1", &run)
		return run.WorkflowExecutionInfo.Status == "WORKFLOW_EXECUTION_STATUS_COMPLETED"
	})
	require.Len(t, ledger.payments(), 1)
	require.Equal(t, 1, ledger.mails())
	require.Contains(t, s.send("acme", "order.created"), "accepted")
	require.Contains(t, s.send("github", "push"), "accepted")
	large := filepath.Join(s.home, "large.json")
	require.NoError(t, os.WriteFile(large, []byte(`{"type":"scan","of":"`+noise(500<<10)+`"}`), 0o600))
	require.Contains(t, s.send("acme", "--file", large), "accepted")
	require.DirExists(t, filepath.Join(ledger.dir, "bodies", "payloads"), "what is large is in a folder")
	harness.Eventually(t, "the demo's services are called", func() bool {
		said := s.Output.String()
		return strings.Contains(said, "your service: took /hooks ") && strings.Contains(said, "your service: took /builds")
	})

	s.publish()
	harness.Eventually(t, "the demo's endpoint takes what is published", func() bool {
		return strings.Count(s.Output.String(), "your service: took /events msg_") == 1
	})

	require.NoError(t, s.Stop(syscall.SIGINT))
	require.Empty(t, s.left(), "processes left behind")

	s.start()
	s.publish()
	harness.Eventually(t, "it does so at its new port", func() bool {
		return strings.Contains(s.Output.String(), "your service: took /events msg_")
	})
	require.NotContains(t, s.Output.String(), "your service: refused")
	require.Contains(t, s.send("stripe", "invoice.paid", "--id", "evt_1"), "duplicate", "state survives a restart")
	require.Len(t, ledger.payments(), 1)
}

// left lists the processes that still use this system's Temporal port.
func (s *devSystem) left() []string { return processesOf(s.t, harness.Port(s.temporal)) }

// processesOf lists the processes of this machine that have the argument: each is
// its id and its command line.
func processesOf(t *testing.T, argument string) (found []string) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), "\x00"+argument+"\x00") {
			found = append(found, filepath.Base(filepath.Dir(file))+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// TestDevKilled kills dev so that it cannot clean up.
func TestDevKilled(t *testing.T) {
	t.Parallel()
	s := startDev(t, "--ephemeral")
	require.NotEmpty(t, s.left())
	_ = s.Stop(syscall.SIGKILL)
	harness.Eventually(t, "Temporal ends with it", func() bool { return len(s.left()) == 0 })
}

// TestDevUsesWhatIsThere runs dev beside a Temporal that answers, and on ports
// that are taken.
func TestDevUsesWhatIsThere(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, "")
	s := &devSystem{t: t, home: t.TempDir(), edge: harness.TestAddress(t), temporal: server.Address, uiAt: server.UI}
	s.start("--ephemeral")
	require.NoError(t, s.Stop(syscall.SIGINT))
	require.True(t, harness.Reachable(t.Context(), server.Address), "what was there before is still there")

	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for flag, blocked := range map[string]*devSystem{
		"--listen":        {t: t, home: s.home, edge: l.Addr().String(), temporal: harness.TestAddress(t), uiAt: harness.TestAddress(t)},
		"--temporal-port": {t: t, home: s.home, edge: harness.TestAddress(t), temporal: l.Addr().String(), uiAt: harness.TestAddress(t)},
		"--ui-port":       {t: t, home: s.home, edge: harness.TestAddress(t), temporal: harness.TestAddress(t), uiAt: l.Addr().String()},
	} {
		p := harness.Run(t, blocked.vars(), programs.Hookyard, blocked.args()...)
		require.Error(t, p.Wait())
		require.Contains(t, p.Output.String(), l.Addr().String()+" is taken")
		require.Contains(t, p.Output.String(), flag)
	}
}
