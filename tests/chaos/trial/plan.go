package trial

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is what a fault does.
type Kind string

// The kinds of faults, with what each is done to.
const (
	Kill      Kind = "kill -9"    // a process
	Cut       Kind = "cut"        // a link: connections are closed and refused
	Latency   Kind = "latency"    // a link: each packet is delayed
	HalfOpen  Kind = "half-open"  // a link: connections stay, and nothing passes
	ClockSkew Kind = "clock skew" // the sender's clock, and with it what it signs
	DiskFull  Kind = "disk full"  // the ledger
	ReadOnly  Kind = "read-only"  // the ledger
	Slow      Kind = "slow"       // the downstream service
	Flaky     Kind = "flaky"      // the downstream service: errors, cut connections
	Garbage   Kind = "garbage"    // the downstream service: answers that are none
)

// Fault is one thing that goes wrong, and later goes right again.
type Fault struct {
	Kind   Kind          `json:"kind"`
	Target string        `json:"target"`           // a process, a link, or what else is hurt
	At     time.Duration `json:"at_ns"`            // after the first delivery
	For    time.Duration `json:"for_ns"`           // how long it lasts
	Amount time.Duration `json:"amount,omitempty"` // of latency or clock skew
}

func (f Fault) String() string {
	text := fmt.Sprintf("%s %s for %s", f.Kind, f.Target, f.For.Round(100*time.Millisecond))
	if f.Amount != 0 {
		text += " by " + f.Amount.String()
	}
	return text
}

// Plan is all that a seed decides.
type Plan struct {
	Seed     uint64
	Journal  bool          // each source has a journal
	Duration time.Duration // in which the events are first sent, and the faults happen
	Faults   []Fault       // by time
	Events   []Event       // by time
}

// The parts of the system that is tested.
const (
	edges   = 2
	workers = 2

	temporalName   = "temporal"
	databaseName   = "database"
	downstreamName = "downstream"
	senderName     = "sender"
	ledgerName     = "ledger"
)

func edgeName(i int) string   { return fmt.Sprintf("edge-%d", i+1) }
func workerName(i int) string { return fmt.Sprintf("worker-%d", i+1) }

// link names the connections from one part to another.
func link(from, to string) string { return from + "->" + to }

// links lists the connections that faults may hit. The database's are there
// only where Temporal and the ledger are on one.
func links(onPostgres bool) []string {
	var all []string
	for i := range edges {
		all = append(all, link(senderName, edgeName(i)), link(edgeName(i), temporalName))
	}
	for i := range workers {
		all = append(all, link(workerName(i), temporalName), link(workerName(i), downstreamName))
		if onPostgres {
			all = append(all, link(workerName(i), databaseName))
		}
	}
	if onPostgres {
		all = append(all, link(temporalName, databaseName))
	}
	return all
}

// NewPlan draws a plan from the seed. Every plan has at least one fault of
// each kind, kills of each kind of process, and the more of them the longer it
// lasts.
func NewPlan(seed uint64, events int, duration time.Duration, onPostgres bool) Plan {
	r := draw(seed, 0)
	p := Plan{Seed: seed, Duration: duration}
	killed := [][]string{{edgeName(0), edgeName(1)}, {workerName(0), workerName(1)}, {temporalName}}
	draws := []func(){}
	add := func(kind Kind, targets ...string) {
		draws = append(draws, func() { p.add(r, kind, targets) })
	}
	for _, targets := range killed {
		add(Kill, targets...)
	}
	add(ClockSkew, senderName)
	for _, kind := range []Kind{Cut, Latency, HalfOpen} {
		add(kind, links(onPostgres)...)
	}
	for _, kind := range []Kind{DiskFull, ReadOnly} {
		add(kind, ledgerName)
	}
	for _, kind := range []Kind{Slow, Flaky, Garbage} {
		add(kind, downstreamName)
	}
	each := len(draws)
	for range int(duration / (4 * time.Second)) {
		// Half of those that a longer plan has are kills.
		if r.IntN(2) == 0 {
			add(Kill, killed[r.IntN(len(killed))]...)
		} else {
			draws = append(draws, draws[len(killed)+r.IntN(each-len(killed))])
		}
	}
	for _, draw := range draws {
		draw()
	}
	slices.SortFunc(p.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Target, b.Target))
	})
	for i := range events {
		p.Events = append(p.Events, newEvent(seed, i, duration*time.Duration(i)/time.Duration(events)))
	}
	return p
}

