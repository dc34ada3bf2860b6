package provider

import (
	"context"
	_ "embed" // for the schema
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed provider.schema.json
var schema []byte

// Schema returns the JSON Schema of a provider file. It is not to be changed.
func Schema() []byte { return schema }

// BuiltinFile returns the text of the file that describes a built-in provider.
// An alias has none of its own.
func BuiltinFile(name string) (text []byte, ok bool) {
	text, err := builtin.ReadFile("catalog/" + name + ".yaml")
	return text, err == nil
}

// AliasOf returns the name of the provider that does everything as the named
// one does; "" for one that has a file of its own.
func (c *Catalog) AliasOf(name string) string {
	for _, p := range c.providers {
		if slices.Contains(p.spec.Aliases, name) {
			return p.spec.Name
		}
	}
	return ""
}

// Rebind returns r as it would be had it been bound with change made to its
// Binding.
func (r *Receiver) Rebind(change func(b *Binding)) (*Receiver, error) {
	b := r.binding
	change(&b)
	return r.Bind(b)
}

// HasSecret reports whether r can verify anything yet (see SecretLater).
func (r *Receiver) HasSecret() bool {
	_, without := r.verifier.(noSecret)
	return !without
}

// EventType returns the type of the event in d, or of the first of several,
// whether or not the event has an id; "" where it cannot be told.
func (r *Receiver) EventType(d *Delivery) string {
	if events, err := r.Identify(d); err == nil && len(events) > 0 {
		return events[0].Type
	}
	v := r.view(d)
	if r.isBatch(v) {
		items, err := r.each.items(v)
		if err != nil || len(items) == 0 {
			return ""
		}
		v.item, v.element = items[0].text, items[0].element
	}
	eventType, err := r.typeOf(v)
	if err != nil {
		return ""
	}
	return eventType
}

// NeedsSecret reports whether a source has to have a secret before it can
// verify anything.
func (p *Provider) NeedsSecret() bool {
	v, err := p.scheme.Bind(p.withDefaults(Binding{Options: p.trialOptions()}))
	return err != nil || v == nil
}

// CanSign reports whether whoever holds what an operator is given can sign as
// the provider does. Where that is a public key, see GenerateKey.
func (p *Provider) CanSign() bool {
	_, ok := p.trial().(Signer)
	return ok || p.SignsWithPair()
}

// Greets reports whether the provider sends requests that carry no event, and
// by which methods.
func (p *Provider) Greets() (methods []string) {
	for _, h := range p.handshakes {
		if !slices.Contains(methods, h.method) {
			methods = append(methods, h.method)
		}
	}
	if _, ok := p.trial().(Greeter); ok && !slices.Contains(methods, http.MethodPost) {
		methods = append(methods, http.MethodPost)
	}
	return methods
}

// SignsURL reports whether the signature covers the URL, so that the edge has
// to know its public one.
func (p *Provider) SignsURL() bool {
	if p.spec.Signature.Scheme == "" {
		content := p.spec.Signature.Content
		return strings.Contains(content, "{url}") || strings.Contains(content, "{baseurl}")
	}
	v := p.trial()
	s, ok := v.(Signer)
	if !ok {
		return false
	}
	sample, _, _ := p.Sample("")
	d := SampleDelivery("https://a.example/webhooks/a", sample)
	d.ReceivedAt = time.Now()
	if s.Sign(d) != nil || v.Verify(context.Background(), d) != nil {
		return false
	}
	d.URL = strings.Replace(d.URL, "a.example/webhooks/a", "b.example/webhooks/b", 1)
	return v.Verify(context.Background(), d) != nil
}

// trialSecret is text, hex and base64 at once.
const trialSecret = "0011223344556677889900112233445566778899001122334455667788990011"

// trial binds the scheme to a secret of no source, to see what it can do. It
// is nil where the scheme wants a secret of another form.
func (p *Provider) trial() Verifier {
	for _, secrets := range [][]string{{trialSecret}, nil} {
		v, err := p.scheme.Bind(p.withDefaults(Binding{Secrets: secrets, Options: p.trialOptions()}))
		if err == nil {
			return v
		}
	}
	return nil
}

func (p *Provider) trialOptions() map[string]string {
	options := map[string]string{}
	for name, o := range p.spec.Options {
		if o.Required {
			options[name] = "trial"
		}
	}
	return options
}
