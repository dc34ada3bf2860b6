//go:build !linux

package main

import (
	"net"
	"net/netip"
)

// reserve listens on addr, or on a free port where addr has none, stops, and
// returns what it listened on. Systems other than Linux cannot hold a port
// for a later listener, so another process may take it in between; the server
// then fails to start and says so.
func reserve(addr netip.AddrPort) (bound netip.AddrPort, release func(), err error) {
	listener, err := net.Listen("tcp", addr.String())
	if err != nil {
		return netip.AddrPort{}, nil, err
	}
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	return netip.AddrPortFrom(addr.Addr(), port), func() {}, listener.Close()
}
