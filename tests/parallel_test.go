package tests

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/tests/harness"
)

const minute = time.Minute

// TestParallelSteps parks 500 steps of one run, resumes them while what was in
// the way is still there, and again once it is gone. Errors are as long as the
// server takes them, so that anything that holds all of them is refused.
func TestParallelSteps(t *testing.T) {
	t.Parallel()
	const n = 500
	var down fault
	var calls atomic.Int64
	fan := func(ctx workflow.Context, _ event.Event, _ []byte) error {
		var futures []workflow.Future
		for i := range n {
			futures = append(futures, workflow.ExecuteActivity(ctx, "Step", i))
		}
		for i, f := range futures {
			var got int
			if err := f.Get(ctx, &got); err != nil {
				return err
			}
			if got != i {
				return temporal.NewNonRetryableApplicationError("the results are mixed up", "Mixed", nil)
			}
		}
		return nil
	}
	long := strings.Repeat("the service is down. ", 100)
	r := newRuns(t, once(), map[string]any{"Step": func(ctx context.Context, i int) (int, error) {
		calls.Add(1)
		if down.Load() {
			return 0, temporal.NewNonRetryableApplicationError(long, "Down", nil)
		}
		return i, nil
	}}, worker.On("stripe.fan", fan))
	r.start()

	down.Store(true)
	id := r.begin(event.Event{ID: "evt_1", Type: "fan"}, `{}`)
	r.parkedSteps(id, n)
	require.EqualValues(t, n, calls.Load())
	require.Empty(t, cmp.Diff(map[string]int{"Step": n, "ReportParked": 1}, r.scheduled(id)), "one alert for the run")
	page := r.details(id)
	require.Contains(t, page, "more are parked")
	require.Less(t, len(page), 16<<10)
	require.Contains(t, r.run("parked"), "and 490 more")
	require.Contains(t, r.run("parked", "show", id), "and 490 more")

	r.run("resume", id, "--why", "it may be back")
	harness.Eventually(t, "each is tried again", func() bool { return calls.Load() == 2*n })
	r.parkedSteps(id, n)

	down.Store(false)
	r.run("resume", id, "--step", "Step#400")
	r.parkedSteps(id, n-1)
	r.run("resume", id)
	r.completed(id)
	require.EqualValues(t, 3*n, calls.Load(), "each resume repeated what failed, and nothing else")
}
