package ingest

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestVictim chooses the connection that gives way when all are taken.
func TestVictim(t *testing.T) {
	t.Parallel()
	began := time.Unix(1767225600, 0)
	all := newConnections(nil, 0, func(netip.Addr) bool { return false })
	add := func(peer, age int, verified, busy bool, idle int) *connection {
		c := &connection{Conn: &net.TCPConn{}, all: all, peer: peerNumber(peer), opened: began.Add(time.Duration(-age) * time.Second)}
		c.verified.Store(verified)
		c.busy.Store(busy)
		c.idleSince.Store(began.Add(time.Duration(-idle) * time.Second).UnixNano())
		all.open[c] = struct{}{}
		return c
	}
	gives := func(want *connection, why string) {
		t.Helper()
		victim := all.victim()
		require.Same(t, want, victim, why)
		delete(all.open, victim)
	}
	require.Nil(t, all.victim(), "there is none")
	add(1, 100, true, true, 100) // a delivery is being started
	require.Nil(t, all.victim(), "none is closed that delivers")
	idle := add(1, 50, true, false, 5)
	idleLonger := add(2, 10, true, false, 9)
	genuine := add(3, 95, false, true, 0)
	old := add(4, 90, false, true, 0)
	young := add(4, 1, false, false, 0)
	gives(old, "the oldest of the peer with most unverified")
	gives(genuine, "of peers with as many, the oldest")
	gives(young, "unverified before verified")
	gives(idleLonger, "then the one that is idle longest")
	gives(idle, "then the next one")
	require.Nil(t, all.victim())
}
