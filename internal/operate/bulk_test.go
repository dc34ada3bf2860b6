package operate

import (
	"bytes"
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

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/eventrun/runstest"
	"github.com/hookyard/hookyard/internal/payload"
)

// everything is `--all --yes`, faster than a person would have it.
func everything() *repairFlags { return &repairFlags{all: true, yes: true, rate: 1e6} }

func TestBulkResumesEveryPage(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	for _, id := range runstest.IDs(10) {
		fake.Park(t, id, runstest.StepParked("SendReceipt", runstest.ParkedAt))
	}
	env, stdout, stderr := screen()
	require.NoError(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()))
	require.Equal(t, "10 of 10 resumed.\n", stdout.String())
	require.Contains(t, stderr.String(), "10  stripe  exhausted")
	for _, id := range runstest.IDs(10) {
		require.Equal(t, 1, fake.Taken[id], id)
	}
	stdout.Reset()
	require.NoError(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()))
	require.Equal(t, "No parked run fits; nothing to do.\n", stdout.String())
}

// TestBulkInterrupted stops half way and is run again, over a list that is
// behind and still shows everything.
func TestBulkInterrupted(t *testing.T) {
	t.Parallel()
	const n = 40
	fake := runstest.New()
	for _, id := range runstest.IDs(n) {
		fake.Park(t, id, runstest.StepParked("SendReceipt", runstest.ParkedAt))
		fake.Frozen = append(fake.Frozen, proto.CloneOf(fake.Runs[id]))
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	signals := 0
	fake.OnSignal = func(string) error {
		if signals++; signals == n/2 {
			interrupt()
		}
		return nil
	}
	env, stdout, _ := screen()
	require.ErrorIs(t, repairAll(ctx, env, operatorOn(fake), resume{}, everything()), context.Canceled)
	require.Regexp(t, `^\d+ of 40 resumed, \d+ not tried\.\nInterrupted\. Run the same command again for the rest\.\n$`, stdout.String())
	half := len(fake.Taken)
	require.GreaterOrEqual(t, half, n/2)
	require.Less(t, half, n/2+2*bulkWorkers, "it stops between runs")

	stdout.Reset()
	require.NoError(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()))
	require.Regexp(t, `^\d+ of 40 resumed, \d+ already done\.\n$`, stdout.String())
	for _, id := range runstest.IDs(n) {
		require.Equal(t, 1, fake.Taken[id], id)
	}
}

// TestBulkWhileWorkersAreAway sends everything twice before any worker has
// seen the first: Temporal drops what it has.
func TestBulkWhileWorkersAreAway(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	fake.Idle = true
	for _, id := range runstest.IDs(5) {
		fake.Park(t, id, runstest.StepParked("SendReceipt", runstest.ParkedAt))
	}
	env, _, _ := screen()
	for range 2 {
		require.NoError(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()))
	}
	for _, id := range runstest.IDs(5) {
		require.Equal(t, 1, fake.Taken[id], id)
	}
	// One that has parked again since is another matter.
	fake.Park(t, runstest.IDs(1)[0], runstest.StepParked("SendReceipt", runstest.ParkedAt.Add(time.Hour)))
	require.NoError(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()))
	require.Equal(t, 2, fake.Taken[runstest.IDs(1)[0]])
	require.Equal(t, 1, fake.Taken[runstest.IDs(2)[1]])
}

// TestBulkLeavesAlone lists runs that are no longer what they were.
func TestBulkLeavesAlone(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	for id, change := range map[string]func(*workflowpb.WorkflowExecutionInfo){
		"stripe:closed":  func(i *workflowpb.WorkflowExecutionInfo) { i.Status = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED },
		"stripe:goes-on": func(i *workflowpb.WorkflowExecutionInfo) { i.Memo = nil },
		"stripe:reset":   func(i *workflowpb.WorkflowExecutionInfo) { i.Execution.RunId = "another" },
		"stripe:again": func(i *workflowpb.WorkflowExecutionInfo) {
			i.Memo = runstest.ParkedInfo(t, "", runstest.StepParked("A", runstest.ParkedAt.Add(time.Nanosecond))).GetMemo()
		},
	} {
		fake.Park(t, id, runstest.StepParked("A", runstest.ParkedAt))
		fake.Frozen = append(fake.Frozen, proto.CloneOf(fake.Runs[id]))
		change(fake.Runs[id])
	}
	env, stdout, _ := screen()
	require.NoError(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()))
	require.Equal(t, "0 of 4 resumed, 4 already done.\n", stdout.String())
	require.Empty(t, fake.Taken)
}

