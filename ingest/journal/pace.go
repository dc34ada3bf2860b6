package journal

import (
	"slices"
	"time"
)

// pace decides how many starts are under way at once. It adds one each second in
// which all were used and none failed, and halves on a start that Temporal
// throttled or did not answer in time, or when the slowest starts take twice as
// long as they do at best: more at once would then wait in Temporal and take from
// live events.
type pace struct {
	most   int
	limit  int
	window time.Time // since when the second below is measured
	took   []time.Duration
	full   bool // all places were taken at some time
	normal time.Duration
	away   time.Time // no start before; zero while Temporal answers
	waits  time.Duration
}

const (
	firstLimit = 4
	// slowFrom is below what a doubled time says nothing of load.
	slowFrom = 300 * time.Millisecond
	// firstWait and maxWait bound the time between two tries while Temporal is
	// away.
	firstWait = 500 * time.Millisecond
	maxWait   = 5 * time.Second
)

func newPace(most int) *pace { return &pace{most: most, limit: min(firstLimit, most)} }

// free returns how many more may start now.
func (p *pace) free(inFlight int, now time.Time) int {
	switch {
	case now.Before(p.away):
		return 0
	case !p.away.IsZero():
		return max(0, 1-inFlight) // one finds out whether Temporal is back
	}
	if inFlight >= p.limit {
		p.full = true
	}
	return max(0, p.limit-inFlight)
}

// started notes a start that Temporal answered.
func (p *pace) started(took time.Duration, now time.Time) {
	p.away, p.waits = time.Time{}, 0
	p.took = append(p.took, took)
	if p.window.IsZero() {
		p.window = now
	}
	if now.Sub(p.window) < time.Second {
		return
	}
	slices.Sort(p.took)
	slowest := p.took[len(p.took)*99/100]
	switch {
	case p.normal == 0 || slowest < p.normal:
		p.normal = slowest
	default:
		p.normal += (slowest - p.normal) / 50 // what is normal may change for good
	}
	switch {
	case slowest > max(2*p.normal, slowFrom):
		p.limit = max(1, p.limit/2)
	case p.full:
		p.limit = min(p.most, p.limit+1)
	}
	p.window, p.took, p.full = now, p.took[:0], false
}

// failed notes a start that Temporal did not take.
func (p *pace) failed(now time.Time) {
	if now.Before(p.away) {
		return // one of those that were under way together
	}
	p.limit = max(1, p.limit/2)
	p.waits = min(maxWait, max(firstWait, 2*p.waits))
	p.away = now.Add(p.waits)
	p.window, p.took, p.full = time.Time{}, p.took[:0], false
}
