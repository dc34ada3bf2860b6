package main

import (
	"net/netip"
	"os"
	"syscall"
)

// reserve binds addr, or a free port where addr has none, without listening
// on it, and returns what was bound.
//
// Until release is called, Linux hands that port to nobody who asks for any
// free port, yet lets the server of this process listen on it, because both
// sockets have SO_REUSEADDR and this one does not listen. So the time between
// finding a port and listening on it is no race. A port that somebody listens
// on cannot be reserved: the error is EADDRINUSE.
func reserve(addr netip.AddrPort) (bound netip.AddrPort, release func(), err error) {
	family := syscall.AF_INET
	if addr.Addr().Is6() {
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.AddrPort{}, nil, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(fd)
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return netip.AddrPort{}, nil, os.NewSyscallError("setsockopt", err)
	}
	var sockaddr syscall.Sockaddr = &syscall.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if family == syscall.AF_INET {
		sockaddr = &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	if err := syscall.Bind(fd, sockaddr); err != nil {
		return netip.AddrPort{}, nil, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, nil, os.NewSyscallError("getsockname", err)
	}
	port := 0
	switch name := name.(type) {
	case *syscall.SockaddrInet4:
		port = name.Port
	case *syscall.SockaddrInet6:
		port = name.Port
	}
	return netip.AddrPortFrom(addr.Addr(), uint16(port)), func() { _ = syscall.Close(fd) }, nil
}
