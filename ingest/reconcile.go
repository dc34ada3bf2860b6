package ingest

import (
	"net/netip"
	"net/url"
	"time"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// Reconcile is how a source is reconciled with what its provider says has
// happened.
type Reconcile struct {
	API *provider.Reconciler
	// Every is how often, Window how far back, and Settle how old an event has
	// to be before it counts as missing.
	Every, Window, Settle time.Duration
	// OwnURL says that the operator has given the address of the API.
	OwnURL bool
	// Key is the key of the API.
	Key config.Secret
}

// defaultWindow is how far back a sweep looks where the config does not say.
const defaultWindow = 24 * time.Hour

// Reconcile returns how the source is reconciled, nil where it is not.
func (s *Source) Reconcile() *Reconcile { return s.reconcile }

// reconciles checks that what the source declares can be done.
func reconciles(cfg *config.Config, declared config.Source, receiver *provider.Receiver) (*Reconcile, *config.Mistake) {
	r := declared.Reconcile
	if r == nil {
		return nil, nil //nolint:nilnil // not reconciled, and nothing wrong
	}
	mistake := func(key, format string, args ...any) (*Reconcile, *config.Mistake) {
		at := "sources." + declared.Name + ".reconcile"
		if key != "" {
			at += "." + key
		}
		m := cfg.Mistake(at, "source %q: reconcile: "+format, append([]any{declared.Name}, args...)...)
		return nil, &m
	}
	api, err := receiver.Reconciler(r.URL, r.Key.Reveal())
	if err != nil {
		return mistake("", "%v", err)
	}
	if u, err := url.Parse(r.URL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return mistake("url", "%q is http, so that everybody on the way could read the key; want https", r.URL)
	}
	window, settle := r.Window, r.Settle
	switch {
	case window > api.Keeps():
		return mistake("window", "provider %q lists what happened for %s, so that a window of %s would find nothing more; want %s at most", receiver.Name(), api.Keeps(), window, api.Keeps())
	case !api.Timed():
		window = api.Keeps() // each sweep reads all of it
	case window == 0:
		window = min(defaultWindow, api.Keeps())
	}
	if settle == 0 {
		settle = api.Settle()
	}
	if window <= settle {
		return mistake("window", "a window of %s has nothing in it that is older than %s, which is how long a delivery may take to come; want more", window, settle)
	}
	return &Reconcile{API: api, Every: r.Every, Window: window, Settle: settle, OwnURL: r.URL != "", Key: r.Key}, nil
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Listed returns the Event of a delivery that was found in a list of the
// provider's API, and whether the source wants it.
func (s *Source) Listed(d *provider.Delivery, identity provider.Identity) (ev event.Event, wanted bool) {
	ev = s.identified(s.event(d), identity, len(d.Body))
	ev.Via = event.ViaReconcile
	if s.reconcile.API.Redelivers() {
		return ev, s.mayWant(ev.Type)
	}
	routed := s.Route(ev, identity.Payload)
	ev.Route = routed.Route
	return ev, !routed.Ignored
}

// mayWant reports whether the source wants some event of the type. A list may be
// without payloads, so that conditions of routes cannot be held against it; once
// the event is delivered again, they are.
func (s *Source) mayWant(eventType string) bool {
	for _, r := range s.routes {
		switch {
		case !event.Match(r.says.Type, eventType):
		case !r.says.Ignore:
			return true
		case len(r.where) == 0:
			return false
		}
	}
	return true
}
