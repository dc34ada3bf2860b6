package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// addresses is where everything listens.
type addresses struct {
	frontend, http, metrics, ui netip.AddrPort
	history, matching, worker   netip.AddrPort // for the server's own use
}

// reservation is a set of ports that are bound and not listened on, where the
// system can do that. See reserve.
type reservation []func()

// release gives the ports up. It may be called more than once.
func (r *reservation) release() {
	for _, release := range *r {
		release()
	}
	*r = nil
}

// reserveAll finds a port for everything before anything starts, and an error
// names the flag that would help. The ports asked for come first, so that
// none the kernel picks is one of them.
func reserveAll(opts options) (addrs addresses, held reservation, err error) {
	loopback := netip.MustParseAddr("127.0.0.1")
	wants := []want{
		{"port", opts.ip, opts.port, &addrs.frontend},
		{"http-port", opts.ip, opts.httpPort, &addrs.http},
		{"metrics-port", opts.ip, opts.metricsPort, &addrs.metrics},
		{"", loopback, 0, &addrs.history},
		{"", loopback, 0, &addrs.matching},
		{"", loopback, 0, &addrs.worker},
	}
	if !opts.headless {
		wants = append(wants, want{"ui-port", opts.uiIP, opts.uiPort, &addrs.ui})
	}
	if err := distinct(wants); err != nil {
		return addresses{}, nil, err
	}
	for _, picked := range []bool{false, true} {
		for _, w := range wants {
			if (w.port == 0) != picked {
				continue
			}
			addr, release, err := reserve(netip.AddrPortFrom(w.ip, w.port))
			if err != nil {
				held.release()
				return addresses{}, nil, w.explain(err)
			}
			*w.into = addr
			held = append(held, release)
		}
	}
	return addrs, held, nil
}

// want is a port that is needed, and the flag that chooses it, if any.
type want struct {
	flag string
	ip   netip.Addr
	port uint16
	into *netip.AddrPort
}

func (w want) explain(err error) error {
	switch {
	case w.port == 0:
		return fmt.Errorf("find a free port on %s: %w", w.ip, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d on %s is taken; free it or pass --%s", w.port, w.ip, w.flag)
	default:
		return fmt.Errorf("port %d on %s cannot be used: %w; pass another --%s", w.port, w.ip, err, w.flag)
	}
}

// distinct refuses two flags that ask for the same port: neither has it yet,
// so no bind would fail.
func distinct(wants []want) error {
	flags := make(map[netip.AddrPort]string)
	for _, w := range wants {
		if w.port == 0 {
			continue
		}
		addr := netip.AddrPortFrom(w.ip, w.port)
		if other, taken := flags[addr]; taken {
			return fmt.Errorf("--%s and --%s are both port %d on %s; change one", other, w.flag, w.port, w.ip)
		}
		flags[addr] = w.flag
	}
	return nil
}

// dialable returns addr as a client on this machine can reach it: a server
// that listens on every address has none of its own.
func dialable(addr netip.AddrPort) netip.AddrPort {
	switch addr.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
	}
	return addr
}
