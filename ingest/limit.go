package ingest

import (
	"math"
	"slices"
	"time"
)

const (
	// leastStarts and mostStarts bound how many starts run at once, and
	// firstStarts is how many may before anything is known. Two are needed, so
	// that one slow start does not stop all others.
	leastStarts, firstStarts, mostStarts = 2, 8, 256
	// Starts are slow when their median is more than slowerBy times the best
	// median, plus slowerSlack.
	slowerBy    = 2
	slowerSlack = 10 * time.Millisecond
	// A window of starts ends with windowStarts of them, but not before
	// windowLeast has passed. The limit changes at its end.
	windowStarts = 8
	windowLeast  = 100 * time.Millisecond
	// bestFor is the time after which the best median is measured again, in a
	// window with leastStarts at once: the duration of a start that does not wait
	// for others.
	bestFor = 30 * time.Second
)

// limit is how many starts may run at once. It rises while starts are about as
// fast as the best ones were. It falls when they are slower: they then wait for
// each other inside Temporal, and one more makes all of them wait longer.
//
// A worker that shares the machine or Temporal's database makes starts slower, so
// the limit falls until the worker has its share.
type limit struct {
	current float64
	best    time.Duration // the best median; 0 for none
	bestAt  time.Time
	probing bool // measuring the best median again

	// The window.
	began  time.Time
	took   []time.Duration // of its starts
	peak   int             // the most starts that ran at once
	cutoff bool            // a start was overloaded
}

func newLimit(now time.Time) limit {
	return limit{current: firstStarts, probing: true, bestAt: now, began: now}
}

// starts is the limit as a number of starts.
func (l *limit) starts() int {
	if l.probing {
		return leastStarts
	}
	return int(l.current)
}

// running records how many starts run after one more has begun.
func (l *limit) running(n int) { l.peak = max(l.peak, n) }

// done records the end of a start. overloaded means that Temporal did not answer
// in time, or answered that it has too much to do.
func (l *limit) done(now, started time.Time, overloaded bool) {
	if overloaded {
		if !l.cutoff { // once in a window: all that run meet the same trouble
			l.current = max(l.current/2, leastStarts)
			l.cutoff = true
		}
	} else if !l.probing || !started.Before(l.began) {
		l.took = append(l.took, now.Sub(started))
	}
	enough := windowStarts
	if l.probing {
		enough = 2 * leastStarts
	}
	if len(l.took) < enough && !l.cutoff || now.Sub(l.began) < windowLeast {
		return
	}
	l.adjust(now)
}

// adjust ends a window.
func (l *limit) adjust(now time.Time) {
	median := time.Duration(math.MaxInt64)
	if len(l.took) > 0 {
		slices.Sort(l.took)
		median = l.took[len(l.took)/2]
	}
	switch {
	case len(l.took) == 0 || l.cutoff:
	case l.probing:
		l.best, l.bestAt, l.probing = median, now, false
	default:
		if l.best == 0 || median < l.best {
			l.best, l.bestAt = median, now
		}
		if slow := slowerBy*l.best + slowerSlack; median > slow {
			l.current = max(l.current*max(0.5, float64(slow)/float64(median)), leastStarts)
		} else if l.peak >= int(l.current) {
			l.current = min(l.current+math.Sqrt(l.current)/2, mostStarts)
		}
		l.probing = now.Sub(l.bestAt) >= bestFor
	}
	l.began, l.took, l.peak, l.cutoff = now, l.took[:0], 0, false
}
