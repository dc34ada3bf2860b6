package cluster

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output may be read while a process writes to it.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Fields(o.text.String())
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); {
		require.True(t, time.Now().Before(deadline), "not within a minute: %s", what)
		<-time.After(10 * time.Millisecond)
	}
}

func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

func TestProcess(t *testing.T) {
	t.Parallel()
	t.Run("is killed and started again", func(t *testing.T) {
		t.Parallel()
		out := &output{}
		p := NewProcess("sh", []string{"-c", `echo "$NAME"; exec sleep 600`}, []string{"NAME=up"}, out)
		require.Zero(t, p.PID())
		var pids []int
		for i := range 3 {
			require.NoError(t, p.Start())
			require.NoError(t, p.Start(), "it runs already")
			pids = append(pids, p.PID())
			require.True(t, alive(pids[i]))
			eventually(t, "it prints", func() bool { return len(out.lines()) == i+1 })
			p.Kill()
			p.Kill()
			require.False(t, alive(pids[i]))
			require.Zero(t, p.PID())
		}
		require.Equal(t, []string{"up", "up", "up"}, out.lines())
		require.NotEqual(t, pids[0], pids[1])
		require.Empty(t, p.Ended())
	})
	t.Run("is started again when it ends by itself", func(t *testing.T) {
		t.Parallel()
		out := &output{}
		p := NewProcess("sh", []string{"-c", "echo up; exit 3"}, nil, out)
		require.NoError(t, p.Start())
		eventually(t, "it was started three times", func() bool { return len(out.lines()) == 3 })
		p.Kill()
		require.GreaterOrEqual(t, len(p.Ended()), 2)
		require.ErrorContains(t, p.Ended()[0], "ended by itself: exit status 3")
		started := len(out.lines())
		<-time.After(2 * restartPause)
		require.Len(t, out.lines(), started, "it stays down after a kill")
	})
	t.Run("cannot be started", func(t *testing.T) {
		t.Parallel()
		p := NewProcess("/nowhere/program", nil, nil, &output{})
		require.ErrorContains(t, p.Start(), "start program: ")
		p.Kill()
	})
}

func TestFreeAddress(t *testing.T) {
	t.Parallel()
	address, err := FreeAddress(t.Context())
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func TestPostgresURL(t *testing.T) {
	t.Parallel()
	at, err := parsePostgres("postgres://me:pass@127.0.0.1/postgres?sslmode=disable")
	require.NoError(t, err)
	require.Equal(t, place{"127.0.0.1:5432", "me", "pass"}, at)
	for _, raw := range []string{"", "mysql://me:hidden@h/x", "postgres://h/x", "postgres://me:hidden@/x", "postgres://me:hid%zden@h/x"} {
		_, err := parsePostgres(raw)
		require.ErrorContains(t, err, "want postgres://user:password@host:5432/postgres")
		require.NotContains(t, err.Error(), "hid")
	}
}
