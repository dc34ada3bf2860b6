package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Receiver is a Provider bound to one source. It is immutable and safe for
// concurrent use.
type Receiver struct {
	*Provider
	verifier Verifier
	binding  Binding
	mac      []byte // the first secret, for answers to handshakes
	signsURL bool
}

// Bind returns a Receiver for one source. Without a secret where the provider
// makes it later, the Receiver answers handshakes and refuses all else. See
// Scheme.Bind.
func (p *Provider) Bind(b Binding) (*Receiver, error) {
	if problems := p.CheckOptions(b.Options); len(problems) > 0 {
		return nil, problems[0]
	}
	if len(b.Secrets) == 0 && p.SecretLater() {
		return p.BindHandshakes(b), nil
	}
	b = p.withDefaults(b)
	v, err := p.scheme.Bind(b)
	if err != nil {
		return nil, err
	}
	return p.receiver(v, b), nil
}

// BindHandshakes returns a Receiver that answers the handshakes which need no
// secret, and refuses every delivery.
func (p *Provider) BindHandshakes(b Binding) *Receiver {
	return p.receiver(noSecret{}, p.withDefaults(b))
}

// SecretLater reports whether a source may start without a secret, because
// the provider makes one only once the endpoint answers.
func (p *Provider) SecretLater() bool {
	return p.spec.Secret.Later || slices.ContainsFunc(p.handshakes, func(h handshake) bool { return h.secret != nil })
}

func (p *Provider) receiver(v Verifier, b Binding) *Receiver {
	r := &Receiver{Provider: p, verifier: v, binding: b, signsURL: p.SignsURL()}
	if len(b.Secrets) > 0 {
		// A scheme written in Go may read its secrets in a way of its own.
		r.mac, _ = p.spec.Secret.decodeSecret(b.Secrets[0])
	}
	return r
}

// Verify returns nil if the provider signed d, else an error that wraps one of
// the sentinel errors of this package.
func (r *Receiver) Verify(ctx context.Context, d *Delivery) error {
	if r.spec.Body == bodyObject && !isObject(d.Body) {
		return fmt.Errorf("%w: the body is not a JSON object, and %s sends no other", ErrMalformed, r.Name())
	}
	err := r.verifier.Verify(ctx, d)
	if !r.signsURL || !errors.Is(err, ErrMismatch) {
		return err
	}
	for _, spelling := range spellings(d.URL) {
		other := *d
		other.URL = spelling
		if otherErr := r.verifier.Verify(ctx, &other); otherErr == nil || errors.Is(otherErr, ErrStale) {
			return otherErr
		}
	}
	return err
}

// noSecret is the Verifier of a source that has no secret yet.
type noSecret struct{}

// Verify implements Verifier.
func (noSecret) Verify(context.Context, *Delivery) error {
	return fmt.Errorf("%w: the source has no secret yet, so that nothing can be verified", ErrUnsigned)
}

// secretDefault, as an option's default, stands for the source's secrets.
const secretDefault = "{secret}"

// withDefaults fills in the options that were not given.
func (p *Provider) withDefaults(b Binding) Binding {
	options := maps.Clone(b.Options)
	for name, spec := range p.spec.Options {
		if options[name] == "" && spec.Default != "" {
			if options == nil {
				options = map[string]string{}
			}
			options[name] = spec.Default
		}
	}
	b.Options = options
	return b
}

// OptionProblem is one mistake in a source's options.
type OptionProblem struct {
	Name string // of the option
	Text string
}

func (p OptionProblem) Error() string { return p.Text }

// CheckOptions returns what is wrong with the options given to a source, in
// the order of their names.
func (p *Provider) CheckOptions(given map[string]string) []OptionProblem {
	var problems []OptionProblem
	for _, name := range sortedKeys(given) {
		spec, known := p.spec.Options[name]
		switch {
		case !known && len(p.spec.Options) == 0:
			problems = append(problems, OptionProblem{name, fmt.Sprintf("provider %q has no options; remove %q", p.Name(), name)})
		case !known:
			problems = append(problems, OptionProblem{name, fmt.Sprintf("provider %q has no option %q; it has %s", p.Name(), name, strings.Join(sortedKeys(p.spec.Options), ", "))})
		case !spec.List && strings.Contains(given[name], " "):
			problems = append(problems, OptionProblem{name, fmt.Sprintf("option %q is one value without blanks, not a list: %s", name, spec.Doc)})
		}
	}
	for _, name := range sortedKeys(p.spec.Options) {
		if spec := p.spec.Options[name]; spec.Required && given[name] == "" {
			problems = append(problems, OptionProblem{name, fmt.Sprintf("provider %q needs the option %q: %s", p.Name(), name, spec.Doc)})
		}
	}
	return problems
}

var _ error = OptionProblem{}
