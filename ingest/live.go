package ingest

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// live is what deliveries are taken by, as the config has it. A delivery keeps
// to the one that it began with, so that it sees none half changed.
type live struct {
	sources   map[string]*Source
	publicURL string
	proxies   []netip.Prefix
	watch     *Watch
	mask      []string // see Options.Mask
}

func newLive(o Options) *live {
	return &live{
		sources:   o.Sources,
		publicURL: strings.TrimRight(o.PublicURL, "/"),
		proxies:   o.TrustedProxies,
		watch:     o.Watch,
		mask:      o.Mask,
	}
}

// Reload has deliveries that begin from now on taken by the Sources, PublicURL,
// TrustedProxies, Watch and Mask of o. What else is in o is not looked at.
//
// No delivery is refused for it: those in flight end as they began. A source's
// rate goes on where its limit is the same, and what is known of refusals and
// silence is kept.
func (s *Server) Reload(o Options) {
	next, before := newLive(o), s.live.Load()
	for name, source := range next.sources {
		if was := before.sources[name]; was != nil && was.limiter != nil && source.limiter != nil &&
			was.limiter.Limit() == source.limiter.Limit() && was.limiter.Burst() == source.limiter.Burst() {
			source.limiter = was.limiter
		}
	}
	next.watch.inherit(before.watch)
	s.live.Store(next)
}

// watchOver has each Watch, one after the other, look at its counts until ctx
// ends.
func (s *Server) watchOver(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.live.Load().watch.look(ctx)
		}
	}
}
