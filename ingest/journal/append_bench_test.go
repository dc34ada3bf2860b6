package journal_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
)

// BenchmarkAppend stores events of 1 KiB, each caller the next one as soon as its
// last one is on disk. The drain waits, as when Temporal is away.
func BenchmarkAppend(b *testing.B) {
	places := map[string]journal.Place{"sqlite": {SQLite: filepath.Join(b.TempDir(), "j.db")}}
	if dsn := os.Getenv("HOOKYARD_TEST_POSTGRES"); dsn != "" {
		places["postgres"] = journal.Place{Postgres: schema(b, dsn)}
	}
	away := newTemporal()
	away.set(context.DeadlineExceeded)
	payload := ingest.Payload([]byte(`{"text":"`+strings.Repeat("0123456789abcdef", 64)+`"}`), true)
	var n atomic.Int64
	for kind, at := range places {
		for _, callers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", kind, callers), func(b *testing.B) {
				j, err := journal.New(journal.Options{
					Place: at, MaxAge: time.Hour, Live: away, Backlog: away, Logger: slog.New(slog.DiscardHandler),
					Hold: func(context.Context, string) (bool, error) { return false, nil },
				})
				require.NoError(b, err)
				ctx, stop := context.WithCancel(b.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); j.Run(ctx, ctx) }()
				defer func() { stop(); <-ended }()
				for j.Ready() != nil {
					require.NoError(b, b.Context().Err())
					<-time.After(time.Millisecond)
				}
				b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						ev := event.Event{Source: "stripe", Provider: "stripe", ID: fmt.Sprintf("evt_%d", n.Add(1)), Type: "invoice.paid", ReceivedAt: time.Now()}
						if err := j.Start(b.Context(), ev, payload); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
