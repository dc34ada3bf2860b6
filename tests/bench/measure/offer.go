package measure

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// offer is an open loop: new events come at a steady rate, whatever becomes of
// them, and what was not taken is sent again. Each second sender heeds
// Retry-After. The others come again after 5, 10, 20 and 40 s, which is sooner
// than any provider's own schedule.
type offer struct {
	factory *factory
	name    string
	post    func(context.Context, delivery) (reply, error)

	mu       sync.Mutex
	attempts []attempt
	due      redeliveries
	failed   error // of the benchmark itself
}

// attempt is one delivery, as its sender saw it.
type attempt struct {
	at    time.Time
	took  time.Duration
	reply reply // zero: none came in time
}

// offered is one event.
type offered struct {
	n     int
	again int // how often it has been sent
	due   time.Time
}

// redeliveries is a heap, the next one first.
type redeliveries []offered

// Len implements heap.Interface.
func (r *redeliveries) Len() int { return len(*r) }

// Less implements heap.Interface.
func (r *redeliveries) Less(i, j int) bool { return (*r)[i].due.Before((*r)[j].due) }

// Swap implements heap.Interface.
func (r *redeliveries) Swap(i, j int) { (*r)[i], (*r)[j] = (*r)[j], (*r)[i] }

// Push implements heap.Interface.
func (r *redeliveries) Push(x any) { *r = append(*r, x.(offered)) } //nolint:errcheck // nothing else is pushed

// Pop implements heap.Interface.
func (r *redeliveries) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// offerEvery is how often what is due is sent.
const offerEvery = 5 * time.Millisecond

// run offers so many events a second until the time is over, and waits for the
// last answers.
func (o *offer) run(ctx context.Context, perSecond float64, length time.Duration) error {
	began := time.Now()
	tick := time.NewTicker(offerEvery)
	defer tick.Stop()
	places := make(chan struct{}, maxSenders)
	var sending sync.WaitGroup
	defer sending.Wait()
	for next := 0; ; {
		now := time.Now()
		if now.Sub(began) >= length {
			break
		}
		var batch []offered
		for ; float64(next) < now.Sub(began).Seconds()*perSecond; next++ {
			batch = append(batch, offered{n: next})
		}
		for _, e := range append(batch, o.dueBy(now)...) {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			sending.Go(func() {
				defer func() { <-places }()
				o.send(ctx, e)
			})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	sending.Wait()
	return o.failed
}

func (o *offer) dueBy(now time.Time) (due []offered) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.due) > 0 && !o.due[0].due.After(now) {
		e, _ := heap.Pop(&o.due).(offered)
		due = append(due, e)
	}
	return due
}

// send sends an event, signed now, and says when to send it again.
func (o *offer) send(ctx context.Context, e offered) {
	d, err := o.factory.delivery(o.factory.prefix(o.name)+fmt.Sprint(e.n), usualBody)
	sent := time.Now()
	var r reply
	if err == nil {
		r, _ = o.post(ctx, d) // no answer is one of the outcomes
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attempts = append(o.attempts, attempt{sent, time.Since(sent), r})
	switch {
	case err != nil:
		o.failed = err
	case r.taken():
	case r.status != 0 && !r.refused():
		o.failed = fmt.Errorf("event %s: answered %d", d.id, r.status)
	default:
		e.due = time.Now().Add(comeAgain(e, r))
		e.again++
		heap.Push(&o.due, e)
	}
}

// comeAgain is how long the sender waits before it sends the event again.
func comeAgain(e offered, r reply) time.Duration {
	own := min(5*time.Second<<e.again, 40*time.Second)
	own += time.Duration(rand.Int64N(int64(own) / 4)) //nolint:gosec // no secret
	if e.n%2 == 0 && r.retryAfter > 0 {
		return r.retryAfter
	}
	return own
}

func (o *offer) accepted() (n int) {
	for _, a := range o.attempts {
		if a.reply.taken() {
			n++
		}
	}
	return n
}

// lastUnusual is when the last answer came that was no acceptance, or not as
// fast as usual.
func (o *offer) lastUnusual() time.Time {
	last := o.attempts[0].at
	for _, a := range o.attempts {
		if end := a.at.Add(a.took); (!a.reply.taken() || a.took > usual) && end.After(last) {
			last = end
		}
	}
	return last
}

func (o *offer) figures() (f LoadFigures) {
	var accepted, refused []time.Duration
	for _, a := range o.attempts {
		switch {
		case a.reply.taken():
			accepted = append(accepted, a.took)
		case a.reply.refused():
			refused = append(refused, a.took)
		default:
			f.Unanswered++
		}
	}
	f.Accepted, f.Refused = len(accepted), len(refused)
	f.AcceptedP50, f.AcceptedP99 = percentile(accepted, 500), percentile(accepted, 990)
	f.RefusedP50, f.RefusedP99 = percentile(refused, 500), percentile(refused, 990)
	return f
}
