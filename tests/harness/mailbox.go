package harness

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

// Mailbox is a mail server that takes every mail and counts them. It can keep
// callers waiting.
type Mailbox struct {
	// Address is "host:port".
	Address string

	called, taken atomic.Int32
	open          sync.RWMutex // a caller is greeted while it is held for reading
}

// StartMailbox runs a mail server at the address, until the test ends.
func StartMailbox(t testing.TB, address string) *Mailbox {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	m := &Mailbox{Address: l.Addr().String()}
	var calls sync.WaitGroup
	calls.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			calls.Go(func() { m.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		calls.Wait()
	})
	return m
}

// Called counts the connections so far.
func (m *Mailbox) Called() int { return int(m.called.Load()) }

// Taken counts the mails so far.
func (m *Mailbox) Taken() int { return int(m.taken.Load()) }

// Hold keeps callers waiting for the server's greeting until release is called.
// To call it again does nothing.
func (m *Mailbox) Hold() (release func()) {
	m.open.Lock()
	return sync.OnceFunc(m.open.Unlock)
}

// serve is the server's side of one conversation (RFC 5321).
func (m *Mailbox) serve(conn net.Conn) {
	defer conn.Close()
	m.called.Add(1)
	m.open.RLock()
	defer m.open.RUnlock()
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.test")
	inMail := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
		case inMail && line == ".":
			inMail = false
			m.taken.Add(1)
			say("250 taken")
		case inMail:
		case verb == "DATA":
			inMail = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
