package command_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/command"
)

// TestUnreachable has one sentence for people, whatever gRPC puts around it.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	const absent = "no Temporal answers at here:7233; start one with `hookyard dev`, or say where it is with TEMPORAL_ADDRESS"
	const advice = "; TEMPORAL_ADDRESS and Temporal's own profile say where it is and how to get in"
	for said, want := range map[string]string{
		`failed reaching server: connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:7233: connect: connection refused"`: absent,
		`failed reaching server: context deadline exceeded`: absent,
		`failed reaching server: connection error: desc = "transport: authentication handshake failed: tls: first record does not look like a TLS handshake"`://
		"the Temporal at here:7233 cannot be used: authentication handshake failed: tls: first record does not look like a TLS handshake" + advice,
		`Request unauthorized.`: "the Temporal at here:7233 cannot be used: Request unauthorized." + advice,
	} {
		require.EqualError(t, command.Unreachable("here:7233", errors.New(said)), want)
	}
	require.ErrorIs(t, command.Unreachable("here:7233", context.Canceled), context.Canceled)
}
