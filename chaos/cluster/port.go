package cluster

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
// connections. One of these could take the port of a server that is down for a
// moment, which then could not come back.
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

// FreeAddress returns an address on Host that nothing listens on now.
func FreeAddress(ctx context.Context) (string, error) {
	l, err := Listen(ctx)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
