package trial

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// echo returns the address of a proxy to a server that sends back what comes.
func echo(t *testing.T, n *network) string {
	l, err := harness.Listen(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	t.Cleanup(n.close)
	address, err := n.connect(t.Context(), "a->b", l.Addr().String())
	require.NoError(t, err)
	return address
}

// ask sends a line over a connection and waits a while for it to come back.
func ask(conn net.Conn, wait time.Duration) error {
	if _, err := conn.Write([]byte("hello\n")); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err := bufio.NewReader(conn).ReadString('\n')
	return err
}

func dial(t *testing.T, address string) net.Conn {
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	const long = time.Minute
	for _, tt := range []struct {
		fault  Fault
		during func(t *testing.T, address string, before net.Conn)
	}{
		{Fault{Kind: Cut}, func(t *testing.T, address string, before net.Conn) {
			require.Error(t, ask(before, long))
			_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			require.Error(t, err)
		}},
		{Fault{Kind: Latency, Amount: 400 * time.Millisecond}, func(t *testing.T, address string, before net.Conn) {
			for _, conn := range []net.Conn{before, dial(t, address)} {
				began := time.Now()
				require.NoError(t, ask(conn, long))
				require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
			}
		}},
		{Fault{Kind: HalfOpen}, func(t *testing.T, address string, before net.Conn) {
			for _, conn := range []net.Conn{before, dial(t, address)} {
				var late net.Error
				require.ErrorAs(t, ask(conn, 300*time.Millisecond), &late)
				require.True(t, late.Timeout(), "the connection stays, and nothing passes")
			}
		}},
	} {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			t.Parallel()
			n := newNetwork()
			address := echo(t, n)
			before := dial(t, address)
			require.NoError(t, ask(before, long))
			for range 2 { // a link can be hit again
				end, err := n.links["a->b"].begin(t.Context(), tt.fault)
				require.NoError(t, err)
				tt.during(t, address, before)
				require.NoError(t, end(t.Context()))

				require.Error(t, ask(before, long), "connections end with the fault")
				before = dial(t, address)
				require.NoError(t, ask(before, long))
			}
		})
	}
}
