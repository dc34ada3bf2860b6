package peers

import (
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// MailServer is an SMTP server that says yes to everything but what replies
// says otherwise about. It keeps the mails that it took.
type MailServer struct {
	URL     string
	replies map[string]string // by command, in capitals; "." is the end of DATA
	open    sync.RWMutex      // a caller is greeted while it is held for reading

	mu     sync.Mutex
	called int
	auth   []string
	mails  []string
}

// NewMailServer starts one, which ends with the test. A reply of "hang up"
// closes the connection, and "say nothing" sends none.
func NewMailServer(t *testing.T, replies map[string]string) *MailServer {
	t.Helper()
	return NewMailServerAt(t, "127.0.0.1:0", replies)
}

// NewMailServerAt starts one that listens at the address.
func NewMailServerAt(t *testing.T, address string, replies map[string]string) *MailServer {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s := &MailServer{URL: "smtp://" + listener.Addr().String(), replies: replies}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		served := make(chan struct{})
		go func() { serving.Wait(); close(served) }()
		select {
		case <-served:
		case <-time.After(time.Minute):
			t.Error("a connection was left open")
		}
	})
	return s
}

func (s *MailServer) serve(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	s.called++
	s.mu.Unlock()
	s.open.RLock()
	defer s.open.RUnlock()
	text := textproto.NewConn(conn)
	_ = text.PrintfLine("%s", s.reply("CONNECT", "220 ready"))
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		reply := s.reply(verb, map[string]string{
			"EHLO": "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN", "AUTH": "235 welcome", "DATA": "354 go on", "QUIT": "221 bye",
		}[verb])
		if reply == "" {
			reply = "250 ok"
		}
		if verb == "AUTH" {
			s.mu.Lock()
			s.auth = append(s.auth, line)
			s.mu.Unlock()
		}
		if reply == "say nothing" {
			continue
		}
		if reply == "hang up" || text.PrintfLine("%s", reply) != nil {
			return
		}
		if !strings.HasPrefix(reply, "354") {
			continue
		}
		body, err := io.ReadAll(text.DotReader())
		if err != nil {
			return
		}
		if reply = s.reply(".", "250 taken"); strings.HasPrefix(reply, "250") {
			s.mu.Lock()
			s.mails = append(s.mails, string(body))
			s.mu.Unlock()
		}
		_ = text.PrintfLine("%s", reply)
	}
}

// Called counts the connections so far.
func (s *MailServer) Called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.called
}

// Hold keeps callers waiting for the server's greeting until release is called.
// To call it again does nothing.
func (s *MailServer) Hold() (release func()) {
	s.open.Lock()
	return sync.OnceFunc(s.open.Unlock)
}

// Auth returns the AUTH commands that the server got.
func (s *MailServer) Auth() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.auth)
}

// Mails returns the mails that the server took.
func (s *MailServer) Mails() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

func (s *MailServer) reply(command, otherwise string) string {
	if reply, ok := s.replies[command]; ok {
		return reply
	}
	return otherwise
}

// Only returns the one mail that was taken.
func (s *MailServer) Only(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.mails, 1)
	return s.mails[0]
}
