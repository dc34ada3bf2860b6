// Package ingest is the edge. It verifies HTTP requests of webhook providers and
// answers only after Temporal has stored their events.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Options are what a Server needs.
type Options struct {
	Sources map[string]*Source
	Starter Starter
	// Journal takes the events of the sources that have one; nil where none has.
	Journal Starter
	Logger  *slog.Logger
	// PublicURL is how providers reach this server, without a path
	// ("https://hooks.example.com"). Schemes that sign the URL sign this
	// one; the Host header, which the sender chooses, is never used.
	PublicURL string
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Pauses lists the paused sources, whose events start as held. Nil means
	// that no source is ever paused.
	Pauses PauseLister
	// Check returns nil while Temporal is there and well. It is asked when a start
	// finds it away or takes long, and then until it is back; meanwhile deliveries
	// are refused at once. Nil means that each start finds out by itself.
	Check func(ctx context.Context) error
	// Watch counts taken and refused deliveries; nil for none.
	Watch *Watch
	// HandedOver is the folder for secrets that providers hand over in a
	// handshake. Each one gets a file that only its owner may read. Where it
	// is "", such a handshake is answered 503.
	HandedOver string
	// Meter keeps the metrics; nil for none.
	Meter metric.Meter
	// Trace gives each request a span in its context; nil for none.
	Trace func(http.Handler) http.Handler
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Server is the edge.
type Server struct {
	snapshot    atomic.Pointer[snapshot]
	connections atomic.Pointer[connections] // nil before Serve
	journal     Starter
	gate        *gate
	pauses      *pauses
	logger      *slog.Logger
	peers       *peers
	room        *room
	handed      handedOver
	metrics     *metrics
	trace       func(http.Handler) http.Handler
	now         func() time.Time
}

// New returns a Server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Meter == nil {
		o.Meter = noop.NewMeterProvider().Meter("")
	}
	s := &Server{
		journal: o.Journal,
		pauses:  &pauses{lister: o.Pauses, logger: o.Logger},
		logger:  o.Logger,
		peers:   newPeers(),
		room:    newRoom(time.Now),
		handed:  handedOver{folder: o.HandedOver},
		trace:   o.Trace,
		now:     o.Now,
	}
	s.gate = newGate(o, s.pauses)
	s.snapshot.Store(newSnapshot(o))
	s.metrics = newMetrics(o.Meter, s.sources, o.Logger)
	if err := errors.Join(s.pauses.register(o.Meter, s.sources), s.gate.register(o.Meter), s.measureConnections(o.Meter)); err != nil {
		o.Logger.Error("metrics cannot be kept", "err", err)
	}
	return s
}

// sources returns the sources of the current config.
func (s *Server) sources() map[string]*Source { return s.snapshot.Load().sources }

// Handler routes deliveries.
func (s *Server) Handler() http.Handler {
	// mux answers a path that is not clean with a redirect, which providers
	// count as a failure.
	router := mux.NewRouter().SkipClean(true)
	router.HandleFunc("/webhooks/{source}", s.serve)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			leaveUnread(w)
		}
		writeRefusal(w, refuse(unknownSource, nil))
	})
	if s.trace != nil {
		return framed(s.trace(router))
	}
	return framed(router)
}

// framed closes the connection after a request whose length another program on
// the way may have read in another way: one with Transfer-Encoding, which
// net/http prefers to a Content-Length beside it and does not tell, and one of
// HTTP/1.0, which knows no Transfer-Encoding (RFC 9112, 6.1). What follows such
// a request is never read as a request.
func framed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connectionOf(r.Context()).began()
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// serve answers one delivery, and writes its log line, metrics and span.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	ctx, now, rec := r.Context(), s.snapshot.Load(), &record{started: time.Now()}
	s.metrics.inFlight.Add(ctx, 1)
	defer func() {
		if broken := recover(); broken != nil {
			s.log(r, slog.LevelError, rec, slog.String("outcome", "panicked"), slog.Any("err", broken), slog.String("stack", string(debug.Stack())))
			rec.declined(internal, writeRefusal(w, refuse(internal, nil)))
			now.watch.refused(rec.source, internal)
		}
		s.metrics.inFlight.Add(ctx, -1)
		s.metrics.answered(ctx, rec)
		rec.tag(ctx)
	}()
	err := s.receive(w, r, now, rec)
	if err == nil {
		now.watch.took(rec.source, rec.outcome)
		s.log(r, slog.LevelInfo, rec, slog.String("outcome", string(rec.outcome)))
		return
	}
	var refused *refusal
	if !errors.As(err, &refused) {
		refused = refuse(internal, err)
	}
	if !rec.read && r.ContentLength != 0 {
		leaveUnread(w)
	}
	status := writeRefusal(w, refused)
	rec.declined(refused.reason, status)
	now.watch.refused(rec.source, refused.reason)
	s.log(r, levelOf(refused, status), rec, slog.String("outcome", "refused"), slog.Int("status", status), slog.Any("err", refused))
}

// The limits of a connection. A provider sends its headers at once, and a body
// of a megabyte within seconds.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 40 * time.Second // reading, starting and answering
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16<<10 - 4<<10 // net/http adds 4 KiB
)

// Serve takes deliveries from the listener until ctx ends. It then refuses new
// connections, lets the requests in flight finish for at most drain, and
// returns nil. The Watch ends with ctx.
//
// Only HTTP/1.1 and 1.0 are spoken: HTTP/2 without TLS is answered 400.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	all := newConnections(l, MaxConnections, func(a netip.Addr) bool { return s.snapshot.Load().trusts(a) })
	s.connections.Store(all)
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       withConnection,
		ConnState:         follow,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	beside, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.watchOver(beside) })
	// Deliveries that are still in flight after ctx has ended use the last
	// known pauses.
	running.Go(func() { s.pauses.run(context.WithValue(beside, doubtKey{}, s.gate.doubtful)) })
	sweeping, stopSweeping := context.WithCancel(context.WithoutCancel(ctx))
	running.Go(func() { s.room.sweep(sweeping) }) // until the last body has been read
	running.Go(func() { s.gate.run(sweeping) })   // until the last event has been started
	defer func() {
		stop()
		stopSweeping()
		running.Wait()
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(all) }()
	select {
	case err := <-served:
		return fmt.Errorf("edge: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(limit)
	if err != nil {
		// Requests that are still in flight get no answer; their senders send
		// them again.
		err = fmt.Errorf("edge: requests were still in flight after %s: %w", drain, errors.Join(err, server.Close()))
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("edge: %w", ended))
	}
	return err
}
