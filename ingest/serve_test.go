package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
)

// served is an edge on a listener of its own.
type served struct {
	address string
	sources map[string]*ingest.Source
	starter *started
}

// serveEdge runs an edge until the test ends.
func serveEdge(t testing.TB, text string) *served {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s, stop := serveOn(t, text, l)
	t.Cleanup(stop)
	return s
}

// serveOn runs an edge on the listener until stop is called.
func serveOn(t testing.TB, text string, l net.Listener) (s *served, stop func()) {
	cfg, err := config.Parse("hookyard.yaml", []byte(text), config.Options{
		LookupEnv: func(string) (string, bool) { return testSecret, true },
	})
	require.NoError(t, err)
	builtin, err := provider.Builtin()
	require.NoError(t, err)
	catalog, mistakes := ingest.Providers(cfg, builtin)
	require.Empty(t, mistakes)
	sources, mistakes := ingest.Sources(cfg, catalog)
	require.Empty(t, mistakes)
	s = &served{address: l.Addr().String(), sources: sources, starter: &started{}}
	server := ingest.New(ingest.Options{
		Sources: sources, Starter: s.starter, TrustedProxies: cfg.TrustedProxies,
		Logger: slog.New(slog.DiscardHandler), HandedOver: t.TempDir(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l, time.Minute) }()
	return s, func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// inMemory is a listener without a network, for a bubble of synctest: there, a
// wait shows as time that has passed, and takes none.
type inMemory chan net.Conn

func (l inMemory) Accept() (net.Conn, error) {
	if conn, open := <-l; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l inMemory) Close() error   { close(l); return nil }
func (l inMemory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l inMemory) dial() net.Conn {
	client, server := net.Pipe()
	l <- server
	return client
}

// dial connects from an address of loopback: 127.0.0.N.
func (s *served) dial(t testing.TB, from byte) net.Conn {
	conn, err := s.connect(t.Context(), from)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *served) connect(ctx context.Context, from byte) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}, Timeout: time.Minute}
	conn, err := d.DialContext(ctx, "tcp", s.address)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	}
	return conn, err
}

// signed is a signed delivery to the source "github", as it goes over a
// connection.
func (s *served) signed(t testing.TB, id string, body []byte) []byte {
	d := provider.SampleDelivery("", body)
	require.NoError(t, s.sources["github"].Provider.Stamp(d, id, "push"))
	require.NoError(t, s.sources["github"].Provider.Sign(d))
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n", len(d.Body))
	require.NoError(t, d.Header.Write(&b))
	b.WriteString("\r\n")
	b.Write(d.Body)
	return b.Bytes()
}

// deliver sends a signed delivery over a connection of its own, and returns the
// status of the answer.
func (s *served) deliver(t testing.TB, from byte, id string, body []byte) int {
	conn := s.dial(t, from)
	defer conn.Close()
	_, err := conn.Write(s.signed(t, id, body))
	require.NoError(t, err)
	return answerOf(t, bufio.NewReader(conn)).StatusCode
}

// httpAnswer is what the tests look at of an answer whose body has been read.
type httpAnswer struct {
	StatusCode int
	Header     http.Header
	Close      bool // the server ends the connection
}

// answerOf reads an answer and its body.
func answerOf(t testing.TB, r *bufio.Reader) httpAnswer {
	answer, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return httpAnswer{answer.StatusCode, answer.Header, answer.Close}
}

// requireClosed requires that nothing more comes and the connection has ended.
func requireClosed(t testing.TB, r *bufio.Reader) {
	rest, err := io.ReadAll(r)
	require.False(t, errors.Is(err, context.DeadlineExceeded) || isTimeout(err), "the connection is still open: %v", err)
	require.Empty(t, rest)
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

const oneGithub = `sources: {github: {provider: github, secrets: [env:S], max_body: 1900KiB}}`

// TestRefusedAtOnce sends headers alone. An answer can only come from those: the
// body never does, and the edge does not wait for it.
func TestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	const sources = `
sources:
  github: {provider: github, secrets: [env:S], max_body: 4KiB}
  closed: {provider: github, secrets: [env:S], allow: [203.0.113.1]}
`
	for name, tt := range map[string]struct {
		request string
		want    int
	}{
		"a body that is far too large":       {"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n", 413},
		"a body that is a little too large":  {"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\n\r\n", 413},
		"a sender that waits to be invited":  {"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\nExpect: 100-continue\r\n\r\n", 413},
		"a large one that waits":             {"POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n", 413},
		"no such source":                     {"POST /webhooks/other HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", 404},
		"no such source, waits":              {"POST /webhooks/other HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", 404},
		"no such path":                       {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 404},
		"a method that is not taken":         {"PUT /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", 405},
		"an address that is not on the list": {"POST /webhooks/closed HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := make(inMemory)
				_, stop := serveOn(t, sources, l)
				defer stop()
				conn, began := l.dial(), time.Now()
				_, err := io.WriteString(conn, tt.request)
				require.NoError(t, err)
				r := bufio.NewReader(conn)
				answer := answerOf(t, r)
				require.Equal(t, tt.want, answer.StatusCode, "no 100 comes before it")
				require.Zero(t, time.Since(began), "the edge waited")
				require.True(t, answer.Close)
				requireClosed(t, r)
				require.LessOrEqual(t, time.Since(began), time.Second, "the edge kept the connection open")
			})
		})
	}
}

