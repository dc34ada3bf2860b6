package attempt

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// How many attempts to one endpoint a worker has under way at once. One that
// does not answer takes half a minute each time, and must not take the room of
// the others.
const (
	mostUnderWay        = 20
	mostUnderWayFailing = 2
)

// gates bound what one worker does for one endpoint at a time.
type gates struct {
	mu sync.Mutex
	by map[string]*gate
}

type gate struct {
	underWay int
	until    time.Time // nothing is sent before
	limiter  *rate.Limiter
}

// enter returns how long to wait before an attempt or, where that is 0, what to
// call after it.
func (g *gates) enter(e *endpoint.Endpoint, now time.Time) (leave func(), wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by == nil {
		g.by = map[string]*gate{}
	}
	one := g.by[e.ID]
	if one == nil {
		one = &gate{}
		g.by[e.ID] = one
	}
	most := mostUnderWay
	if e.Failures > 0 {
		most = mostUnderWayFailing
	}
	switch {
	case now.Before(one.until):
		return nil, one.until.Sub(now)
	case one.underWay >= most:
		return nil, 5 * time.Second
	}
	if e.PerSecond > 0 {
		if one.limiter == nil || one.limiter.Limit() != rate.Limit(e.PerSecond) {
			one.limiter = rate.NewLimiter(rate.Limit(e.PerSecond), 1)
		}
		if r := one.limiter.ReserveN(now, 1); r.DelayFrom(now) > 0 {
			wait := r.DelayFrom(now)
			r.CancelAt(now)
			return nil, max(wait, time.Second)
		}
	}
	one.underWay++
	return func() { g.leave(e.ID) }, 0
}

func (g *gates) leave(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.by[id]
	if one.underWay--; one.underWay == 0 && one.limiter == nil && one.until.IsZero() {
		delete(g.by, id)
	}
}

// holdOff has nothing sent to an endpoint for a while.
func (g *gates) holdOff(id string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if one := g.by[id]; one != nil && until.After(one.until) {
		one.until = until
	}
}
