package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"math"
	"net/netip"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// Source is one configured endpoint, ready to take deliveries.
type Source struct {
	// Provider is who sends to the source, bound to the source's secrets.
	Provider *provider.Receiver

	name    string
	idKey   []byte // hashes the ids of its events; empty to keep them
	journal bool   // its events go to the journal
	routes  []route
	local   []string       // Activities, see event.Event.Local
	allow   []netip.Prefix // empty for everybody
	limiter *rate.Limiter  // nil for no limit
	maxBody int64          // bytes

	reconcile *Reconcile // nil where the source is not reconciled

	headers   headerFilter
	maskPaths []string        // paths in JSON payloads that a debug log hides
	secrets   []config.Secret // values that a debug log hides
}

// Providers adds the operator's own provider files to a catalog.
func Providers(cfg *config.Config, catalog *provider.Catalog) (*provider.Catalog, []config.Mistake) {
	if cfg.Providers == "" {
		return catalog, nil
	}
	if _, err := fs.Stat(os.DirFS(cfg.Providers), "."); err != nil {
		return catalog, []config.Mistake{cfg.Mistake("providers", "providers: folder %q cannot be read: %v", cfg.Providers, err)}
	}
	var mistakes []config.Mistake
	for _, p := range catalog.Add(os.DirFS(cfg.Providers)) {
		mistakes = append(mistakes, cfg.Mistake("providers", "provider file %v", p))
	}
	return catalog, mistakes
}

// Sources binds every source of the config to its provider and secrets. It
// returns all mistakes that package config cannot find without knowing the
// providers. A source whose secrets were not loaded (see config.Options) is
// checked and not returned.
func Sources(cfg *config.Config, catalog *provider.Catalog) (map[string]*Source, []config.Mistake) {
	sources := make(map[string]*Source, len(cfg.Sources))
	var mistakes []config.Mistake
	for _, declared := range cfg.Sources {
		source, found := bind(cfg, catalog, declared)
		if source != nil {
			sources[declared.Name] = source
		}
		mistakes = append(mistakes, found...)
	}
	return sources, mistakes
}

func bind(cfg *config.Config, catalog *provider.Catalog, declared config.Source) (*Source, []config.Mistake) {
	at := "sources." + declared.Name
	p, known := catalog.Lookup(declared.Provider)
	if !known {
		if declared.Provider == "" || catalog.Broken(declared.Provider) {
			return nil, nil // the mistake is told already: it is missing, or its file is wrong
		}
		return nil, []config.Mistake{cfg.Mistake(at+".provider", "source %q: unknown provider %q%s",
			declared.Name, declared.Provider, config.Suggest(declared.Provider, catalog.Names()))}
	}
	p, problems := configure(p, declared)
	if len(problems) > 0 {
		var mistakes []config.Mistake
		for _, problem := range problems {
			m := cfg.Mistake(at, "source %q: %s", declared.Name, problem.Text)
			m.Line = max(m.Line, problem.Line)
			mistakes = append(mistakes, m)
		}
		return nil, mistakes
	}
	secrets := make([]string, 0, len(declared.Secrets))
	for _, s := range declared.Secrets {
		if s.Reveal() == "" {
			return nil, nil // missing: config has said so, or was told not to look
		}
		secrets = append(secrets, s.Reveal())
	}
	options := make(map[string]string, len(declared.Options))
	for name, o := range declared.Options {
		if o.Reveal() == "" {
			return nil, nil // as above
		}
		options[name] = o.Reveal()
	}
	if !declared.HashIDs.IsZero() && declared.HashIDs.Reveal() == "" {
		return nil, nil // as above
	}
	if mistakes := checkSource(cfg, p, declared, options); len(mistakes) > 0 {
		return nil, mistakes
	}
	receiver, err := p.Bind(provider.Binding{
		Secrets: secrets, Tolerance: declared.Tolerance, Options: options,
		Whole: declared.Whole, ReplayGuard: declared.ReplayGuard,
	})
	if err != nil {
		return nil, []config.Mistake{cfg.Mistake(at+".secrets", "source %q: %v, as provider %q needs it", declared.Name, err, p.Name())}
	}
	routes, err := compileRoutes(declared.Routes)
	if err != nil {
		return nil, []config.Mistake{cfg.Mistake(at+".routes", "source %q: %v", declared.Name, err)}
	}
	reconcile, mistake := reconciles(cfg, declared, receiver)
	if mistake != nil {
		return nil, []config.Mistake{*mistake}
	}
	return &Source{
		Provider:  receiver,
		name:      declared.Name,
		idKey:     []byte(declared.HashIDs.Reveal()),
		journal:   declared.Journal,
		routes:    routes,
		local:     cfg.RetriesOf(declared).Local(),
		allow:     declared.Allow,
		limiter:   limiter(declared.Rate),
		maxBody:   declared.MaxBody,
		reconcile: reconcile,
		headers: headerFilter{
			provider: p.SensitiveHeaders(),
			operator: slices.Concat(cfg.Log.MaskHeaders, declared.DropHeaders),
		},
		maskPaths: cfg.Log.Mask,
		secrets:   secretsOf(declared),
	}, nil
}