func TestBulkErrors(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	for _, id := range runstest.IDs(6) {
		fake.Park(t, id, runstest.StepParked("SendReceipt", runstest.ParkedAt))
	}
	fake.OnSignal = func(id string) error {
		switch id {
		case runstest.IDs(6)[0]:
			return serviceerror.NewInternal("the one for " + id)
		case runstest.IDs(6)[5]:
			return nil
		default:
			return serviceerror.NewPermissionDenied("no", "")
		}
	}
	env, stdout, _ := screen()
	require.ErrorIs(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()), command.ErrSilent)
	require.Contains(t, stdout.String(), "1 of 6 resumed, 5 failed.\n  4 failed: run \"ID\": no\n      stripe:evt_00")
	require.Contains(t, stdout.String(), " and 1 more\n  1 failed: run \"ID\": the one for ID\n      stripe:evt_000\n")
}

// TestBulkReportsNew has a run park while others are resumed.
func TestBulkReportsNew(t *testing.T) {
	t.Parallel()
	fake := runstest.New()
	fake.Park(t, "stripe:a", runstest.StepParked("A", runstest.ParkedAt))
	fake.OnSignal = func(string) error {
		fake.Runs["stripe:b"] = runstest.ParkedInfo(t, "stripe:b", runstest.StepParked("A", runstest.ParkedAt))
		return nil
	}
	env, stdout, _ := screen()
	require.NoError(t, repairAll(t.Context(), env, operatorOn(fake), resume{}, everything()))
	require.Equal(t, "1 of 1 resumed.\n1 more run stopped since; run it again for them.\n", stdout.String())
	require.Zero(t, fake.Taken["stripe:b"])

	// One that fails again at once is new, too.
	again := runstest.New()
	again.Park(t, "stripe:a", runstest.StepParked("A", runstest.ParkedAt))
	again.OnTaken = func(id string) {
		again.Runs[id] = runstest.ParkedInfo(t, id, runstest.StepParked("A", runstest.ParkedAt.Add(time.Second)))
	}
	stdout.Reset()
	require.NoError(t, repairAll(t.Context(), env, operatorOn(again), resume{}, everything()))
	require.Equal(t, "1 of 1 resumed.\n1 more run stopped since; run it again for them.\n", stdout.String())
}

func TestSignalIsSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := runstest.New()
		fake.Park(t, "stripe:a", runstest.StepParked("A", runstest.ParkedAt))
		refusals := 2
		fake.OnSignal = func(string) error {
			if refusals--; refusals >= 0 {
				return serviceerror.NewUnavailable("away")
			}
			return nil
		}
		o := operatorOn(fake)
		r, err := o.describe(t.Context(), "stripe:a")
		require.NoError(t, err)
		said, err := resume{step: "A"}.do(t.Context(), o, r)
		require.NoError(t, err)
		require.Equal(t, "resumed at A", said)
		require.Equal(t, 1, fake.Taken["stripe:a"])
	})
}

func TestBulkRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		t2 := bulk{do: func(context.Context, eventrun.Run) error { return nil }, rate: 10, progress: progress{out: io.Discard}}.
			run(t.Context(), make([]eventrun.Run, 21))
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
		do := func(ctx context.Context, _ eventrun.Run) error {
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
		tally := bulk{do: do, rate: 1000, progress: progress{out: io.Discard}}.run(ctx, make([]eventrun.Run, 100))
		require.EqualValues(t, bulkWorkers, most.Load())
		require.Equal(t, bulkWorkers, tally.done)
		require.Zero(t, tally.failed)
	})
}

func operatorOn(f *runstest.Temporal) *operator {
	return &operator{client: f, payloads: &command.Payloads{Codec: payload.NewCodec(nil)}, namespace: "default", by: "ada@host", why: "a test"}
}

// screen is an environment whose output can be read.
func screen() (env command.Env, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return command.Env{Stdin: &bytes.Buffer{}, Stdout: stdout, Stderr: stderr}, stdout, stderr
}
