package operate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/eventrun/runstest"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func TestFilterQuery(t *testing.T) {
	t.Parallel()
	const parked = `HookState = "parked" AND ExecutionStatus = "Running"`
	for _, tt := range []struct {
		name   string
		filter filter
		want   string
	}{
		{"none", filter{}, parked},
		{"all", filter{source: "stripe-eu", eventType: "invoice.paid", reason: "exhausted", olderThan: time.Hour},
			parked + ` AND HookSource = "stripe-eu" AND HookEventType = "invoice.paid" AND HookParkReason = "exhausted"`},
		{"a quote does not end the value", filter{eventType: `a" OR "1" = "1`}, parked + ` AND HookEventType = "a\" OR \"1\" = \"1"`},
		{"nor does a backslash before it", filter{eventType: `a\" OR`}, parked + ` AND HookEventType = "a\\\" OR"`},
		{"nor one at the end", filter{source: `a\`}, parked + ` AND HookSource = "a\\"`},
		{"a single quote is a character", filter{source: `a'b`}, parked + ` AND HookSource = "a'b"`},
		{"a pattern is not for the server", filter{eventType: "invoice.*"}, parked},
		{"failed", filter{failed: true, source: "s"}, `ExecutionStatus = "Failed" AND HookSource IS NOT NULL AND HookSource = "s"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.filter.query())
		})
	}
}

func TestFilterTakes(t *testing.T) {
	t.Parallel()
	now := runstest.ParkedAt.Add(time.Hour)
	r := eventrun.Run{
		EventType: "invoice.paid", Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		Steps: []parking.Step{runstest.StepParked("A", runstest.ParkedAt.Add(30*time.Minute)), runstest.StepParked("B", runstest.ParkedAt)},
	}
	require.True(t, filter{}.takes(r, now))
	require.True(t, filter{olderThan: time.Hour}.takes(r, now), "the oldest step counts")
	require.False(t, filter{olderThan: time.Hour + 1}.takes(r, now))
	require.True(t, filter{eventType: "invoice.*"}.takes(r, now))
	require.False(t, filter{eventType: "charge.*"}.takes(r, now))
}
