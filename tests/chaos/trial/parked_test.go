package trial

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestCauses(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(kind Kind, target string, from, to int) Applied {
		return Applied{Fault: Fault{Kind: kind, Target: target}, Began: noon.Add(time.Duration(from) * time.Second), Ended: noon.Add(time.Duration(to) * time.Second)}
	}
	step := func(name, reason string) parkedStep {
		return parkedStep{Name: name, Reason: reason, Started: noon, Since: noon.Add(10 * time.Second)}
	}
	for name, tt := range map[string]struct {
		step   parkedStep
		faults []Applied
		want   []Kind
	}{
		"its own system":          {step("RecordPayment", "exhausted"), []Applied{at(DiskFull, ledgerName, 1, 5), at(ReadOnly, ledgerName, 4, 20)}, []Kind{DiskFull, ReadOnly}},
		"the second of its kind":  {step("ForwardEvent#2", "exhausted"), []Applied{at(Slow, downstreamName, 1, 5)}, []Kind{Slow}},
		"a link of its own":       {step("TriggerBuild", "exhausted"), []Applied{at(Cut, link(workerName(1), downstreamName), 1, 5)}, []Kind{Cut}},
		"another system":          {step("RecordPayment", "exhausted"), []Applied{at(Slow, downstreamName, 1, 5), at(Cut, link(workerName(0), downstreamName), 1, 5)}, nil},
		"too early":               {step("RecordPayment", "exhausted"), []Applied{at(DiskFull, ledgerName, -20, -10)}, nil},
		"it is still felt":        {step("RecordPayment", "exhausted"), []Applied{at(DiskFull, ledgerName, -20, -1)}, []Kind{DiskFull}},
		"too late":                {step("RecordPayment", "exhausted"), []Applied{at(DiskFull, ledgerName, 14, 20)}, nil},
		"the clock is behind":     {step("RecordPayment", "exhausted"), []Applied{at(DiskFull, ledgerName, 11, 20)}, []Kind{DiskFull}},
		"a full disk takes mail":  {step("SendReceipt", "exhausted"), []Applied{at(DiskFull, ledgerName, 1, 5)}, []Kind{DiskFull}},
		"a lock does not":         {step("SendReceipt", "exhausted"), []Applied{at(ReadOnly, ledgerName, 1, 5)}, nil},
		"a kill lets it time out": {step("SendReceipt", "timeout"), []Applied{at(Kill, workerName(0), 1, 5)}, []Kind{Kill}},
		"a kill is no failure":    {step("SendReceipt", "exhausted"), []Applied{at(Kill, workerName(0), 1, 5), at(Kill, temporalName, 1, 5)}, nil},
		"an edge has no steps":    {step("SendReceipt", "timeout"), []Applied{at(Kill, edgeName(0), 1, 5)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(tt.want, causes(tt.step, tt.faults)))
			for i := range tt.faults {
				tt.faults[i].Err = "it could not be had"
			}
			require.Empty(t, causes(tt.step, tt.faults))
		})
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	steps := []parkedStep{{Name: "RecordPayment", Reason: "exhausted", Error: "disk full", Started: now, Since: now.Add(time.Second)}}
	runs := []parkedRun{{"payments:evt_1", steps}, {"payments:evt_2", steps}, {"forwards:evt_3", []parkedStep{{Name: "ForwardEvent", Reason: "permanent", Error: "404", Since: now}}}}
	faults := []Applied{{Fault: Fault{Kind: DiskFull, Target: ledgerName}, Began: now, Ended: now}}
	require.Empty(t, cmp.Diff([]ParkedGroup{
		{Step: "ForwardEvent", Reason: "permanent", Count: 1, Example: "forwards:evt_3", Error: "404"},
		{Step: "RecordPayment", Reason: "exhausted", Causes: []Kind{DiskFull}, Count: 2, Example: "payments:evt_1", Error: "disk full"},
	}, explain(runs, faults)))
}

func TestUnseen(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first := parkedRun{"a", []parkedStep{{Name: "step", Since: now}}}
	seen := map[parkedKey]bool{}
	require.Empty(t, cmp.Diff([]parkedRun{first}, unseen([]parkedRun{first}, seen)))
	first.mark(seen)
	again := parkedRun{"a", []parkedStep{{Name: "step", Since: now.Add(time.Second)}}}
	other := parkedRun{"b", first.Steps}
	require.Empty(t, cmp.Diff([]parkedRun{again, other}, unseen([]parkedRun{first, again, other}, seen)))
}
