package measure

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// counters are lines as the server prints them.
const counters = `# HELP persistence_requests how many
# TYPE persistence_requests counter
persistence_requests{namespace="default",operation="CreateWorkflowExecution",service_name="history"} 100
persistence_requests{namespace="default",operation="UpdateWorkflowExecution",service_name="history"} 250
persistence_requests{namespace="default",operation="UpdateWorkflowExecution",service_name="other"} 1e+2
persistence_requests{namespace="default",operation="GetWorkflowExecution",service_name="history"} 7
persistence_requests{namespace="other",operation="CreateWorkflowExecution",service_name="history"} 1000
persistence_requests{namespace="temporal_system",operation="UpdateShard",service_name="history"} 9
persistence_errors{namespace="default",operation="CreateWorkflowExecution",service_name="history"} 5
visibility_persistence_requests{operation="RecordWorkflowExecutionStarted",service_name="history"} 99
`

func TestParseWrites(t *testing.T) {
	t.Parallel()
	before, err := parseWrites(strings.NewReader(counters), "default")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(writes{"CreateWorkflowExecution": 100, "UpdateWorkflowExecution": 350, "RecordWorkflowExecutionStarted": 99}, before))

	after, err := parseWrites(strings.NewReader(strings.ReplaceAll(counters, " 250", " 550")), "default")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(map[string]float64{"UpdateWorkflowExecution": 3}, after.since(before, 100)))
	require.Nil(t, writes(nil).since(nil, 100), "unknown stays unknown")

	figures := EndToEndFigures{Writes: map[string]float64{
		"CreateWorkflowExecution": 1, "UpdateWorkflowExecution": 5, "RecordWorkflowExecutionStarted": 1, "RecordWorkflowExecutionClosed": 1,
	}}
	require.InDelta(t, 6, figures.HistoryWrites(), 0)
	require.InDelta(t, 2, figures.VisibilityWrites(), 0)

	_, err = parseWrites(strings.NewReader(`persistence_requests{namespace="default",operation="CreateWorkflowExecution"} many`), "default")
	require.EqualError(t, err, `the server's metrics: "many" is not a number`)
}

func TestLabel(t *testing.T) {
	t.Parallel()
	const labels = `sub_operation="x",operation="y",namespace="z"} 1`
	require.Equal(t, "y", label(labels, "operation"))
	require.Equal(t, "x", label(labels, "sub_operation"))
	require.Equal(t, "z", label(labels, "namespace"))
	require.Empty(t, label(labels, "missing"))
}
