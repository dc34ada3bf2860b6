package main

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A bind that does not ask for SO_REUSEADDR fails on a held port, and so does
// the kernel's own search for a free one, which follows the same rule.
func TestReserveHoldsThePort(t *testing.T) {
	t.Parallel()
	addr, release, err := reserve(netip.MustParseAddrPort("127.0.0.1:0"))
	require.NoError(t, err)
	defer release()

	strict := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlled := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
		})
		if controlled != nil {
			return controlled
		}
		return err
	}}
	_, err = strict.Listen(t.Context(), "tcp", addr.String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}
