package measure

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCPUTime(t *testing.T) {
	t.Parallel()
	const stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 11 22 33 44 150 25 7 8 20 0 9 0 1000 2000 300\n"
	require.Equal(t, 1750*time.Millisecond, cpuTime([]byte(stat)))
	require.Zero(t, cpuTime([]byte("42 (short) S 1")))
	require.Zero(t, cpuTime(nil))
}

func TestField(t *testing.T) {
	t.Parallel()
	const status = "Name:\thookyard\nVmHWM:\t   70000 kB\nVmRSS:\t   60000 kB\nThreads:\t9\n"
	require.EqualValues(t, 60000, field([]byte(status), "VmRSS"))
	require.EqualValues(t, 70000, field([]byte(status), "VmHWM"))
	require.EqualValues(t, 9, field([]byte(status), "Threads"))
	require.Zero(t, field([]byte(status), "Name"))
	require.Zero(t, field([]byte(status), "Missing"))
}

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		require.Zero(t, usageOf(os.Getpid()))
		return
	}
	u := usageOf(os.Getpid())
	require.Positive(t, u.rss)
	require.GreaterOrEqual(t, u.peak, u.rss)
	require.Positive(t, u.threads)
	require.Positive(t, u.files)
	require.Positive(t, u.bytes)
	require.Zero(t, usageOf(-1), "a process that is gone is unknown")
}
