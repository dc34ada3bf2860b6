package event_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

func TestPausedSource(t *testing.T) {
	t.Parallel()
	source, ok := event.PausedSource(event.PauseID("stripe-eu"))
	require.True(t, ok)
	require.Equal(t, "stripe-eu", source)
	_, ok = event.PausedSource(event.WorkflowID("stripe", "hookyard/pause/stripe"))
	require.False(t, ok)
}
