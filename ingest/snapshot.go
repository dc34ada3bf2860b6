package ingest

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// snapshot is the part of the Server's settings that a reload replaces. Each
// delivery uses the snapshot that was current when it began, so it never sees
// settings that are half changed.
type snapshot struct {
	sources   map[string]*Source
	publicURL string
	proxies   []netip.Prefix
	watch     *Watch
}

func newSnapshot(o Options) *snapshot {
	return &snapshot{
		sources:   o.Sources,
		publicURL: strings.TrimRight(o.PublicURL, "/"),
		proxies:   o.TrustedProxies,
		watch:     o.Watch,
	}
}

// Reload replaces the Sources, PublicURL, TrustedProxies and Watch by those
// of o, for deliveries that begin from now on. It ignores the other
// fields of o.
//
// A reload refuses no delivery: those in flight keep the settings that they
// began with. A source whose rate did not change keeps the state of its rate
// limiter, and a source that is still watched keeps its counts of refusals and
// the time of its last delivery.
func (s *Server) Reload(o Options) {
	next, before := newSnapshot(o), s.snapshot.Load()
	for name, source := range next.sources {
		if was := before.sources[name]; was != nil && was.limiter != nil && source.limiter != nil &&
			was.limiter.Limit() == source.limiter.Limit() && was.limiter.Burst() == source.limiter.Burst() {
			source.limiter = was.limiter
		}
	}
	next.watch.inherit(before.watch)
	s.snapshot.Store(next)
}

// watchOver has the current Watch look at its counts every watchEvery, until
// ctx ends.
func (s *Server) watchOver(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.snapshot.Load().watch.look(ctx)
		}
	}
}
