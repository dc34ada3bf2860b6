package ingest

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// senderOf returns the address that a request comes from: the peer's, or
// behind trusted proxies the last one in X-Forwarded-For that is none of them.
// What a stranger writes there is never believed. The zero address, which is
// on no list, stands for one that cannot be told.
func (l *live) senderOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !l.trusts(address) {
			return address
		}
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		next, err := netip.ParseAddr(hop)
		if err != nil {
			return netip.Addr{}
		}
		address = next.Unmap()
	}
	return address
}

func (l *live) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(l.proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}
