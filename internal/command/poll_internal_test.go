package command

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// TestPollWhenReady sees that a worker's polls, and nothing else, wait for a
// connection: a start that waited would hold its delivery.
func TestPollWhenReady(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		req   any
		waits bool
	}{
		{&workflowservice.PollWorkflowTaskQueueRequest{}, true},
		{&workflowservice.PollActivityTaskQueueRequest{}, true},
		{&workflowservice.StartWorkflowExecutionRequest{}, false},
	} {
		var got []grpc.CallOption
		invoke := func(_ context.Context, _ string, _, _ any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
			got = opts
			return nil
		}
		require.NoError(t, pollWhenReady(t.Context(), "", tt.req, nil, nil, invoke))
		if !tt.waits {
			require.Empty(t, got, "%T", tt.req)
			continue
		}
		require.Equal(t, []grpc.CallOption{grpc.WaitForReady(true)}, got, "%T", tt.req)
	}
}
