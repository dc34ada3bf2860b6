package command

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/worker"
)

// TestAlertsAreNotRetriedByConfig sees that a policy that would change nothing
// is a mistake.
func TestAlertsAreNotRetriedByConfig(t *testing.T) {
	t.Parallel()
	require.NotContains(t, App{}.ActivityNames(), "SendAlert")
	require.Contains(t, App{}.ActivityNames(), worker.ForwardActivity)
}
