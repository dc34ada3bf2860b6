package hookyardtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/hookyardtest"
)

const stored = "../tests/histories/"

func TestReplay(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	data, err := os.ReadFile(stored + "kept.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "unhandled.json"), data, 0o600))
	hookyardtest.Replay(t, app(), folder)
}

func TestReplayFails(t *testing.T) {
	t.Parallel()
	err := hookyardtest.ReplayFile(app(), stored+"stripe.invoice.paid.json")
	require.ErrorContains(t, err, "workflow.GetVersion", "this App's Workflow has other steps")
	require.ErrorContains(t, err, "stripe.invoice.paid.json")
	_, err = hookyardtest.Histories(t.TempDir())
	require.ErrorContains(t, err, hookyardtest.RecordVariable)
}

// TestRecordLeavesHistoriesAlone sees that a stored history is not written
// again: whoever records is told, before Temporal is asked.
func TestRecordLeavesHistoriesAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "stripe_evt_1.json")
	require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
	_, err := hookyardtest.Record(t.Context(), "stripe:evt_1", folder)
	require.ErrorContains(t, err, "is there already")
}
