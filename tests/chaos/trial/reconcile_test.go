package trial

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
)

const (
	completed = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	running   = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
)

// scene is what one event of each source leaves behind when all is well.
type scene struct {
	events []Event
	told   map[string]*answers
	held   held
	down   downstream
}

func newScene() *scene {
	s := &scene{
		told: map[string]*answers{},
		held: held{
			runs:  map[string][]enumspb.WorkflowExecutionStatus{},
			rows:  map[string]int{"payments:evt_1": 1},
			mails: map[string]int{"payments_evt_1_SendReceipt": 1},
		},
	}
	for i, source := range []string{payments, forwards, builds} {
		e := Event{ID: "evt_" + string(rune('1'+i)), Source: source}
		s.events = append(s.events, e)
		s.told[e.WorkflowID()] = &answers{Deliveries: 2, Accepted: 1, Duplicate: 1, Acknowledged: time.Now()}
		s.held.runs[e.WorkflowID()] = []enumspb.WorkflowExecutionStatus{completed}
	}
	body := sha256.Sum256(s.events[1].body(nil))
	s.down.effects = map[string]*effect{
		"forwards:evt_2:Forward":    {calls: 2, done: 1, sums: map[[sha256.Size]byte]bool{body: true}},
		"builds:evt_3:TriggerBuild": {calls: 1, done: 1, sums: map[[sha256.Size]byte]bool{{1}: true}},
	}
	return s
}

func (s *scene) reconcile() *Report {
	r := &Report{}
	reconcile(r, s.events, s.told, &s.held, &s.down)
	return r
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	r := newScene().reconcile()
	require.True(t, r.OK(), "%v", r.Broken)
	require.Empty(t, cmp.Diff(&Report{
		Sent: 3, Deliveries: 6, Acknowledged: 3, Workflows: Range{1, 1}, Effects: Range{1, 1},
		Rows: 1, Mails: 1, Forwards: 1, Builds: 1, Repeated: 1,
	}, r))
}

func TestReconcileFinds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(*scene)
		want  []string
	}{
		"a loss": {
			func(s *scene) {
				delete(s.held.runs, "payments:evt_1")
				s.held.rows, s.held.mails = nil, nil
			},
			[]string{"payments:evt_1 was acknowledged, and there is no Workflow of it", "payments:evt_1 has 0 mails", "payments:evt_1 had 0 effects"},
		},
		"an event that nobody took": {
			func(s *scene) { s.told["builds:evt_3"].Acknowledged = time.Time{} },
			[]string{"builds:evt_3 was never acknowledged, in 2 deliveries"},
		},
		"an event that was not sent": {
			func(s *scene) { delete(s.told, "builds:evt_3") },
			[]string{"builds:evt_3 was never acknowledged, in 0 deliveries"},
		},
		"two Workflows": {
			func(s *scene) { s.held.runs["forwards:evt_2"] = append(s.held.runs["forwards:evt_2"], completed) },
			[]string{"forwards:evt_2 has 2 Workflows"},
		},
		"two starts": {
			func(s *scene) { s.told["forwards:evt_2"].Accepted = 2 },
			[]string{`forwards:evt_2 was answered "accepted" 2 times: it was started as often`},
		},
		"a journal that no source has": {
			func(s *scene) { s.told["forwards:evt_2"].Journaled = 1 },
			[]string{`forwards:evt_2 was answered "accepted" 1 times and "journaled" 1 times; whether its source has a journal: false`},
		},
		"an event that was ignored": {
			func(s *scene) { s.told["forwards:evt_2"].Other = 1 },
			[]string{`forwards:evt_2 was answered neither "accepted", "journaled" nor "duplicate" by 1 deliveries that were acknowledged`},
		},
		"a run that did not complete": {
			func(s *scene) { s.held.runs["builds:evt_3"][0] = running },
			[]string{"builds:evt_3 has not completed: its Workflow is running"},
		},
		"two rows": {
			func(s *scene) { s.held.rows["payments:evt_1"] = 2 },
			[]string{"payments:evt_1 had 2 effects"},
		},
		"two mails": {
			func(s *scene) { s.held.mails["payments_evt_1_SendReceipt"] = 2 },
			[]string{"payments:evt_1 has 2 mails"},
		},
		"a build that was not carried out": {
			func(s *scene) { s.down.effects["builds:evt_3:TriggerBuild"].done = 0 },
			[]string{"builds:evt_3 had 0 effects"},
		},
		"a payload that was changed": {
			func(s *scene) {
				s.down.effects["forwards:evt_2:Forward"].sums = map[[sha256.Size]byte]bool{{2}: true}
			},
			[]string{`the body under key "forwards:evt_2:Forward" is not the one that was sent`},
		},
		"things of events that were never sent": {
			func(s *scene) {
				s.held.runs["payments:evt_9"] = []enumspb.WorkflowExecutionStatus{completed}
				s.held.rows["payments:evt_9"] = 1
				s.held.mails["payments_evt_9_SendReceipt"] = 1
				s.down.effects["evt_9"] = &effect{}
			},
			[]string{
				`there is a Workflow of "payments:evt_9", an event that was never sent`,
				`the ledger has a row of "payments:evt_9", an event that was never sent`,
				`there is a mail of "payments_evt_9_SendReceipt", an event that was never sent`,
				`the downstream service was called under the key of "evt_9", an event that was never sent`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene()
			tt.spoil(s)
			r := s.reconcile()
			require.Empty(t, cmp.Diff(tt.want, r.Broken))
			require.Equal(t, len(tt.want), r.BrokenCount)
			require.False(t, r.OK())
		})
	}
}

func TestCountMails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"payments_evt_1_SendReceipt-aa.eml", "payments_evt_1_SendReceipt-bb.eml", "payments_evt_2_SendReceipt-cc.eml", ".writing-1"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	mails, err := countMails(folder)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(map[string]int{"payments_evt_1_SendReceipt": 2, "payments_evt_2_SendReceipt": 1}, mails))
	require.Equal(t, "payments_evt_2_SendReceipt", mailName(Event{ID: "evt_2", Source: payments}))
}
