package tests

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// devSystem is `hookyard dev` on a machine where nothing is set up.
type devSystem struct {
	*process
	t                    *testing.T
	home                 string
	edge, temporal, uiAt string
}

func startDev(t *testing.T, args ...string) *devSystem {
	s := &devSystem{t: t, home: t.TempDir(), edge: freeAddress(t), temporal: freeAddress(t), uiAt: freeAddress(t)}
	s.start(args...)
	return s
}

// vars give it the cache that holds the dev server, and no `temporal`.
func (s *devSystem) vars() []string {
	return []string{"HOME=" + s.home, "XDG_CACHE_HOME=" + filepath.Dir(filepath.Dir(devServer)), "PATH=" + filepath.Dir(goTool(s.t))}
}

func goTool(t *testing.T) string {
	path, err := exec.LookPath("go")
	require.NoError(t, err)
	return path
}

func (s *devSystem) args(more ...string) []string {
	return append([]string{"dev", "--listen", s.edge, "--temporal-port", strconv.Itoa(port(s.t, s.temporal)),
		"--ui-port", strconv.Itoa(port(s.t, s.uiAt))}, more...)
}

func (s *devSystem) start(args ...string) {
	s.process = start(s.t, s.vars(), hookyard, s.args(args...)...)
	eventually(s.t, "hookyard dev is up", func() bool {
		select {
		case <-s.exited:
			require.Fail(s.t, "hookyard dev ended", s.output.String())
		default:
		}
		return strings.Contains(s.output.String(), "hookyard is up")
	})
}

// send runs the line that dev prints to try, with more flags.
func (s *devSystem) send(args ...string) string {
	p := start(s.t, s.vars(), hookyard, append([]string{"send"}, args...)...)
	<-p.exited
	require.NoError(s.t, p.err, p.output)
	return p.output.String()
}

// TestDev is the README's first minute, then a restart.
func TestDev(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	ledger := &system{t: t, dir: filepath.Join(s.home, ".local", "state", "hookyard")}

	require.Contains(t, s.output.String(), "send stripe invoice.paid")
	require.Contains(t, s.output.String(), "http://"+s.uiAt+"/namespaces/default/workflows?query=HookState%3D%22parked%22")
	require.Equal(t, 200, get(t, "http://"+s.uiAt+"/"))

	require.Contains(t, s.send("stripe", "invoice.paid", "--id", "evt_1"), "accepted  200  stripe:evt_1")
	require.Contains(t, s.send("stripe", "invoice.paid", "--id", "evt_1"), "duplicate  200  stripe:evt_1")
	eventually(t, "the payment is in the ledger", func() bool { return len(ledger.payments()) == 1 })
	eventually(t, "the receipt is in the mail folder", func() bool { return ledger.mails() == 1 })
	run := struct {
		WorkflowExecutionInfo struct{ Status string }
	}{}
	eventually(t, "the run has completed in the Web UI's API", func() bool {
		getJSON(t, "http://"+s.uiAt+"/api/v1/namespaces/default/workflows/stripe:evt_1", &run)
		return run.WorkflowExecutionInfo.Status == "WORKFLOW_EXECUTION_STATUS_COMPLETED"
	})
	require.Contains(t, s.send("acme", "order.created"), "accepted")
	require.Contains(t, s.send("github", "push"), "accepted")
	eventually(t, "the demo's services are called", func() bool {
		said := s.output.String()
		return strings.Contains(said, "your service: took acme:") && strings.Contains(said, "your build server: asked for")
	})

	require.NoError(t, s.stop(syscall.SIGINT))
	require.Empty(t, s.left(), "processes left behind")

	s.start()
	require.Contains(t, s.send("stripe", "invoice.paid", "--id", "evt_1"), "duplicate", "state survives a restart")
	require.Len(t, ledger.payments(), 1)
}

// left lists the processes that still use this system's Temporal port.
func (s *devSystem) left() []string {
	var left []string
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(s.t, err)
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), "\x00"+strconv.Itoa(port(s.t, s.temporal))+"\x00") {
			left = append(left, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return left
}

// TestDevKilled kills dev so that it cannot clean up.
func TestDevKilled(t *testing.T) {
	t.Parallel()
	s := startDev(t, "--ephemeral")
	require.NotEmpty(t, s.left())
	_ = s.stop(syscall.SIGKILL)
	eventually(t, "Temporal ends with it", func() bool { return len(s.left()) == 0 })
}

// TestDevUsesWhatIsThere runs dev beside a Temporal that answers, and on ports
// that are taken.
func TestDevUsesWhatIsThere(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, "")
	s := &devSystem{t: t, home: t.TempDir(), edge: freeAddress(t), temporal: server.address, uiAt: server.ui}
	s.start("--ephemeral")
	require.NoError(t, s.stop(syscall.SIGINT))
	require.True(t, reachable(t, server.address), "what was there before is still there")

	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for flag, blocked := range map[string]*devSystem{
		"--listen":        {t: t, home: s.home, edge: l.Addr().String(), temporal: freeAddress(t), uiAt: freeAddress(t)},
		"--temporal-port": {t: t, home: s.home, edge: freeAddress(t), temporal: l.Addr().String(), uiAt: freeAddress(t)},
		"--ui-port":       {t: t, home: s.home, edge: freeAddress(t), temporal: freeAddress(t), uiAt: l.Addr().String()},
	} {
		p := start(t, blocked.vars(), hookyard, blocked.args()...)
		<-p.exited
		require.Error(t, p.err)
		require.Contains(t, p.output.String(), l.Addr().String()+" is taken")
		require.Contains(t, p.output.String(), flag)
	}
}
