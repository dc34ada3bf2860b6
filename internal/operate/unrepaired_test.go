package operate

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/eventrun/runstest"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// TestAmendLimits refuses at once what Temporal would refuse after 20 s.
func TestAmendLimits(t *testing.T) {
	t.Parallel()
	letters := func(n int) []byte { return bytes.Repeat([]byte("a"), n) }
	for name, tt := range map[string]struct {
		payload []byte
		refused string
	}{
		"JSON at the limit":       {append(append([]byte(`"`), letters(config.MaxInHistory-2)...), '"'), ""},
		"JSON over it":            {append(append([]byte(`"`), letters(config.MaxInHistory-1)...), '"'), "Temporal stores"},
		"not JSON, but small":     {letters(1 << 20), ""},
		"not JSON, and too large": {letters(1600 << 10), "is sent as base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input, err := amendment(tt.payload, "ada", "")
			require.NoError(t, err)
			err = tooLarge(tt.payload, input, false)
			if tt.refused == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.refused)
		})
	}
}

// TestFinalLineBreak cuts what an editor puts behind JSON, and nothing else.
func TestFinalLineBreak(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ current, file, want string }{
		{`{"a":1}`, "{\"a\":2}\n", `{"a":2}`},
		{`{"a":1}`, "{\"a\":2}\r\n", `{"a":2}`},
		{`{"a":1}`, "{\"a\":2}\n\n", `{"a":2}`},
		{"{\"a\":1}\n", "{\"a\":2}\n", "{\"a\":2}\n"},
		{"a=1", "a=2\n", "a=2\n"}, // not JSON: byte for byte
	} {
		env, _, _ := screen()
		env.Stdin = strings.NewReader(tt.file)
		got, err := correct(env, amendOptions{file: "-"}, []byte(tt.current))
		require.NoError(t, err)
		require.Equal(t, tt.want, string(got))
	}
}

// TestForgotten says which runs are held for no pause.
func TestForgotten(t *testing.T) {
	t.Parallel()
	f := runstest.New()
	for _, id := range []string{"stripe:1", "stripe:2", "github:1"} {
		f.Park(t, id, parking.Step{Name: event.WholeWorkflow, Reason: event.ReasonPaused, Since: runstest.ParkedAt})
	}
	f.Park(t, "stripe:3", parking.Step{Name: "SendReceipt", Reason: event.ReasonExhausted, Since: runstest.ParkedAt})
	f.Pauses = []string{"github"}
	var out bytes.Buffer
	require.NoError(t, operatorOn(f).printForgotten(t.Context(), &out))
	require.Contains(t, out.String(), "2 runs are held for source stripe, which is not paused")
	require.Contains(t, out.String(), "unpause stripe")
	require.NotContains(t, out.String(), "github")
}

func TestAmendSame(t *testing.T) {
	t.Parallel()
	env, _, _ := screen()
	got, err := correct(env, amendOptions{same: true}, []byte("a=1"))
	require.NoError(t, err)
	require.Equal(t, "a=1", string(got))
}

// TestFailingTask says of a run whose Workflow Task keeps failing that it does
// not go on by itself, and why.
func TestFailingTask(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.schedule(h.decide(), "RecordPayment")
	h.add(&historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED,
		Attributes: &historypb.HistoryEvent_WorkflowTaskFailedEventAttributes{WorkflowTaskFailedEventAttributes: &historypb.WorkflowTaskFailedEventAttributes{
			Failure: &failurepb.Failure{Message: "[TMPRL1100] nondeterministic workflow: missing replay command"},
		}},
	})
	r := eventrun.Run{ID: "stripe:evt_1", Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, TaskAttempt: 7}
	require.ErrorContains(t, needParked(r, ""), "its Workflow Task keeps failing (attempt 7)")
	shown := page{run: r, events: h.events, now: runstest.ParkedAt}.String()
	require.Contains(t, shown, "the Workflow Task has been attempted 7 times")
	require.Contains(t, shown, "missing replay command")
	require.Contains(t, shown, "reset stripe:evt_1 --step NAME")
	require.NotContains(t, shown, "goes on by itself")

	r.TaskAttempt = 1
	require.ErrorContains(t, needParked(r, ""), "goes on by itself")
}
