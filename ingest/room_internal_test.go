package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// hourglass is a clock that a test moves.
type hourglass struct{ at atomic.Int64 }

func (h *hourglass) now() time.Time       { return time.Unix(0, h.at.Load()) }
func (h *hourglass) pass(d time.Duration) { h.at.Add(int64(d)) }

func peerNumber(n int) netip.Prefix {
	return peerOf(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}))
}

// requireEmpty requires that all room was given back.
func requireEmpty(t *testing.T, r *room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Zero(t, r.used)
	require.Empty(t, r.bySource)
	require.Empty(t, r.byPeer)
	require.Empty(t, r.bodies)
}

// eventually polls for what other goroutines do.
func eventually(t *testing.T, holds func() bool) {
	require.Eventually(t, holds, time.Minute, time.Millisecond)
}

func waiters(r *room) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for h := range r.bodies {
		if h.waiting {
			n++
		}
	}
	return n
}

func TestReadWholeBodies(t *testing.T) {
	t.Parallel()
	s := New(Options{Logger: slog.New(slog.DiscardHandler)})
	source := &Source{Provider: receiver(t, "github"), name: "github", maxBody: 1 << 20}
	for _, size := range []int{0, 1, firstRead - 1, firstRead, firstRead + bytes.MinRead, firstRead + bytes.MinRead + 1, small, 2*small + 7, 1 << 20} {
		for _, length := range []int64{int64(size), -1} {
			text := strings.Repeat("x", size)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", io.NopCloser(strings.NewReader(text)))
			r.ContentLength = length
			body, release, err := s.read(httptest.NewRecorder(), r, source, peerNumber(1), time.Now())
			require.NoError(t, err, size)
			require.Equal(t, text, string(body))
			require.LessOrEqual(t, s.room.used, int64(size)*4, "room is taken for what has come")
			release()
			requireEmpty(t, s.room)
		}
	}
}

// TestRoomIsTakenAsBytesCome claims much and sends little.
func TestRoomIsTakenAsBytesCome(t *testing.T) {
	t.Parallel()
	s := New(Options{Logger: slog.New(slog.DiscardHandler)})
	source := &Source{Provider: receiver(t, "github"), name: "github", maxBody: 2 << 20}
	in, out := io.Pipe()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", in)
	r.ContentLength = 2 << 20
	var reading sync.WaitGroup
	reading.Go(func() {
		_, _, err := s.read(httptest.NewRecorder(), r, source, peerNumber(1), time.Now())
		refused, ok := errors.AsType[*refusal](err)
		if !ok || refused.reason != bodyUnreadable {
			t.Errorf("the body that broke off was answered %v", err)
		}
	})
	sent := 0
	for _, size := range []int{1, firstRead, 60 << 10, 400 << 10} {
		n, err := out.Write(make([]byte, size))
		require.NoError(t, err)
		sent += n
		s.room.mu.Lock()
		used := s.room.used
		s.room.mu.Unlock()
		require.LessOrEqual(t, used, int64(sent)*4+firstRead)
	}
	require.NoError(t, out.CloseWithError(io.ErrUnexpectedEOF))
	reading.Wait()
	requireEmpty(t, s.room)
}

// TestRoomHasShares sees that neither one peer nor one source takes all of it.
func TestRoomHasShares(t *testing.T) {
	t.Parallel()
	clock := &hourglass{}
	r := newRoom(clock.now)
	full, cancel := context.WithCancel(t.Context())
	cancel() // a body that has to wait is refused
	take := func(source string, peer int, size int64) (*held, error) {
		h := r.enter(source, peerNumber(peer), func() { t.Error("a body that is not slow was given up") })
		return h, h.grow(full, size)
	}
	var all []*held
	for peer := range 2 {
		h, err := take("a", peer, peerShare)
		require.NoError(t, err)
		all = append(all, h)
		h, err = take("a", peer, 1)
		require.ErrorIs(t, err, errNoRoom, "the share of peer %d", peer)
		h.release()
	}
	h, err := take("a", 7, 1)
	require.ErrorIs(t, err, errNoRoom, "the share of the source")
	h.release()
	for peer := range 2 {
		h, err := take("b", 2+peer, peerShare)
		require.NoError(t, err)
		all = append(all, h)
	}
	h, err = take("c", 8, 1)
	require.ErrorIs(t, err, errNoRoom, "all of it")
	h.release()
	for _, h := range all {
		h.release()
	}
	h, err = take("a", 1, 2*MaxHeld)
	require.NoError(t, err, "one body that is alone is never too large")
	h.release()
	requireEmpty(t, r)
}

