package journal_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
)

// counting is a Starter that remembers nothing of what it starts.
type counting struct {
	away    atomic.Bool
	started atomic.Int64
}

func (c *counting) Start(context.Context, event.Event, converter.RawValue) error {
	if c.away.Load() {
		return serviceerror.NewUnavailable("away")
	}
	c.started.Add(1)
	return nil
}

// TestManyEvents sees that memory does not grow with the events that go through a
// journal, and that the disk gets its room back. A tenth of them waits on disk
// first. HOOKYARD_TEST_EVENTS has it take more, 1000000 for a figure.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	events := 20_000
	if text := os.Getenv("HOOKYARD_TEST_EVENTS"); text != "" {
		var err error
		events, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	const rounds, senders = 10, 64
	at, starts := file(t), &counting{}
	at.MaxSize = 2 << 30
	starts.away.Store(true)
	j, stop := run(t, at, newTemporal(), func(o *journal.Options) { o.Live, o.Backlog = starts, starts })
	body := []byte(strings.Repeat("0123456789abcdef", 64))
	var heaps [rounds]uint64
	largest := int64(0)
	for round := range rounds {
		var all errgroup.Group
		for sender := range senders {
			all.Go(func() error {
				for n := range events / rounds / senders {
					if err := j.Start(t.Context(), of("s", fmt.Sprint(round, "-", sender, "-", n)), ingest.Payload(body, false)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		require.NoError(t, all.Wait())
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heaps[round], largest = m.HeapInuse, max(largest, onDisk(t, at))
		starts.away.Store(false)
	}
	total := int64(events / rounds / senders * senders * rounds)
	eventually(t, func() bool { return starts.started.Load() >= total })
	require.Equal(t, total, starts.started.Load())
	require.Less(t, heaps[rounds-1], 2*heaps[0]+32<<20, "heap in use after each tenth: %v", heaps)
	eventually(t, func() bool { return onDisk(t, at) <= 20<<20 })
	t.Logf("%d events: heap in use after each tenth %v bytes; on disk at most %d, at the end %d bytes", total, heaps, largest, onDisk(t, at))
	stop()
}
