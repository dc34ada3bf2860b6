package harness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// The ports to choose from lie below those that systems give to outgoing
// connections. An outgoing connection could take the port of a server that is
// down for a moment, which then could not come back. Temporal's server keeps
// ports as PostgreSQL's smallint, which ends at 32767.
const (
	firstPort = 12000
	lastPort  = 32000
)

// Listen listens on a free port of Host.
func Listen(ctx context.Context) (net.Listener, error) {
	const tries = 100
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // nobody has to guess it
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(Host, strconv.Itoa(port)))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
	}
	return nil, fmt.Errorf("no free port between %d and %d after %d tries", firstPort, lastPort, tries)
}

// freeAddresses returns so many addresses on Host that nothing listens on now,
// and that differ.
func freeAddresses(ctx context.Context, n int) (addresses []string, err error) {
	var open []net.Listener // all are held until all are chosen
	defer func() {
		for _, l := range open {
			err = errors.Join(err, l.Close())
		}
	}()
	for range n {
		l, err := Listen(ctx)
		if err != nil {
			return nil, err
		}
		open = append(open, l)
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// FreeAddress returns an address on Host that nothing listens on now.
func FreeAddress(ctx context.Context) (string, error) {
	addresses, err := freeAddresses(ctx, 1)
	if err != nil {
		return "", err
	}
	return addresses[0], nil
}
