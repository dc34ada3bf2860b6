package trial

import (
	"fmt"
	"time"
)

// Event is one event that the sender has, and how it sends it.
type Event struct {
	ID     string
	Source string        // and with it which Workflow runs
	At     time.Duration // when it is first sent
	// Again is how often it is delivered besides, as providers do that are
	// not sure: all at once with the first delivery if AtOnce is set, else
	// one after the other when it was acknowledged.
	Again  int
	AtOnce bool

	number uint64 // which part of the seed its deliveries are drawn from
}

// The sources. Each has another effect that can be counted.
const (
	payments = "payments" // Stripe's invoice.paid: a row in the ledger and a mail
	forwards = "forwards" // Standard Webhooks without code: forwarded downstream
	builds   = "builds"   // GitHub's push: a build, asked for downstream
)

// provider names the provider of a source, and the type of its events.
func provider(source string) (name, eventType string) {
	switch source {
	case payments:
		return "stripe", "invoice.paid"
	case builds:
		return "github", "push"
	default:
		return "standard-webhooks", "order.created"
	}
}

func newEvent(seed uint64, i int, at time.Duration) Event {
	e := Event{ID: fmt.Sprintf("evt_%d_%05d", seed, i), At: at, number: uint64(i) + 1} //nolint:gosec // i is a count
	r := draw(seed, e.number)
	switch n := r.IntN(10); {
	case n < 5:
		e.Source = payments
	case n < 8:
		e.Source = forwards
	default:
		e.Source = builds
	}
	switch r.IntN(20) {
	case 0:
		e.Again = 2 + r.IntN(6)
	case 1:
		e.Again, e.AtOnce = 4+r.IntN(16), true
	}
	return e
}

// WorkflowID is the Workflow Id that the event must have, of exactly one run.
func (e Event) WorkflowID() string { return e.Source + ":" + e.ID }

// Key is the idempotency key under which a step of the event's Workflow acts.
func (e Event) Key(step string) string { return e.WorkflowID() + ":" + step }

// body is what is sent of an event. The blanks and the number's zero are what
// a receiver loses that parses a payload and writes it anew.
func (e Event) body(sample []byte) []byte {
	if e.Source == forwards {
		return fmt.Appendf(nil, "{ \"type\" : \"order.created\",\t\"total\": 1.0, \"order\": %q }", e.ID)
	}
	return sample
}
