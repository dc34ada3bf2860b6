// Package provider knows how each webhook sender signs, names and greets.
//
// A Provider is read from a YAML file of the catalog (see Spec for the
// format). Bound to an operator's secrets it becomes a Receiver, which
// verifies a Delivery, answers its handshakes and names the events in it. A
// scheme that the file format cannot describe is a Go type behind Scheme.
package provider

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Delivery is one HTTP request as it came. Nothing in it is to be trusted
// before a Receiver has verified it.
type Delivery struct {
	// Method is the HTTP method.
	Method string
	// URL is the public URL as the provider knows it, query included.
	// Providers that sign it sign exactly this text.
	URL string
	// Header holds the request's headers under their canonical names.
	Header http.Header
	// Body is the raw body. It is never changed.
	Body []byte
	// ReceivedAt is the clock that timestamps are held against.
	ReceivedAt time.Time
}

// Provider is one sender's conventions. It is immutable.
type Provider struct {
	spec       Spec
	scheme     Scheme
	ids        []source
	types      []source
	handshakes []handshake
	samples    map[string][]byte
}

// Scheme is how a provider signs.
type Scheme interface {
	// Bind prepares the scheme for an operator's secrets, any of which may
	// match; the first one signs. A tolerance of 0 means the provider's
	// own. The error names a secret by its place (1 is the first), never by
	// its value.
	Bind(secrets []string, tolerance time.Duration) (Verifier, error)
}

// Verifier decides whether a Delivery is what the provider signed. The error
// wraps one of the sentinel errors of this package (see Reason).
type Verifier interface {
	Verify(ctx context.Context, d *Delivery) error
}

// Signer is a Verifier that can also sign as the provider would, because it
// holds the key for it.
type Signer interface {
	// Sign sets the headers that make d verify at d.ReceivedAt.
	Sign(d *Delivery) error
}

// Explainer is a Verifier that can show what a signature is computed over.
type Explainer interface {
	// SignedContent returns the bytes that the provider signs for d. They
	// never hold a secret.
	SignedContent(d *Delivery) ([]byte, error)
}

// Name is the provider's name in the catalog ("stripe").
func (p *Provider) Name() string { return p.spec.Name }

// Docs is the address of the provider's own page about its webhooks.
func (p *Provider) Docs() string { return p.spec.Docs }

// RedeliveryWindow is how long after the first attempt the provider may still
// send an event again. A namespace has to keep closed runs at least as long,
// or a late redelivery starts a second run. 0 where the provider never does.
func (p *Provider) RedeliveryWindow() time.Duration { return time.Duration(p.spec.Retries.For) }

// AcknowledgeWithin is how long the provider waits for an answer before it
// counts the delivery as failed. 0 where that is not known.
func (p *Provider) AcknowledgeWithin() time.Duration {
	return time.Duration(p.spec.Retries.AcknowledgeWithin)
}

// Receiver is a Provider bound to one source's secrets. It is immutable and
// safe for concurrent use.
type Receiver struct {
	*Provider
	verifier Verifier
}

// Bind returns a Receiver for the given secrets. See Scheme.Bind.
func (p *Provider) Bind(secrets []string, tolerance time.Duration) (*Receiver, error) {
	v, err := p.scheme.Bind(secrets, tolerance)
	if err != nil {
		return nil, err
	}
	return &Receiver{Provider: p, verifier: v}, nil
}

// Verify returns nil if the provider signed d, else an error that wraps one of
// the sentinel errors of this package.
func (r *Receiver) Verify(ctx context.Context, d *Delivery) error { return r.verifier.Verify(ctx, d) }

// Methods lists the HTTP methods that deliveries and handshakes come by.
func (r *Receiver) Methods() []string {
	methods := []string{http.MethodPost}
	for _, h := range r.handshakes {
		if !slices.Contains(methods, h.method) {
			methods = append(methods, h.method)
		}
	}
	return methods
}
