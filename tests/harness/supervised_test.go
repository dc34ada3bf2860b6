package harness_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// lines returns the words that were printed, of which each line is one.
func lines(o *harness.Output) []string { return strings.Fields(o.String()) }

func alive(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

func TestSupervised(t *testing.T) {
	t.Parallel()
	t.Run("is killed and started again", func(t *testing.T) {
		t.Parallel()
		out := &harness.Output{}
		p := harness.Supervise(harness.Command{Program: "sh", Args: []string{"-c", `echo "$NAME"; exec sleep 600`}, Vars: []string{"NAME=up"}, Out: out})
		require.Zero(t, p.PID())
		var pids []int
		for i := range 3 {
			require.NoError(t, p.Start())
			require.NoError(t, p.Start(), "it runs already")
			pids = append(pids, p.PID())
			require.True(t, alive(pids[i]))
			harness.Eventually(t, "it prints", func() bool { return len(lines(out)) == i+1 })
			p.Kill()
			p.Kill()
			require.False(t, alive(pids[i]))
			require.Zero(t, p.PID())
		}
		require.Empty(t, cmp.Diff([]string{"up", "up", "up"}, lines(out)))
		require.NotEqual(t, pids[0], pids[1])
		require.Empty(t, p.Ended())
	})
	t.Run("is started again when it ends by itself", func(t *testing.T) {
		t.Parallel()
		out := &harness.Output{}
		p := harness.Supervise(harness.Command{Program: "sh", Args: []string{"-c", "echo up; exit 3"}, Out: out})
		require.NoError(t, p.Start())
		harness.Eventually(t, "it was started three times", func() bool { return len(lines(out)) == 3 })
		p.Kill()
		require.GreaterOrEqual(t, len(p.Ended()), 2)
		require.ErrorContains(t, p.Ended()[0], "ended by itself: exit status 3")
		started := len(lines(out))
		<-time.After(time.Second)
		require.Len(t, lines(out), started, "it stays down after a kill")
	})
	t.Run("cannot be started", func(t *testing.T) {
		t.Parallel()
		p := harness.Supervise(harness.Command{Program: "/nowhere/program", Out: &harness.Output{}})
		require.ErrorContains(t, p.Start(), "start program: ")
		p.Kill()
	})
}

func TestFreeAddress(t *testing.T) {
	t.Parallel()
	harness.Eventually(t, "an address that nothing took meanwhile", func() bool {
		address, err := harness.FreeAddress(t.Context())
		require.NoError(t, err)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil { // another test was faster
			return false
		}
		require.NoError(t, l.Close())
		return true
	})
}
