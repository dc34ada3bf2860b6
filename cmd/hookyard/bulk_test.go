package main

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/proto"
)

// everything is `--all --yes`, faster than a person would have it.
func everything() *repairFlags { return &repairFlags{all: true, yes: true, rate: 1e6} }

func TestBulkResumesEveryPage(t *testing.T) {
	t.Parallel()
	fake := newTemporalFake()
	for _, id := range ids(10) {
		fake.park(t, id, stepParked("SendReceipt", parkedAt))
	}
	env, stdout, stderr := screen()
	require.NoError(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()))
	require.Equal(t, "10 of 10 resumed.\n", stdout.String())
	require.Contains(t, stderr.String(), "10  stripe  exhausted")
	for _, id := range ids(10) {
		require.Equal(t, 1, fake.taken[id], id)
	}
	stdout.Reset()
	require.NoError(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()))
	require.Equal(t, "No parked run fits; nothing to do.\n", stdout.String())
}

// TestBulkInterrupted stops half way and is run again, over a list that is
// behind and still shows everything.
func TestBulkInterrupted(t *testing.T) {
	t.Parallel()
	const n = 40
	fake := newTemporalFake()
	for _, id := range ids(n) {
		fake.park(t, id, stepParked("SendReceipt", parkedAt))
		fake.frozen = append(fake.frozen, proto.CloneOf(fake.runs[id]))
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	signals := 0
	fake.onSignal = func(string) error {
		if signals++; signals == n/2 {
			interrupt()
		}
		return nil
	}
	env, stdout, _ := screen()
	require.ErrorIs(t, repairAll(ctx, env, fake.operator(), resume{}, everything()), context.Canceled)
	require.Regexp(t, `^\d+ of 40 resumed, \d+ not tried\.\nInterrupted\. Run the same command again for the rest\.\n$`, stdout.String())
	half := len(fake.taken)
	require.GreaterOrEqual(t, half, n/2)
	require.Less(t, half, n/2+2*bulkWorkers, "it stops between runs")

	stdout.Reset()
	require.NoError(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()))
	require.Regexp(t, `^\d+ of 40 resumed, \d+ already done\.\n$`, stdout.String())
	for _, id := range ids(n) {
		require.Equal(t, 1, fake.taken[id], id)
	}
}

// TestBulkWhileWorkersAreAway sends everything twice before any worker has
// seen the first: Temporal drops what it has.
func TestBulkWhileWorkersAreAway(t *testing.T) {
	t.Parallel()
	fake := newTemporalFake()
	fake.idle = true
	for _, id := range ids(5) {
		fake.park(t, id, stepParked("SendReceipt", parkedAt))
	}
	env, _, _ := screen()
	for range 2 {
		require.NoError(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()))
	}
	for _, id := range ids(5) {
		require.Equal(t, 1, fake.taken[id], id)
	}
	// One that has parked again since is another matter.
	fake.park(t, ids(1)[0], stepParked("SendReceipt", parkedAt.Add(time.Hour)))
	require.NoError(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()))
	require.Equal(t, 2, fake.taken[ids(1)[0]])
	require.Equal(t, 1, fake.taken[ids(2)[1]])
}

// TestBulkLeavesAlone lists runs that are no longer what they were.
func TestBulkLeavesAlone(t *testing.T) {
	t.Parallel()
	fake := newTemporalFake()
	for id, change := range map[string]func(*workflowpb.WorkflowExecutionInfo){
		"stripe:closed":  func(i *workflowpb.WorkflowExecutionInfo) { i.Status = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED },
		"stripe:goes-on": func(i *workflowpb.WorkflowExecutionInfo) { i.Memo = nil },
		"stripe:reset":   func(i *workflowpb.WorkflowExecutionInfo) { i.Execution.RunId = "another" },
		"stripe:again": func(i *workflowpb.WorkflowExecutionInfo) {
			i.Memo = parkedInfo(t, "", stepParked("A", parkedAt.Add(time.Nanosecond))).GetMemo()
		},
	} {
		fake.park(t, id, stepParked("A", parkedAt))
		fake.frozen = append(fake.frozen, proto.CloneOf(fake.runs[id]))
		change(fake.runs[id])
	}
	env, stdout, _ := screen()
	require.NoError(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()))
	require.Equal(t, "0 of 4 resumed, 4 already done.\n", stdout.String())
	require.Empty(t, fake.taken)
}

