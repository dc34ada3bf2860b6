package ingest

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPeerOf(t *testing.T) {
	t.Parallel()
	for a, b := range map[string]string{
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2:ffff::1", // one host's network
		"192.0.2.1":            "192.0.2.1",
		"fe80::1%eth0":         "fe80::2%eth1",
	} {
		require.Equal(t, peerOf(netip.MustParseAddr(a)), peerOf(netip.MustParseAddr(b)))
	}
	require.NotEqual(t, peerOf(netip.MustParseAddr("192.0.2.1")), peerOf(netip.MustParseAddr("192.0.2.2")))
	require.NotEqual(t, peerOf(netip.MustParseAddr("2001:db8:1:2::1")), peerOf(netip.MustParseAddr("2001:db8:1:3::1")))
	require.Equal(t, peerOf(peerAddress("[::ffff:192.0.2.1]:80")), peerOf(peerAddress("192.0.2.1:90")))
	require.Equal(t, netip.Prefix{}, peerOf(peerAddress("nonsense")))
}

func TestPeersAreLimited(t *testing.T) {
	t.Parallel()
	p, clock := newPeers(), time.Unix(1767225600, 0)
	bad, other := peerNumber(1), peerNumber(2)
	for range maxFailures {
		require.Zero(t, p.failed(bad, clock))
	}
	require.Equal(t, failuresEvery, p.failed(bad, clock))
	require.Equal(t, 2*failuresEvery, p.failed(bad, clock))
	require.Nil(t, p.turn(other, clock), "another peer is not limited for it")
	require.NotNil(t, p.turn(bad, clock))
	for range 10 * maxFailures {
		require.LessOrEqual(t, p.failed(bad, clock), maxFailures*failuresEvery)
	}
	clock = clock.Add(2 * maxFailures * failuresEvery)
	require.Nil(t, p.turn(bad, clock), "a peer that stops failing is free again")
	require.Zero(t, p.failed(bad, clock))

	p.verified(bad, clock)
	require.Empty(t, p.byAddr, "what is not needed is forgotten")
	require.Zero(t, p.count.Load())
}

// TestMixedPeerIsNotLimited is a proxy through which many senders come: as long
// as most of it verifies, the forged part does not limit it.
func TestMixedPeerIsNotLimited(t *testing.T) {
	t.Parallel()
	p, clock := newPeers(), time.Unix(1767225600, 0)
	for range 100 * maxFailures {
		require.Zero(t, p.failed(peerNumber(1), clock))
		p.verified(peerNumber(1), clock)
	}
}

// TestLimitedPeerTakesTurns sees that a limited peer has one delivery verified
// at a time, and that the next one gets its turn.
func TestLimitedPeerTakesTurns(t *testing.T) {
	t.Parallel()
	p, clock, bad := newPeers(), time.Unix(1767225600, 0), peerNumber(1)
	for range maxFailures + 1 {
		p.failed(bad, clock)
	}
	done, err := p.await(t.Context(), bad, clock, time.Hour)
	require.NoError(t, err)
	_, err = p.await(t.Context(), bad, clock, 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	free, err := p.await(t.Context(), peerNumber(2), clock, 0)
	require.NoError(t, err)
	free()

	var next sync.WaitGroup
	next.Go(func() {
		done, err := p.await(t.Context(), bad, clock, time.Hour)
		if err != nil {
			t.Error(err)
			return
		}
		done()
	})
	done()
	next.Wait()
}

// TestPeersAreBounded has more peers fail than are remembered.
func TestPeersAreBounded(t *testing.T) {
	t.Parallel()
	p, clock := newPeers(), time.Unix(1767225600, 0)
	for range maxFailures {
		p.failed(peerNumber(0), clock)
	}
	for i := range 3 * maxPeers {
		p.failed(peerNumber(1+i), clock)
		p.failed(peerNumber(0), clock)
	}
	require.Len(t, p.byAddr, maxPeers)
	require.Equal(t, maxPeers, p.recent.Len())
	require.NotNil(t, p.turn(peerNumber(0), clock), "the one that keeps failing is not forgotten")
}