// TestTooLargeIsAnswered sends all of a body that is refused by its length: the
// answer has to arrive before the connection goes.
func TestTooLargeIsAnswered(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, `sources: {github: {provider: github, secrets: [env:S], max_body: 4KiB}}`)
	for range 20 {
		conn := s.dial(t, 1)
		go func() {
			_, _ = fmt.Fprintf(conn, "POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", 4<<20, strings.Repeat("x", 4<<20))
		}()
		require.Equal(t, http.StatusRequestEntityTooLarge, answerOf(t, bufio.NewReader(conn)).StatusCode)
	}
}

// TestNoRequestIsSmuggled sends requests whose length a proxy may read in
// another way than we do, each with a second one behind it that the proxy took
// for a part of the body, or the other way round.
func TestNoRequestIsSmuggled(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, oneGithub)
	const chunks = "2\r\n{}\r\n0\r\n\r\n"
	second := "GET /webhooks/github HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, headers := range map[string]string{
		"length and chunks":          "HTTP/1.1\r\nHost: h\r\nContent-Length: 13\r\nTransfer-Encoding: chunked\r\n",
		"chunks and length":          "HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 13\r\n",
		"chunks alone":               "HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n",
		"chunks of HTTP/1.0":         "HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n",
		"two lengths":                "HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nContent-Length: 13\r\n",
		"chunks with another name":   "HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nTransfer-Encoding: xchunked\r\n",
		"a blank before the colon":   "HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nTransfer-Encoding : chunked\r\n",
		"two encodings":              "HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
		"a length that is no number": "HTTP/1.1\r\nHost: h\r\nContent-Length: +12\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := s.dial(t, 1)
			_, err := io.WriteString(conn, "POST /webhooks/github "+headers+"\r\n"+chunks+second)
			require.NoError(t, err)
			r := bufio.NewReader(conn)
			answer := answerOf(t, r)
			require.GreaterOrEqual(t, answer.StatusCode, 400)
			require.True(t, answer.Close, "%d", answer.StatusCode)
			rest, _ := io.ReadAll(r)
			require.Empty(t, string(rest), "what comes behind it is not answered")
		})
	}
	require.Empty(t, s.starter.events)
}

// TestPipelining sends several deliveries without waiting for answers: they are
// answered in order, and none is lost.
func TestPipelining(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, oneGithub)
	conn := s.dial(t, 1)
	var all []byte
	const n = 20
	for i := range n {
		// Bodies with many lines are no header sections with many lines.
		all = append(all, s.signed(t, fmt.Sprint(i), []byte("{\n"+strings.Repeat("\n", 300*i)+"}"))...)
	}
	go func() { _, _ = conn.Write(all) }()
	r := bufio.NewReader(conn)
	for range n {
		require.Equal(t, http.StatusOK, answerOf(t, r).StatusCode)
	}
	require.Len(t, s.starter.events, n)
}

// TestHeadersAreLimited sends header sections that are too large, or have too
// many lines, which takes far more memory than their bytes.
func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, oneGithub)
	const first = "POST /webhooks/github HTTP/1.1\r\nHost: h\r\n"
	for name, text := range map[string]string{
		"one large header":          first + "X: " + strings.Repeat("x", 17<<10) + "\r\n",
		"many small ones":           first + strings.Repeat("A: b\r\n", 129),
		"many, and no end":          first + strings.Repeat("A: b\r\n", 3000),
		"a first line without end":  "POST " + strings.Repeat("y", 40<<10),
		"empty lines and then many": "\r\n\r\n" + first + strings.Repeat("A: b\r\n", 3000),
		"HTTP/2 without TLS":        "PRI * HTTP/2.0\r\n\r\nSM\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := s.dial(t, 1)
			go func() { _, _ = io.WriteString(conn, text+"\r\n") }()
			answered, err := io.ReadAll(conn)
			require.False(t, isTimeout(err), "the connection is still open")
			for line := range strings.Lines(string(answered)) {
				require.Regexp(t, `^HTTP/1\.[01] (400|404|431|505) `, line)
				break
			}
		})
	}
	require.Equal(t, http.StatusOK, s.deliver(t, 1, "1", []byte("{}")))
}