func TestBulkErrors(t *testing.T) {
	t.Parallel()
	fake := newTemporalFake()
	for _, id := range ids(6) {
		fake.park(t, id, stepParked("SendReceipt", parkedAt))
	}
	fake.onSignal = func(id string) error {
		switch id {
		case ids(6)[0]:
			return serviceerror.NewInternal("the one for " + id)
		case ids(6)[5]:
			return nil
		default:
			return serviceerror.NewPermissionDenied("no", "")
		}
	}
	env, stdout, _ := screen()
	require.ErrorIs(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()), errSilent)
	require.Contains(t, stdout.String(), "1 of 6 resumed, 5 failed.\n  4 failed: run \"ID\": no\n      stripe:evt_00")
	require.Contains(t, stdout.String(), " and 1 more\n  1 failed: run \"ID\": the one for ID\n      stripe:evt_000\n")
}

// TestBulkReportsNew has a run park while others are resumed.
func TestBulkReportsNew(t *testing.T) {
	t.Parallel()
	fake := newTemporalFake()
	fake.park(t, "stripe:a", stepParked("A", parkedAt))
	fake.onSignal = func(string) error {
		fake.runs["stripe:b"] = parkedInfo(t, "stripe:b", stepParked("A", parkedAt))
		return nil
	}
	env, stdout, _ := screen()
	require.NoError(t, repairAll(t.Context(), env, fake.operator(), resume{}, everything()))
	require.Equal(t, "1 of 1 resumed.\n1 more run stopped since; run it again for them.\n", stdout.String())
	require.Zero(t, fake.taken["stripe:b"])

	// One that fails again at once is new, too.
	again := newTemporalFake()
	again.park(t, "stripe:a", stepParked("A", parkedAt))
	again.onTaken = func(id string) { again.runs[id] = parkedInfo(t, id, stepParked("A", parkedAt.Add(time.Second))) }
	stdout.Reset()
	require.NoError(t, repairAll(t.Context(), env, again.operator(), resume{}, everything()))
	require.Equal(t, "1 of 1 resumed.\n1 more run stopped since; run it again for them.\n", stdout.String())
}

func TestSignalIsSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newTemporalFake()
		fake.park(t, "stripe:a", stepParked("A", parkedAt))
		refusals := 2
		fake.onSignal = func(string) error {
			if refusals--; refusals >= 0 {
				return serviceerror.NewUnavailable("away")
			}
			return nil
		}
		o := fake.operator()
		r, err := o.describe(t.Context(), "stripe:a")
		require.NoError(t, err)
		said, err := resume{step: "A"}.do(t.Context(), o, r)
		require.NoError(t, err)
		require.Equal(t, "resumed at A", said)
		require.Equal(t, 1, fake.taken["stripe:a"])
	})
}

func TestBulkRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		t2 := bulk{do: func(context.Context, eventRun) error { return nil }, rate: 10, progress: progress{out: io.Discard}}.
			run(t.Context(), make([]eventRun, 21))
		require.Equal(t, 21, t2.done)
		require.Equal(t, 2*time.Second, time.Since(began), "the first at once, and ten per second after it")
	})
}

// TestBulkWorkers sees that few are worked on at once, and that what was begun
// is not interrupted.
func TestBulkWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		var now, most atomic.Int32
		do := func(ctx context.Context, _ eventRun) error {
			defer now.Add(-1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.AfterFunc(time.Second, interrupt)
			select {
			case <-ctx.Done():
				return errors.New("interrupted")
			case <-time.After(5 * time.Second):
				return nil
			}
		}
		tally := bulk{do: do, rate: 1000, progress: progress{out: io.Discard}}.run(ctx, make([]eventRun, 100))
		require.EqualValues(t, bulkWorkers, most.Load())
		require.Equal(t, bulkWorkers, tally.done)
		require.Zero(t, tally.failed)
	})
}