// The burst of NewBurst, as parts of its duration.
const (
	burstPart = 6  // the events are first sent within a sixth of it
	burstKill = 10 // so often is an edge killed
)

// NewBurst is a plan for sources with a journal: all events come in a burst,
// Temporal is away from the beginning for the whole duration, and meanwhile the
// edges are killed, ten times in all.
func NewBurst(seed uint64, events int, duration time.Duration) Plan {
	r := draw(seed, 0)
	p := Plan{Seed: seed, Journal: true, Duration: duration}
	p.Faults = append(p.Faults, Fault{Kind: Kill, Target: temporalName, For: duration})
	for i := range burstKill {
		slot := duration * 9 / 10 / burstKill
		p.Faults = append(p.Faults, Fault{
			Kind: Kill, Target: edgeName(i % edges),
			At:  (slot*time.Duration(i) + between(r, slot/4, slot/2)).Round(time.Millisecond),
			For: min(slot/2, between(r, 200*time.Millisecond, 2*time.Second)).Round(time.Millisecond),
		})
	}
	for i := range events {
		p.Events = append(p.Events, newEvent(seed, i, duration/burstPart*time.Duration(i)/time.Duration(events)))
	}
	return p
}

// draw returns the random numbers of one part of the plan, so that one more
// number drawn in a part does not change the others.
func draw(seed, part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, part)) //nolint:gosec // it is to be repeatable
}

// add draws a fault for one of the targets, at a time when nothing else is
// wrong with it. Where time is short, the fault gets shorter, and where there
// is none at all, it is left out.
func (p *Plan) add(r *rand.Rand, kind Kind, targets []string) {
	const tries, shorten = 200, 20
	for try := range tries {
		f := Fault{
			Kind:   kind,
			Target: targets[r.IntN(len(targets))],
			At:     between(r, p.Duration/20, p.Duration*9/10).Round(time.Millisecond),
		}
		f.For, f.Amount = extent(r, kind)
		f.For = (min(f.For, p.Duration/4) >> (try / shorten)).Round(time.Millisecond)
		if !slices.ContainsFunc(p.Faults, f.collides) {
			p.Faults = append(p.Faults, f)
			return
		}
	}
}

// extent draws how long a fault lasts, and how much of it there is.
func extent(r *rand.Rand, kind Kind) (length, amount time.Duration) {
	switch kind {
	case Kill:
		return between(r, 200*time.Millisecond, 3*time.Second), 0
	case Cut:
		return between(r, 500*time.Millisecond, 5*time.Second), 0
	case Latency:
		return between(r, 2*time.Second, 6*time.Second), between(r, 50*time.Millisecond, 500*time.Millisecond).Round(time.Millisecond)
	case ClockSkew:
		// Some of it is within the tolerance of five minutes.
		skew := between(r, time.Minute, 15*time.Minute).Round(time.Second)
		if r.IntN(2) == 0 {
			skew = -skew
		}
		return between(r, 2*time.Second, 6*time.Second), skew
	default:
		return between(r, 2*time.Second, 7*time.Second), 0
	}
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}

// collides reports whether both hurt the same target without a pause.
func (f Fault) collides(other Fault) bool {
	const pause = time.Second
	return f.Target == other.Target && f.At < other.At+other.For+pause && other.At < f.At+f.For+pause
}

// Kills counts the processes that the plan kills.
func (p *Plan) Kills() int {
	n := 0
	for _, f := range p.Faults {
		if f.Kind == Kill {
			n++
		}
	}
	return n
}
