package ingest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// store is a Temporal that takes so long for a start, and works on so many at
// once: more only wait for each other.
type store struct {
	takes time.Duration
	lanes int
}

func (s store) lasts(running int) time.Duration {
	return s.takes * time.Duration(max(running, s.lanes)) / time.Duration(s.lanes)
}

// offerTo has as many starts run as the limit allows, for so long, and returns
// how many ended in a second. fail says how many in a hundred take too long.
func offerTo(l *limit, s store, now *time.Time, length time.Duration, random *rand.Rand, fail int) float64 {
	ended := 0
	began := *now
	for now.Sub(began) < length {
		running := l.starts()
		l.running(running)
		started := *now
		*now = now.Add(s.lasts(running))
		for range running {
			l.done(*now, started, random.IntN(100) < fail)
		}
		ended += running
	}
	return float64(ended) / now.Sub(began).Seconds()
}

// TestLimit holds the limit against stores of all kinds: it never leaves its
// bounds, uses the most of what the store can do, does not make starts wait for
// each other much longer than they must, and recovers from any trouble.
func TestLimit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		s := store{takes: time.Duration(5+random.IntN(100)) * time.Millisecond, lanes: 1 + random.IntN(100)}
		now := time.Unix(0, 0)
		l := newLimit(now)
		offerTo(&l, s, &now, 20*time.Second, random, 0)
		capacity := float64(s.lanes) / s.takes.Seconds()
		reached := offerTo(&l, s, &now, time.Minute, random, 0)
		require.Greater(t, reached, 0.8*capacity, "%+v", s)
		slow := slowerBy*s.lasts(leastStarts) + slowerSlack
		require.LessOrEqual(t, s.lasts(l.starts()), slow*3/2, "%+v: %d at once", s, l.starts())

		offerTo(&l, s, &now, 10*time.Second, random, random.IntN(101)) // trouble
		require.GreaterOrEqual(t, l.starts(), leastStarts)
		require.LessOrEqual(t, l.starts(), mostStarts)

		slower := store{takes: 3 * s.takes, lanes: s.lanes}
		offerTo(&l, slower, &now, 2*bestFor, random, 0) // it stays slower
		require.Greater(t, offerTo(&l, slower, &now, time.Minute, random, 0), 0.8*capacity/3, "%+v: what a start costs is found out anew", slower)
	}
}

func TestLimitFallsInTrouble(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := newLimit(now)
	offerTo(&l, store{10 * time.Millisecond, 1000}, &now, 10*time.Second, rand.New(rand.NewPCG(1, 2)), 0)
	require.Equal(t, mostStarts, l.starts(), "as long as starts are not slower for it")
	l.done(now, now, true)
	l.done(now, now, true)
	require.Equal(t, mostStarts/2, l.starts(), "once for what all meet")
	l.running(mostStarts)
	l.done(now.Add(windowLeast), now.Add(windowLeast), false)
	require.Equal(t, mostStarts/2, l.starts(), "fast ones beside them do not raise it")
}

// TestLimitFaster sees that a store that becomes faster is not loaded as the slow
// one could be.
func TestLimitFaster(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Unix(0, 0)
	l := newLimit(now)
	offerTo(&l, store{100 * time.Millisecond, 1}, &now, 2*time.Second, random, 0)
	fast := store{5 * time.Millisecond, 1}
	offerTo(&l, fast, &now, bestFor/2, random, 0)
	require.LessOrEqual(t, fast.lasts(l.starts()), 100*time.Millisecond, "%d at once", l.starts())
}

// TestLimitIdle sees that what nobody uses does not grow.
func TestLimitIdle(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := newLimit(now)
	for range 1000 {
		l.running(1)
		started := now
		now = now.Add(5 * time.Millisecond)
		l.done(now, started, false)
	}
	require.LessOrEqual(t, l.starts(), firstStarts)
}
