package ingest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStarting(t *testing.T) {
	t.Parallel()
	s := newStarting()
	end, err := s.begin(t.Context(), 100<<20)
	require.NoError(t, err, "more than there is room for goes alone")
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.begin(impatient, small+1)
	require.ErrorIs(t, err, context.Canceled)
	endSmall, err := s.begin(t.Context(), small)
	require.NoError(t, err, "small ones do not wait for it")
	endSmall()
	end()
	end, err = s.begin(t.Context(), maxSending)
	require.NoError(t, err)
	end()
	require.True(t, s.starts.TryAcquire(maxStarting), "everything is given back")
	_, err = s.begin(impatient, maxSending)
	require.ErrorIs(t, err, context.Canceled, "enough starts are running")
	require.True(t, s.bytes.TryAcquire(maxSending), "what does not start takes no room")
}