// checkSource checks that the provider can do what the source asks for.
func checkSource(cfg *config.Config, p *provider.Provider, declared config.Source, options map[string]string) []config.Mistake {
	at := "sources." + declared.Name
	var mistakes []config.Mistake
	for _, problem := range p.CheckOptions(options) {
		mistakes = append(mistakes, cfg.Mistake(at+".options."+problem.Name, "source %q: %s", declared.Name, problem.Text))
	}
	if declared.Whole && !p.Batches() {
		mistakes = append(mistakes, cfg.Mistake(at+".split", "source %q: provider %q sends one event at a time; remove split", declared.Name, p.Name()))
	}
	if declared.ReplayGuard && !p.UnsignedID() {
		mistakes = append(mistakes, cfg.Mistake(at+".replay_guard", "source %q: a changed id of provider %q does not pass as another event; remove replay_guard", declared.Name, p.Name()))
	}
	return mistakes
}

// configure applies the parts of a scheme that the source itself declares.
func configure(p *provider.Provider, declared config.Source) (*provider.Provider, []provider.Problem) {
	parts := map[string]*yaml.Node{
		"signature": declared.Signature, "secret": declared.SecretFormat, "event": declared.Event, "retries": declared.Retries,
	}
	maps.DeleteFunc(parts, func(_ string, n *yaml.Node) bool { return n == nil })
	if len(parts) == 0 {
		return p, nil
	}
	return p.Configured("", parts)
}

func limiter(r *config.Rate) *rate.Limiter {
	if r == nil {
		return nil
	}
	return rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
}

// event returns the Event that all events of d have in common: everything but
// their identity.
func (s *Source) event(d *provider.Delivery) event.Event {
	headers, leftOut := s.headers.keep(d.Header)
	return event.Event{
		Source:         s.name,
		Provider:       s.Provider.Name(),
		ReceivedAt:     d.ReceivedAt.UTC(),
		ContentType:    validText([]string{d.Header.Get("Content-Type")})[0],
		Headers:        headers,
		HeadersLeftOut: leftOut,
		Local:          s.local,
	}
}

// identified returns the Event of one of the delivery's events. size is the
// length of the delivery's body.
//
// Where ids are personal it has a keyed digest in place of the id, which nobody
// can try ids out against who does not have the key.
func (s *Source) identified(ev event.Event, identity provider.Identity, size int) event.Event {
	ev.ID, ev.Type = identity.ID, identity.Type
	if len(s.idKey) > 0 {
		digest := hmac.New(sha256.New, s.idKey)
		digest.Write([]byte(identity.ID))
		ev.ID = "hashed-" + hex.EncodeToString(digest.Sum(nil))
	}
	if identity.JSON && len(identity.Payload) < size {
		ev.ContentType = "application/json" // an item of a batch, which may have come in a form
	}
	return ev
}

// takesFrom reports whether the address is on the allow-list.
func (s *Source) takesFrom(address netip.Addr) bool {
	return len(s.allow) == 0 ||
		slices.ContainsFunc(s.allow, func(p netip.Prefix) bool { return p.Contains(address) })
}

// overRate returns how long the sender has to wait, or 0 if the rate is kept.
func (s *Source) overRate(now time.Time) time.Duration {
	if s.limiter == nil || s.limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - s.limiter.TokensAt(now)
	return time.Duration(math.Ceil(missing/float64(s.limiter.Limit()))) * time.Second
}

// startWithin returns how long a start may take: 4/5 of the time that the
// provider waits, at most 10 s, less the time that the delivery has taken
// already. The rest is for the response to travel. If the provider's time is not
// known, 10 s is assumed, which is common. The result is at least one second: a
// sender whose body took long may still be waiting, and if it is not, the
// redelivery finds the event stored.
func (s *Source) startWithin(elapsed time.Duration) time.Duration {
	patience := s.Provider.AcknowledgeWithin()
	if patience == 0 {
		patience = 10 * time.Second
	}
	return max(min(patience*4/5, 10*time.Second)-elapsed, time.Second)
}
