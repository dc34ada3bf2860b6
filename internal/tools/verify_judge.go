package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hookyard/hookyard/ingest/provider"
)

// verdict is what the edge would make of a delivery.
type verdict struct {
	refused error // why it is not taken for genuine; nil if it is
	// answer is what the provider is told: to a handshake, or where it wants
	// a certain answer. Nil where any will do.
	answer *provider.Answer
	// events are named in a refused delivery, too: that is how a person
	// finds it at the provider.
	events  []provider.Identity
	unnamed error // why none could be named
}

// What refuses a delivery before, or besides, its signature.
var (
	errMethod   = errors.New("method not taken")
	errRebuffed = errors.New("handshake refused")
)

// judgeDelivery goes the way of the edge (see ingest) as far as a provider
// leads it.
func judgeDelivery(ctx context.Context, r *provider.Receiver, d *provider.Delivery) verdict {
	var v verdict
	v.events, v.unnamed = r.Identify(d)
	var done bool
	if v.answer, done, v.refused = greet(ctx, r, d, false); done {
		return v
	}
	if !r.Delivers(d.Method) {
		v.refused = fmt.Errorf("%w: %q; want %s", errMethod, d.Method, strings.Join(r.Methods(), ", "))
		return v
	}
	if v.refused = r.Verify(ctx, d); v.refused != nil {
		v.answer = r.Refused()
		return v
	}
	if v.answer, done, v.refused = greet(ctx, r, d, true); done {
		return v
	}
	if v.unnamed == nil {
		v.answer = r.Success(d)
	}
	return v
}

// greet answers a handshake; done is false where d is none.
func greet(ctx context.Context, r *provider.Receiver, d *provider.Delivery, verified bool) (answer *provider.Answer, done bool, refused error) {
	answer, err := r.Greet(ctx, d, verified)
	switch {
	case err != nil:
		return r.Refused(), true, err
	case answer != nil && answer.Refused:
		return answer, true, fmt.Errorf("%w: it does not hold what the source's options say", errRebuffed)
	default:
		return answer, answer != nil, nil
	}
}

// reason is a short stable word, "" for a delivery that becomes an event.
func (v verdict) reason() string {
	switch {
	case v.refused == nil && v.answer != nil:
		return ""
	case v.refused == nil:
		return provider.Reason(v.unnamed)
	case errors.Is(v.refused, errMethod):
		return "method"
	case errors.Is(v.refused, errRebuffed):
		return "handshake-refused"
	default:
		return cmp.Or(provider.Reason(v.refused), "undecided")
	}
}