// TestManyHeadersInPieces sends a header section of the allowed number of lines
// byte by byte, so that each place is once the end of a read.
func TestManyHeadersInPieces(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, oneGithub)
	delivery := string(s.signed(t, "1", []byte("{"+strings.Repeat("\n", 500)+"}")))
	delivery = strings.Replace(delivery, "Host: h\r\n", "Host: h\r\n"+strings.Repeat("A: b\r\n", 100), 1)
	for range 2 { // the second time over the same connection, as the next request
		for _, size := range []int{1, 7, 4096} {
			conn := s.dial(t, 1)
			r := bufio.NewReader(conn)
			for range 2 {
				for rest := delivery; rest != ""; {
					n := min(size, len(rest))
					_, err := io.WriteString(conn, rest[:n])
					require.NoError(t, err)
					rest = rest[n:]
				}
				require.Equal(t, http.StatusOK, answerOf(t, r).StatusCode)
			}
		}
	}
}

// TestForgerDoesNotSpendTheRate posts without signatures, and then with one
// from the same address and from another.
func TestForgerDoesNotSpendTheRate(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, `sources: {github: {provider: github, secrets: [env:S], rate: {per_second: 0.001, burst: 2}}}`)
	statuses := map[int]int{}
	for range 100 {
		conn := s.dial(t, 7)
		_, err := io.WriteString(conn, "POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
		require.NoError(t, err)
		answer := answerOf(t, bufio.NewReader(conn))
		if statuses[answer.StatusCode]++; answer.StatusCode == http.StatusTooManyRequests {
			require.NotEmpty(t, answer.Header.Get("Retry-After"))
		}
		require.NoError(t, conn.Close())
	}
	require.NotZero(t, statuses[http.StatusUnauthorized])
	require.NotZero(t, statuses[http.StatusTooManyRequests], "a peer that does nothing else is limited")
	require.Equal(t, http.StatusOK, s.deliver(t, 7, "1", []byte("{}")), "behind the same address")
	require.Equal(t, http.StatusOK, s.deliver(t, 8, "2", []byte("{}")))
	require.Equal(t, http.StatusTooManyRequests, s.deliver(t, 8, "3", []byte("{}")), "the source's own rate")
}

// TestStalledBodies has 40 connections claim 1.9 MB each, send more than a small
// body, and stall, and reconnect when they are closed. Genuine large bodies are
// taken throughout.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, oneGithub)
	ctx, stop := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	for i := range 40 {
		attack.Go(func() {
			for ctx.Err() == nil {
				conn, err := s.connect(ctx, byte(10+i%20))
				if err != nil {
					continue
				}
				breakOff := context.AfterFunc(ctx, func() { _ = conn.Close() })
				_, _ = fmt.Fprintf(conn, "POST /webhooks/github HTTP/1.1\r\nHost: h\r\nContent-Length: 1900000\r\n\r\n%s", strings.Repeat("x", 100<<10))
				_, _ = io.Copy(io.Discard, conn) // until the edge has enough of it
				breakOff()
				_ = conn.Close()
			}
		})
	}
	t.Cleanup(attack.Wait)
	t.Cleanup(stop)
	large := []byte(`{"a":"` + strings.Repeat("x", 1800<<10) + `"}`)
	for i := range 20 {
		require.Equal(t, http.StatusOK, s.deliver(t, 200, fmt.Sprint(i), large))
	}
}

// TestHostileConnections opens more connections than the edge has, which send
// the beginning of their headers and stall, from one address and from many.
// Genuine senders come through, on new connections and on old ones.
func TestHostileConnections(t *testing.T) {
	t.Parallel()
	s := serveEdge(t, oneGithub)
	old := s.dial(t, 200)
	oldAnswers := bufio.NewReader(old)
	_, err := old.Write(s.signed(t, "old", []byte("{}")))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answerOf(t, oldAnswers).StatusCode)

	for i := range ingest.MaxConnections + 300 {
		conn, err := s.connect(t.Context(), []byte{10, byte(10 + i%100)}[i%2])
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = io.WriteString(conn, "POST /webhooks/github HTTP/1.1\r\nX: ")
		if i%50 == 0 {
			require.Equal(t, http.StatusOK, s.deliver(t, 201, fmt.Sprint(i), []byte("{}")))
		}
	}
	_, err = old.Write(s.signed(t, "old again", []byte("{}")))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answerOf(t, oldAnswers).StatusCode, "a connection over which something was verified is kept")
}
