package conformance

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// gate is a network between an edge and Temporal that can be made to stand
// still, in one direction or both, without any connection being closed.
type gate struct {
	address   string
	requests  sync.RWMutex // read to pass bytes on to Temporal
	responses sync.RWMutex // read to pass bytes back

	mu    sync.Mutex
	conns []net.Conn
}

// openGate relays connections to the address until the test ends.
func openGate(t *testing.T, to string) *gate {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := &gate{address: l.Addr().String()}
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to) //nolint:noctx // on this machine, and ended below
			if err != nil {
				near.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, near, far)
			g.mu.Unlock()
			relays.Go(func() { relay(far, near, &g.requests) })
			relays.Go(func() { relay(near, far, &g.responses) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.mu.Lock()
		for _, c := range g.conns {
			c.Close()
		}
		g.mu.Unlock()
		relays.Wait()
	})
	return g
}

// relay copies until either side is closed, and then closes both.
func relay(to, from net.Conn, passing *sync.RWMutex) {
	defer to.Close()
	defer from.Close()
	_, _ = io.Copy(held{to, passing}, from)
}

// held writes once its direction is open.
type held struct {
	net.Conn
	passing *sync.RWMutex
}

func (h held) Write(p []byte) (int, error) {
	h.passing.RLock()
	defer h.passing.RUnlock()
	return h.Conn.Write(p)
}

// holdRequests lets nothing through to Temporal until the returned function is
// called, which may be done again.
func (g *gate) holdRequests() (release func()) { return hold(&g.requests) }

// holdResponses lets requests reach Temporal and nothing come back.
func (g *gate) holdResponses() (release func()) { return hold(&g.responses) }

func hold(passing *sync.RWMutex) (release func()) {
	passing.Lock()
	return sync.OnceFunc(passing.Unlock)
}
