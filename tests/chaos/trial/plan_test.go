package trial

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// TestPlanIsOfItsSeed keeps what a seed means: the seeds that once found a
// mistake are kept, and would find nothing if they came to mean another plan.
func TestPlanIsOfItsSeed(t *testing.T) {
	t.Parallel()
	plan := NewPlan(7, 500, 15*time.Second, false)
	require.Empty(t, cmp.Diff(plan, NewPlan(7, 500, 15*time.Second, false), cmp.Exporter(func(reflect.Type) bool { return true })))
	require.NotEqual(t, plan.Faults, NewPlan(8, 500, 15*time.Second, false).Faults)

	var first []string
	for _, f := range plan.Faults[:4] {
		first = append(first, f.At.String()+" "+f.String())
	}
	require.Empty(t, cmp.Diff([]string{
		"1.435s garbage downstream for 1.1s",
		"3.797s half-open worker-2->downstream for 3.8s",
		"3.835s kill -9 temporal for 900ms",
		"4.241s slow downstream for 2.8s",
	}, first))
	require.Equal(t, "evt_7_00000", plan.Events[0].ID)
}

func TestPlanHasEverything(t *testing.T) {
	t.Parallel()
	for _, postgres := range []bool{false, true} {
		targets := append(links(postgres), edgeName(0), edgeName(1), workerName(0), workerName(1),
			temporalName, downstreamName, senderName, ledgerName)
		for seed := range uint64(200) {
			plan := NewPlan(seed, 100, 15*time.Second, postgres)
			require.GreaterOrEqual(t, plan.Kills(), 3, "seed %d", seed)
			kinds, killed := map[Kind]bool{}, map[string]bool{}
			for i, f := range plan.Faults {
				require.Contains(t, targets, f.Target, "seed %d", seed)
				require.False(t, slices.ContainsFunc(plan.Faults[i+1:], f.collides), "seed %d: %s", seed, f)
				require.Positive(t, f.At)
				require.Positive(t, f.For)
				require.LessOrEqual(t, f.At, plan.Duration)
				kinds[f.Kind] = true
				if f.Kind == Kill {
					killed[strings.TrimRight(f.Target, "-12")] = true
				}
			}
			require.Len(t, kinds, 10, "seed %d", seed)
			require.Empty(t, cmp.Diff(map[string]bool{"edge": true, "worker": true, "temporal": true}, killed), "seed %d", seed)
		}
	}
}

// TestBurst sees that Temporal is away all the time, and that the edges die ten
// times meanwhile.
func TestBurst(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		plan := NewBurst(seed, 100, time.Minute)
		require.Empty(t, cmp.Diff(Fault{Kind: Kill, Target: temporalName, For: time.Minute}, plan.Faults[0]))
		require.Len(t, plan.Faults, 11)
		for i, f := range plan.Faults[1:] {
			require.Equal(t, Kill, f.Kind)
			require.Equal(t, edgeName(i%2), f.Target)
			require.Less(t, f.At+f.For, plan.Duration, "seed %d: %s", seed, f)
			require.False(t, slices.ContainsFunc(plan.Faults[i+2:], f.collides), "seed %d: %s", seed, f)
		}
		require.Less(t, plan.Events[99].At, 10*time.Second)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	plan := NewPlan(1, 1000, 20*time.Second, false)
	sources, ids := map[string]int{}, map[string]bool{}
	storms := 0
	for _, e := range plan.Events {
		sources[e.Source]++
		ids[e.ID] = true
		if e.AtOnce {
			storms++
		}
		require.Less(t, e.At, plan.Duration)
	}
	require.Len(t, ids, 1000)
	require.Len(t, sources, 3)
	for source, n := range sources {
		require.Greater(t, n, 100, source)
	}
	require.Positive(t, storms)
}
