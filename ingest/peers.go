package ingest

import (
	"container/list"
	"context"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxFailures is how many deliveries of one peer may fail to verify at
	// once; failuresEvery later one more may.
	maxFailures   = 60
	failuresEvery = time.Second
	// maxPeers is how many peers with failures are remembered: those that
	// failed last.
	maxPeers = 4096
)

// peerOf returns what stands for a sender where senders are told apart: its
// IPv4 address, or the /64 network of its IPv6 address, since one host has as
// many addresses as it likes there.
func peerOf(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.WithZone("").Prefix(bits) // the zero Prefix for the zero Addr
	return prefix
}

// peerAddress returns the address in a "host:port", or the zero Addr.
func peerAddress(hostPort string) netip.Addr {
	peer, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}

// peers counts the deliveries that do not verify, by peer.
//
// A peer with too many failures is limited: its deliveries are verified one
// after the other, and those that fail are answered 429. They are still
// verified, for a genuine sender may share its address with the one that fails,
// behind a proxy or NAT.
type peers struct {
	count atomic.Int64 // of the peers that are remembered, to read without the lock

	mu     sync.Mutex
	byAddr map[netip.Prefix]*list.Element
	recent *list.List // of *peer; the one that failed last is in front
}

type peer struct {
	key      netip.Prefix
	failures float64 // falls by one each failuresEvery
	at       time.Time
	turn     *semaphore.Weighted // verifying, while the peer is limited
}

func newPeers() *peers {
	return &peers{byAddr: map[netip.Prefix]*list.Element{}, recent: list.New()}
}

// await returns once a delivery of the peer may be verified. It waits where the
// peer is limited and another delivery of it is being verified, at most for
// within.
func (p *peers) await(ctx context.Context, key netip.Prefix, now time.Time, within time.Duration) (done func(), err error) {
	turn := p.turn(key, now)
	if turn == nil {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	return func() { turn.Release(1) }, nil
}

// turn returns what a delivery of the peer has to wait for; nil where the peer
// is not limited.
func (p *peers) turn(key netip.Prefix, now time.Time) *semaphore.Weighted {
	if p.count.Load() == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byAddr[key]
	if e == nil {
		return nil
	}
	found := peerIn(e)
	if found.failuresAt(now) < maxFailures {
		return nil
	}
	return found.turn
}

// failed counts a delivery that did not verify. Where the peer is limited it
// returns how long the sender is to wait, else 0.
func (p *peers) failed(key netip.Prefix, now time.Time) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byAddr[key]
	if e == nil {
		e = p.recent.PushFront(&peer{key: key, turn: semaphore.NewWeighted(1)})
		p.byAddr[key] = e
		if p.recent.Len() > maxPeers {
			oldest := p.recent.Back()
			delete(p.byAddr, peerIn(oldest).key)
			p.recent.Remove(oldest)
		}
		p.count.Store(int64(p.recent.Len()))
	}
	p.recent.MoveToFront(e)
	found := peerIn(e)
	// The sum is bounded, so that the wait is: a peer that stops failing is
	// free again after two minutes.
	found.failures, found.at = math.Min(found.failuresAt(now)+1, 2*maxFailures), now
	if found.failures <= maxFailures {
		return 0
	}
	return time.Duration((found.failures - maxFailures) * float64(failuresEvery))
}

// verified takes one failure back: a peer whose deliveries mostly verify is not
// limited.
func (p *peers) verified(key netip.Prefix, now time.Time) {
	if p.count.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.byAddr[key]
	if e == nil {
		return
	}
	found := peerIn(e)
	if found.failures, found.at = found.failuresAt(now)-1, now; found.failures <= 0 {
		delete(p.byAddr, key)
		p.recent.Remove(e)
		p.count.Store(int64(p.recent.Len()))
	}
}

func (p *peer) failuresAt(now time.Time) float64 {
	return max(0, p.failures-float64(now.Sub(p.at))/float64(failuresEvery))
}

// peerIn returns what the list holds, which is nothing but peers.
func peerIn(e *list.Element) *peer {
	p, _ := e.Value.(*peer)
	return p
}
