package ingest

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// senderOf returns the address that a request comes from. That is the address
// of the peer. Where the peer is a trusted proxy, it is the last address in
// X-Forwarded-For that is not a trusted proxy itself. Only trusted proxies are
// believed, so a sender cannot choose its address. The result is the zero
// address, which is on no list, where the address cannot be told.
func (s *snapshot) senderOf(r *http.Request) netip.Addr {
	address := peerAddress(r.RemoteAddr)
	if !s.trusts(address) {
		return address
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !s.trusts(address) {
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

func (s *snapshot) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(address) })
}
