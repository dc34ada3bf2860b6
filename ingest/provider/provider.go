// Package provider knows how each webhook sender signs its deliveries, names
// its events and proves who owns an endpoint.
//
// A Provider is read from a YAML file of a Catalog (see Spec for the format).
// Bound to an operator's secrets it becomes a Receiver, which verifies a
// Delivery, answers its handshakes and identifies the events in it.
//
// A signature that the file format cannot describe is a Go type that
// implements Scheme. A team adds its own with Catalog.AddSchemes, and names it
// in a provider file under signature.scheme.
package provider

import (
	"context"
	"net/http"
	"net/netip"
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
	// From is the address of the peer; the zero Addr where it is not known.
	From netip.Addr
	// ReceivedAt is the clock that timestamps are held against.
	ReceivedAt time.Time
}

// Provider is one sender's conventions. It is immutable.
type Provider struct {
	spec    Spec
	scheme  Scheme
	ids     []lookup
	itemIDs []lookup // those of ids that look into the item
	types   []lookup
	// typeOutside: the type may stand in a header or the URL
	typeOutside bool
	each        *batch // nil where a delivery is one event
	handshakes  []handshake
	successes   []success
	refused     *answer // nil where any will do
	unsignedID  bool
	samples     map[string][]byte
	schemes     map[string]Scheme // that a configured part may name
	sensitive   []string          // see SensitiveHeaders
	reconcile   *reconcile        // nil where the file does not say how
}

// Scheme is how a provider signs. One Scheme serves all sources of a program,
// so it holds nothing of a single source: that is what Bind returns.
//
// The Verifier that Bind returns may implement these as well, each of them
// optional:
//
//   - Signer, so that `send` and tests can sign as the provider does
//   - Explainer, so that `verify` can show what is signed
//   - Greeter, to answer handshakes that a file cannot describe
//   - Identifier, to name events that a file cannot describe
//
// The headers in which the scheme looks for signatures and secrets are named in
// the provider file, under signature.header (see Provider.SensitiveHeaders).
type Scheme interface {
	// Bind prepares the scheme for one source. It checks the secrets and
	// options there and then, because that is what `check` and a start
	// report. The error names a secret by its place (1 is the first), never
	// by its value. Bind is called without secrets as well, to find out
	// whether the scheme needs one.
	Bind(b Binding) (Verifier, error)
}

// Binding is what one source gives to a scheme.
type Binding struct {
	// Secrets are in the operator's order. Each of them may match; the first
	// one signs.
	Secrets []string
	// Tolerance is how far a signed time may be from the clock, on either
	// side. 0 means the provider's own tolerance.
	Tolerance time.Duration
	// Options are those that the provider file declares (see OptionSpec), by
	// name, with defaults filled in. The values of a list are separated by
	// single blanks.
	Options map[string]string
	// Fetch gets certificates and keys. Nil means over the network.
	Fetch Fetcher
	// Whole keeps a delivery that carries several events as one event, whose
	// id is the body's hash. A scheme does not look at it.
	Whole bool
	// ReplayGuard makes the hash of what is signed the id of an event whose
	// own id is not signed (see UnsignedID). A scheme does not look at it.
	ReplayGuard bool
}

// Fetcher gets a small document over https. The scheme decides which hosts and
// paths may be asked, before it fetches: the URL often stands in a delivery
// that is not verified yet.
type Fetcher interface {
	// Fetch returns the body of a 200 answer to a GET.
	Fetch(ctx context.Context, url string) ([]byte, error)
}

// Verifier decides whether the provider signed a Delivery.
type Verifier interface {
	// Verify returns nil if it did. Otherwise the error wraps one of this
	// package's sentinels, and the sender is told that the delivery is
	// refused: ErrUnsigned, ErrMalformed, ErrMismatch or ErrStale. An error
	// that wraps none of them says nothing about the delivery (a key could
	// not be fetched), and the sender is asked to send it again.
	//
	// Verify is called concurrently, with bytes of strangers. It compares
	// secrets in constant time, checks the signature before the clock, never
	// changes d, and puts no secret into an error.
	Verify(ctx context.Context, d *Delivery) error
}

