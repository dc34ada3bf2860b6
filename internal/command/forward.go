package command

import (
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/worker/forward"
)

// ForwardTargets says by route where its events are forwarded.
func ForwardTargets(cfg *config.Config) (map[forward.Route]forward.Target, error) {
	targets := map[forward.Route]forward.Target{}
	for _, source := range cfg.Sources {
		for _, route := range source.Routes {
			if route.Forward == nil {
				continue
			}
			sign, err := forwardSigner(source, route.Forward)
			if err != nil {
				return nil, fmt.Errorf("source %q: route %q: forward: %w", source.Name, route.Name, err)
			}
			targets[forward.Route{Source: source.Name, Name: route.Name}] = forward.Target{URL: route.Forward.URL, Headers: route.Forward.Headers, Sign: sign}
		}
	}
	return targets, nil
}

// forwardSigner signs as Standard Webhooks does, with the secret that the
// route gives for it or, where the source itself receives Standard Webhooks,
// the one it verifies with: the service behind it then needs no change.
func forwardSigner(source config.Source, to *config.Forward) (func(h http.Header, id string, at time.Time, body []byte) error, error) {
	const scheme = "standard-webhooks"
	secret := to.Secret.Reveal()
	if to.Secret.IsZero() {
		if source.Provider != scheme {
			return nil, fmt.Errorf("it has no secret to sign with; add `secret: env:NAME`, a base64 text that may start with whsec_")
		}
		if len(source.Secrets) > 0 {
			secret = source.Secrets[0].Reveal()
		}
	}
	if secret == "" {
		return nil, nil // missing, which config has said, or not looked for
	}
	catalog, err := provider.Builtin()
	if err != nil {
		return nil, err
	}
	p, ok := catalog.Lookup(scheme)
	if !ok {
		return nil, fmt.Errorf("there is no provider %q", scheme)
	}
	signer, err := p.Bind(provider.Binding{Secrets: []string{secret}})
	if err != nil {
		return nil, fmt.Errorf("%w, as Standard Webhooks needs it", err)
	}
	return func(h http.Header, id string, at time.Time, body []byte) error {
		d := &provider.Delivery{Header: h, Body: body, ReceivedAt: at}
		if err := signer.Stamp(d, id, ""); err != nil {
			return err
		}
		if err := signer.Sign(d); err != nil {
			return err
		}
		maps.Copy(h, d.Header) // a delivery may get another header when it is stamped
		return nil
	}, nil
}
