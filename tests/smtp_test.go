package tests

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// startSMTP runs a mail server at the address that takes every mail and counts
// them.
func startSMTP(t *testing.T, address string) *atomic.Int32 {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	var taken atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talkSMTP(conn, &taken)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return &taken
}

// talkSMTP is a server's side of one conversation (RFC 5321).
func talkSMTP(conn net.Conn, taken *atomic.Int32) {
	defer conn.Close()
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.test")
	data := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
		case data && line == ".":
			data = false
			taken.Add(1)
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
