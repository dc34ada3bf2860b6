package ingest

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What an edge keeps of bodies in memory, in bytes.
const (
	// MaxHeld is how much room there is for bodies, all together. The first
	// firstRead bytes of a body need none: MaxConnections bounds those.
	MaxHeld = 32 << 20
	// sourceShare and peerShare are how much of it the bodies of one source
	// and of one peer take. A single body may take more.
	sourceShare = MaxHeld / 2
	peerShare   = MaxHeld / 4
	firstRead   = 4 << 10
)

// How fast a body has to come, in bytes per second. Time in which it waits for
// room does not count.
const (
	// minRate is for all bodies that take room, after the first minRateAfter.
	minRate      = 32 << 10
	minRateAfter = 2 * time.Second
	// fairRate is for when room runs out: the slowest body below it is given up,
	// once it has taken fairRateAfter.
	fairRate      = 256 << 10
	fairRateAfter = time.Second
	// sweepEvery is how often bodies that are too slow are looked for.
	sweepEvery = 500 * time.Millisecond
)

var (
	errNoRoom  = errors.New("there is no room for the body, and others are faster")
	errTooSlow = errors.New("the body comes too slowly")
)

// room bounds the memory that bodies take. A body takes room as its bytes come,
// and not for what it claims to be. Where there is none left, a body waits
// while others finish, and the slowest one is given up.
type room struct {
	now func() time.Time

	mu        sync.Mutex
	used      int64
	bySource  map[string]int64
	byPeer    map[netip.Prefix]int64
	bodies    map[*held]struct{}
	givenBack chan struct{} // closed when room is given back
}

// held is the room that one body takes. Its fields are the room's to change,
// under its lock; received is not.
type held struct {
	room     *room
	source   string
	peer     netip.Prefix
	size     int64
	received atomic.Int64
	started  time.Time
	waited   time.Duration
	waiting  bool
	complete bool   // all of it has come
	gaveUp   error  // why it is given up; nil while it is not
	giveUp   func() // has its Read fail
}

func newRoom(now func() time.Time) *room {
	return &room{
		now: now, bySource: map[string]int64{}, byPeer: map[netip.Prefix]int64{}, bodies: map[*held]struct{}{}, givenBack: make(chan struct{}),
	}
}

// enter begins a body that needs room. giveUp is called at most once, with the
// room locked, and never after finish.
func (r *room) enter(source string, peer netip.Prefix, giveUp func()) *held {
	h := &held{room: r, source: source, peer: peer, started: r.now(), giveUp: giveUp}
	r.mu.Lock()
	r.bodies[h] = struct{}{}
	r.mu.Unlock()
	return h
}

// growNow takes room until h has size bytes of it, if that needs no waiting.
func (h *held) growNow(size int64) bool {
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	if _, fits := h.room.rivals(h, size-h.size); !fits || h.gaveUp != nil {
		return false
	}
	h.room.take(h, size-h.size)
	return true
}

// grow takes room until h has size bytes of it. It waits until ctx ends.
func (h *held) grow(ctx context.Context, size int64) error {
	r := h.room
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if h.gaveUp != nil {
			return h.gaveUp
		}
		rivals, fits := r.rivals(h, size-h.size)
		if fits {
			r.take(h, size-h.size)
			return nil
		}
		if !r.giveUpSlowest(rivals) && !r.progresses(h, rivals) {
			return errNoRoom // all of them wait for each other
		}
		if err := r.wait(ctx, h); err != nil {
			return errors.Join(errNoRoom, err)
		}
	}
}

// wait unlocks the room until some of it is given back.
func (r *room) wait(ctx context.Context, h *held) error {
	givenBack, began := r.givenBack, r.now()
	h.waiting = true
	r.mu.Unlock()
	var err error
	select {
	case <-givenBack:
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.mu.Lock()
	h.waiting = false
	h.waited += r.now().Sub(began)
	return err
}

// rivals reports whether more bytes fit, and else returns which bodies have
// what is missing: those of the same peer, of the same source, or all.
func (r *room) rivals(h *held, more int64) (rivals func(*held) bool, fits bool) {
	switch {
	case h.exceeds(r.byPeer[h.peer]+more, peerShare, more):
		return func(other *held) bool { return other.peer == h.peer }, false
	case h.exceeds(r.bySource[h.source]+more, sourceShare, more):
		return func(other *held) bool { return other.source == h.source }, false
	case h.exceeds(r.used+more, MaxHeld, more):
		return func(*held) bool { return true }, false
	}
	return nil, true
}

// exceeds reports whether a sum that h is a part of is above its limit. A body
// that is the whole sum is never too large.
func (h *held) exceeds(sum, limit, more int64) bool { return sum > limit && sum > h.size+more }

func (r *room) take(h *held, more int64) {
	h.size += more
	r.used += more
	r.bySource[h.source] += more
	r.byPeer[h.peer] += more
}

// giveUpSlowest gives up the slowest of the rivals, if one is slow. It reports
// whether room will be given back for that.
func (r *room) giveUpSlowest(rivals func(*held) bool) bool {
	now := r.now()
	var slowestBody *held
	slowestRate := float64(fairRate)
	for other := range r.bodies {
		if other.complete || other.waiting || !rivals(other) {
			continue
		}
		if other.gaveUp != nil {
			return true // it has not noticed yet
		}
		if age := other.age(now); age >= fairRateAfter {
			if bytesPerSecond := float64(other.received.Load()) / age.Seconds(); bytesPerSecond < slowestRate {
				slowestBody, slowestRate = other, bytesPerSecond
			}
		}
	}
	if slowestBody == nil {
		return false
	}
	slowestBody.gaveUp = errNoRoom
	slowestBody.giveUp()
	return true
}

// progresses reports whether one of the rivals is still coming, or being
// started: then it gives its room back.
func (r *room) progresses(h *held, rivals func(*held) bool) bool {
	for other := range r.bodies {
		if other != h && !other.waiting && rivals(other) {
			return true
		}
	}
	return false
}

// age is for how long the body has been coming.
func (h *held) age(now time.Time) time.Duration { return now.Sub(h.started) - h.waited }

// finish notes that all of the body has come, or why it is given up.
func (h *held) finish() error {
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	h.complete = true
	return h.gaveUp
}

// shrink gives back what a larger buffer has replaced.
func (h *held) shrink(size int64) {
	r := h.room
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(h, size-h.size)
	r.wake()
}

// wake has those that wait for room look again.
func (r *room) wake() {
	close(r.givenBack)
	r.givenBack = make(chan struct{})
}

// release gives the room back.
func (h *held) release() {
	r := h.room
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.bodies, h)
	r.used -= h.size
	give(r.bySource, h.source, h.size)
	give(r.byPeer, h.peer, h.size)
	r.wake()
}

func give[K comparable](used map[K]int64, key K, size int64) {
	if used[key] -= size; used[key] == 0 {
		delete(used, key)
	}
}

// sweep gives up the bodies that come too slowly, until ctx ends.
func (r *room) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.giveUpTooSlow()
		}
	}
}

func (r *room) giveUpTooSlow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for h := range r.bodies {
		if h.complete || h.waiting || h.gaveUp != nil {
			continue
		}
		if needed := float64(minRate) * (h.age(now) - minRateAfter).Seconds(); float64(h.received.Load()) < needed {
			h.gaveUp = errTooSlow
			h.giveUp()
		}
	}
}
