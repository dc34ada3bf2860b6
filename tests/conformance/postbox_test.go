//go:build !race

package conformance

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// postbox is a mail server that counts what it takes, and can keep callers
// waiting for its greeting.
type postbox struct {
	address string
	called  atomic.Int32
	taken   atomic.Int32
	open    sync.RWMutex // read to greet
}

func startPostbox(t *testing.T) *postbox {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &postbox{address: l.Addr().String()}
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talks.Go(func() { p.talk(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		talks.Wait()
	})
	return p
}

// hold keeps callers waiting until the returned function is called, which may
// be done again.
func (p *postbox) hold() (release func()) { return hold(&p.open) }

// talk is a server's side of one conversation (RFC 5321).
func (p *postbox) talk(conn net.Conn) {
	defer conn.Close()
	p.called.Add(1)
	p.open.RLock()
	defer p.open.RUnlock()
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.test")
	data := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
		case data && line == ".":
			data = false
			p.taken.Add(1)
			say("250 taken")
		case data:
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