// Signer is a Verifier that can also sign as the provider does, because it
// holds the key for it.
type Signer interface {
	// Sign sets the headers of d, or the part of its body, that make d
	// verify at d.ReceivedAt.
	Sign(d *Delivery) error
}

// Explainer is a Verifier that can show what a signature is computed over.
type Explainer interface {
	// SignedContent returns the bytes that the provider signs for d. They
	// never hold a secret.
	SignedContent(d *Delivery) ([]byte, error)
}

// Greeter is a Verifier that answers handshakes which a file cannot describe.
type Greeter interface {
	// Greet returns the answer to a handshake, or nil if d is none. It is
	// called twice: before d is verified, and again once it is verified. An
	// error that wraps a sentinel of this package refuses the delivery; after
	// any other the sender is asked to send it again.
	//
	// An answer before verification must not hold a signature, under the key
	// of deliveries, of anything that the caller chose.
	Greet(ctx context.Context, d *Delivery, verified bool) (*Answer, error)
}

// Identifier is a Verifier that identifies the events of a delivery itself,
// where the lookups of a file cannot.
type Identifier interface {
	// Identify names the events of a verified delivery. No events and no
	// error mean that there is nothing to do. The error wraps ErrNoEvent.
	// Two events of one provider never share an id, and a redelivery of an
	// event has the id of the first delivery.
	Identify(d *Delivery) ([]Identity, error)
}

// Stamper is a Verifier that writes the id of a sample itself, where the event
// stands encoded in the body.
type Stamper interface {
	// Stamp changes d so that its event has another id than with any other
	// text: the same text gives the same id.
	Stamp(d *Delivery, id string) error
}

// Name is the provider's name in the catalog ("stripe").
func (p *Provider) Name() string { return p.spec.Name }

// Docs is the address of the provider's own page about its webhooks.
func (p *Provider) Docs() string { return p.spec.Docs }

// RedeliveryWindow is how long after the first attempt the provider may still
// send an event again, by itself or because a person asks it to. A namespace
// has to keep closed runs at least as long, or a late redelivery starts a
// second run. 0 where the provider never does.
func (p *Provider) RedeliveryWindow() time.Duration {
	return time.Duration(max(p.spec.Retries.For, p.spec.Retries.ByHand))
}

// AcknowledgeWithin is how long the provider waits for an answer before it
// counts the delivery as failed. 0 where that is not known.
func (p *Provider) AcknowledgeWithin() time.Duration {
	return time.Duration(p.spec.Retries.AcknowledgeWithin)
}

// Handshakes reports whether the provider sends requests that carry no event.
func (p *Provider) Handshakes() bool { return len(p.handshakes) > 0 }

// Batches reports whether one delivery may carry several events.
func (p *Provider) Batches() bool { return p.each != nil }

// UnsignedID reports whether the event id is outside of what is signed: who
// has a signed body can then send it again under another id.
func (p *Provider) UnsignedID() bool { return p.unsignedID }

// Spec returns what the provider's file says. It is not to be changed.
func (p *Provider) Spec() Spec { return p.spec }

// Methods lists the HTTP methods that deliveries and handshakes come by.
func (p *Provider) Methods() []string {
	methods := slices.Clone(p.deliveryMethods())
	for _, h := range p.handshakes {
		if !slices.Contains(methods, h.method) {
			methods = append(methods, h.method)
		}
	}
	return methods
}

// Delivers reports whether deliveries come by the method, and not just
// handshakes.
func (p *Provider) Delivers(method string) bool {
	return slices.Contains(p.deliveryMethods(), method)
}

func (p *Provider) deliveryMethods() []string {
	if len(p.spec.Methods) == 0 {
		return []string{http.MethodPost}
	}
	return p.spec.Methods
}