// TestStalledBodiesGiveWay fills the room with bodies that have stalled: a
// genuine one takes their place at once.
func TestStalledBodiesGiveWay(t *testing.T) {
	t.Parallel()
	clock := &hourglass{}
	r := newRoom(clock.now)
	var stalled []*held
	for i := range 4 {
		var h *held
		h = r.enter(fmt.Sprint(i/2), peerNumber(i), func() {
			go h.release() // as its handler does, once its Read has failed
		})
		require.NoError(t, h.grow(t.Context(), peerShare))
		h.received.Store(int64(64<<10 + i))
		stalled = append(stalled, h)
	}
	clock.pass(fairRateAfter)
	genuine := r.enter("genuine", peerNumber(9), func() { t.Error("the genuine body was given up") })
	require.NoError(t, genuine.grow(t.Context(), 2<<20))
	require.ErrorIs(t, stalled[0].gaveUp, errNoRoom, "the slowest one")
	for _, h := range stalled[1:] {
		require.NoError(t, h.gaveUp, "no more than has to be is given up")
		require.NoError(t, h.finish())
		h.release()
	}
	genuine.release()
	requireEmpty(t, r)
}

// TestFastBodiesWait sees that a body waits for those that are as fast as it
// is, and that bodies which all wait for each other do not wait for ever.
func TestFastBodiesWait(t *testing.T) {
	t.Parallel()
	clock := &hourglass{}
	r := newRoom(clock.now)
	first := r.enter("a", peerNumber(1), func() { t.Error("given up") })
	second := r.enter("a", peerNumber(1), func() { t.Error("given up") })
	require.NoError(t, first.grow(t.Context(), peerShare-1<<20))
	require.NoError(t, second.grow(t.Context(), 1<<20))
	first.received.Store(peerShare - 1<<20)
	second.received.Store(1 << 20)
	clock.pass(fairRateAfter)

	var waiting sync.WaitGroup
	var err error
	waiting.Go(func() { err = second.grow(t.Context(), 2<<20) })
	eventually(t, func() bool { return waiters(r) == 1 })
	require.ErrorIs(t, first.grow(t.Context(), peerShare), errNoRoom, "all of them wait: the last one to come is refused")
	first.release()
	waiting.Wait()
	require.NoError(t, err)
	second.release()
	requireEmpty(t, r)
}

// TestSlowBodiesAreGivenUp holds the bodies of one room to the minimum rate.
func TestSlowBodiesAreGivenUp(t *testing.T) {
	t.Parallel()
	clock := &hourglass{}
	r := newRoom(clock.now)
	var gaveUp []string
	enter := func(name string, received int64) *held {
		h := r.enter(name, peerNumber(1), func() { gaveUp = append(gaveUp, name) })
		h.received.Store(received)
		return h
	}
	enter("stalled", firstRead)
	enter("fast enough", 3*minRate)
	done := enter("all there", firstRead)
	require.NoError(t, done.finish())
	clock.pass(minRateAfter)
	r.giveUpTooSlow()
	require.Empty(t, gaveUp, "a body has time to begin with")
	clock.pass(3 * time.Second)
	r.giveUpTooSlow()
	require.Empty(t, cmp.Diff([]string{"stalled"}, gaveUp))
	clock.pass(time.Second)
	r.giveUpTooSlow()
	r.giveUpTooSlow()
	require.Empty(t, cmp.Diff([]string{"stalled", "fast enough"}, gaveUp), "each one once")
	require.Equal(t, bodyTooSlow, refuseUnread(errTooSlow).reason)
	require.Equal(t, http.StatusServiceUnavailable, answers[bodyTooSlow].status, "it may be genuine")
}

// TestRoomUnderLoad has many bodies grow, wait, finish and break off at the same
// time, and holds the room to its bounds throughout.
func TestRoomUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRoom(time.Now)
	var bodies sync.WaitGroup
	for i := range 200 {
		bodies.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 20 {
				h := r.enter(fmt.Sprint(i%3), peerNumber(i%7), func() {})
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(20))*time.Millisecond)
				for size := int64(firstRead); size <= 2<<20 && random.IntN(8) > 0; size *= 2 {
					if h.grow(ctx, size) != nil {
						break
					}
					h.received.Store(size)
					r.mu.Lock()
					if r.used > MaxHeld || r.byPeer[h.peer] > peerShare || r.bySource[h.source] > sourceShare {
						t.Errorf("used %d, peer %d, source %d", r.used, r.byPeer[h.peer], r.bySource[h.source])
					}
					r.mu.Unlock()
				}
				cancel()
				_ = h.finish()
				h.release()
			}
		})
	}
	bodies.Wait()
	requireEmpty(t, r)
}
