package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	for _, ip := range []string{"127.0.0.1", "0.0.0.0", "::1", "::"} {
		t.Run(ip, func(t *testing.T) {
			t.Parallel()
			addr, release, err := reserve(netip.AddrPortFrom(netip.MustParseAddr(ip), 0))
			require.NoError(t, err)
			defer release()
			require.NotZero(t, addr.Port())

			listener, err := net.Listen("tcp", addr.String())
			require.NoError(t, err, "the one it is held for can listen")
			defer listener.Close()
			_, _, err = reserve(addr)
			require.Error(t, err, "a port that is listened on cannot be reserved")
		})
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"port", "ui-port", "http-port", "metrics-port"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			taken := listener.Addr().(*net.TCPAddr).Port

			args := startDev("--port", "0", "--"+flag, fmt.Sprint(taken))
			require.EqualError(t, run(t.Context(), args, io.Discard, io.Discard),
				fmt.Sprintf("port %d on 127.0.0.1 is taken; free it or pass --%s", taken, flag))
		})
	}
}

func TestSamePortTwice(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), startDev("--port", "7300", "--metrics-port", "7300"), io.Discard, io.Discard)
	require.EqualError(t, err, "--port and --metrics-port are both port 7300 on 127.0.0.1; change one")
}

func TestDialable(t *testing.T) {
	t.Parallel()
	for listen, dial := range map[string]string{
		"0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "127.0.0.2:1": "127.0.0.2:1", "[::1]:1": "[::1]:1",
	} {
		require.Equal(t, dial, dialable(netip.MustParseAddrPort(listen)).String())
	}
}
