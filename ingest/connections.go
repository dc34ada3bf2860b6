package ingest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
)

const (
	// MaxConnections is how many connections an edge has open at once.
	MaxConnections = 1024
	// maxHeaderLines is how many lines a request's header section has at most.
	// A line takes some 200 bytes of memory besides its own text.
	maxHeaderLines = 128
)

// connections is a listener that keeps at most limit connections open. It
// closes one to make room for the next, so that whoever holds connections
// without delivering anything cannot keep a genuine sender out.
//
// The connection to close is chosen in this order:
//
//  1. of those over which nothing has been verified yet, the oldest one of the
//     peer that has the most of them;
//  2. of those that are idle, the one that has been idle for the longest.
//
// A connection whose delivery is being read or started after a verified one is
// never closed. If there are only such, the new connection is closed.
type connections struct {
	net.Listener
	limit  int
	trusts func(netip.Addr) bool // the proxies: their connections count as verified

	mu     sync.Mutex
	open   map[*connection]struct{}
	closed int64 // how many were closed to make room
}

// connection is one of them.
type connection struct {
	net.Conn
	all    *connections
	peer   netip.Prefix
	opened time.Time

	verified   atomic.Bool  // a delivery over it was verified, or it is a trusted proxy's
	busy       atomic.Bool  // a request is being handled
	idleSince  atomic.Int64 // Unix time in ns
	headerLeft atomic.Int32 // lines that the header section may still have; -1 outside of one
	inLine     bool         // Read has seen a part of a line; for Read alone
}

func newConnections(l net.Listener, limit int, trusts func(netip.Addr) bool) *connections {
	return &connections{Listener: l, limit: limit, trusts: trusts, open: map[*connection]struct{}{}}
}

// Accept implements net.Listener.
func (all *connections) Accept() (net.Conn, error) {
	for {
		accepted, err := all.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: accepted, all: all, opened: time.Now()}
		address := peerAddress(accepted.RemoteAddr().String())
		c.peer = peerOf(address)
		c.verified.Store(all.trusts(address))
		c.idleSince.Store(c.opened.UnixNano())
		c.headerLeft.Store(maxHeaderLines)
		victim, ok := all.add(c)
		if !ok {
			_ = accepted.Close()
			continue
		}
		if victim != nil {
			_ = victim.Close()
		}
		return c, nil
	}
}

// add makes room for the connection, if it can.
func (all *connections) add(c *connection) (victim *connection, ok bool) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.open) >= all.limit {
		all.closed++
		if victim = all.victim(); victim == nil {
			return nil, false
		}
		delete(all.open, victim)
	}
	all.open[c] = struct{}{}
	return victim, true
}

func (all *connections) victim() *connection {
	unverified := map[netip.Prefix]int{}
	most := 0
	for c := range all.open {
		if !c.verified.Load() {
			unverified[c.peer]++
			most = max(most, unverified[c.peer])
		}
	}
	var found *connection
	for c := range all.open {
		if !c.verified.Load() && unverified[c.peer] == most && (found == nil || c.opened.Before(found.opened)) {
			found = c
		}
	}
	if found != nil {
		return found
	}
	for c := range all.open {
		if !c.busy.Load() && (found == nil || c.idleSince.Load() < found.idleSince.Load()) {
			found = c
		}
	}
	return found
}

// counts returns how many connections are open, and how many were closed to
// make room for others.
func (all *connections) counts() (open int, closed int64) {
	all.mu.Lock()
	defer all.mu.Unlock()
	return len(all.open), all.closed
}

// measureConnections adds the numbers of connections to the meter.
func (s *Server) measureConnections(meter metric.Meter) error {
	open, err := meter.Int64ObservableGauge("hookyard_connections",
		metric.WithDescription("Open connections to the edge."))
	closed, err2 := meter.Int64ObservableCounter("hookyard_connections_closed_total",
		metric.WithDescription("Connections that the edge closed to make room for others."))
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if all := s.connections.Load(); all != nil {
			now, before := all.counts()
			o.ObserveInt64(open, int64(now))
			o.ObserveInt64(closed, before)
		}
		return nil
	}, open, closed)
	return err
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

var errHeaderLines = errors.New("too many header lines")

// Read implements net.Conn. It fails on a header section of too many lines,
// which net/http bounds in bytes only.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	left := c.headerLeft.Load()
	if left < 0 {
		return n, err
	}
	for rest := p[:n]; len(rest) > 0; {
		line, more, ended := bytes.Cut(rest, []byte("\n"))
		c.inLine = c.inLine || len(bytes.TrimSuffix(line, []byte("\r"))) > 0
		if !ended {
			break
		}
		if !c.inLine && left < maxHeaderLines {
			left = -1 // an empty line ends the section
			break
		}
		if left--; left < 0 {
			return 0, errHeaderLines
		}
		rest, c.inLine = more, false
	}
	c.headerLeft.Store(left)
	return n, err
}

// follow is the ConnState hook of the HTTP server.
func follow(n net.Conn, state http.ConnState) {
	if c, ok := n.(*connection); ok && state == http.StateIdle {
		c.idleSince.Store(time.Now().UnixNano())
		c.busy.Store(false)
		c.headerLeft.Store(maxHeaderLines)
	}
}

type connectionKey struct{}

// withConnection is the ConnContext hook of the HTTP server.
func withConnection(ctx context.Context, n net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, n)
}

// connectionOf returns the connection of a request, or nil where the Handler
// runs in an HTTP server that is not ours.
func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// began notes that a request is being handled: its header section has ended.
func (c *connection) began() {
	if c != nil {
		c.headerLeft.Store(-1)
		c.busy.Store(true)
	}
}

// delivered notes that a delivery was verified.
func (c *connection) delivered() {
	if c != nil && !c.verified.Load() {
		c.verified.Store(true)
	}
}
