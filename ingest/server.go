// Package ingest is the edge: it turns an HTTP request that nobody vouches
// for into an event that Temporal holds, and answers only then.
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
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/hookyard/hookyard/event"
)

// Options are what a Server needs.
type Options struct {
	Sources map[string]*Source
	Starter Starter
	Logger  *slog.Logger
	// PublicURL is how providers reach this server, without a path
	// ("https://hooks.example.com"). Schemes that sign the URL sign this
	// one; the Host header, which the sender chooses, is never used.
	PublicURL string
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Watch counts what becomes of deliveries; nil for none.
	Watch *Watch
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Server is the edge.
type Server struct {
	sources   map[string]*Source
	starter   Starter
	logger    *slog.Logger
	publicURL string
	proxies   []netip.Prefix
	watch     *Watch
	now       func() time.Time
}

// New returns a Server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{
		sources:   o.Sources,
		starter:   o.Starter,
		logger:    o.Logger,
		publicURL: strings.TrimRight(o.PublicURL, "/"),
		proxies:   o.TrustedProxies,
		watch:     o.Watch,
		now:       o.Now,
	}
}

// Handler routes deliveries.
func (s *Server) Handler() http.Handler {
	// A cleaned path is answered with a redirect, which providers count as
	// a failure.
	router := mux.NewRouter().SkipClean(true)
	router.HandleFunc("/webhooks/{source}", s.serve)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeRefusal(w, refuse(unknownSource, nil))
	})
	return router
}

// serve answers one delivery and writes its line in the log.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	n := &note{started: time.Now()}
	defer func() {
		if broken := recover(); broken != nil {
			s.logger.Error("a delivery broke its handler", append(n.attributes(), "err", fmt.Sprint(broken), "stack", string(debug.Stack()))...)
			writeRefusal(w, refuse(internal, nil))
			s.watch.refused(n.source, internal)
		}
	}()
	err := s.receive(w, r, n)
	if err == nil {
		s.watch.took(n.source, n.outcome)
		s.logger.Info("delivery", append(n.attributes(), "outcome", n.outcome)...)
		return
	}
	var refused *refusal
	if !errors.As(err, &refused) {
		refused = refuse(internal, err)
	}
	status := writeRefusal(w, refused)
	s.watch.refused(n.source, refused.reason)
	s.logger.Log(r.Context(), levelOf(status), "delivery", append(n.attributes(), "outcome", "refused", "status", status, "err", refused)...)
}

// note gathers what a delivery's log line says.
type note struct {
	started          time.Time
	outcome          outcome
	source, provider string
	eventID          string
	eventType        string
	workflowID       string
}

func (n *note) event(ev event.Event) {
	n.eventID, n.eventType, n.workflowID = ev.ID, ev.Type, ev.WorkflowID()
}

func (n *note) attributes() []any {
	attributes := []any{"source", n.source, "provider", n.provider}
	if n.workflowID != "" {
		attributes = append(attributes, "event_id", n.eventID, "event_type", n.eventType, "workflow_id", n.workflowID)
	}
	return append(attributes, "took", time.Since(n.started))
}

// The limits of a connection. A provider sends its headers at once and a body
// of a megabyte in seconds; whoever takes longer holds a connection on
// purpose.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 40 * time.Second // reading, starting and answering
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Serve takes deliveries from the listener until ctx ends. It then refuses new
// connections, lets the requests in flight finish for at most drain, and
// returns nil. The Watch ends with ctx.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch.run(watching)
	}()
	defer func() {
		stopWatching()
		<-watched
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("edge: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(limit)
	if err != nil {
		// What is still in flight gets no answer and is sent again.
		err = fmt.Errorf("edge: requests were still in flight after %s: %w", drain, errors.Join(err, server.Close()))
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("edge: %w", ended))
	}
	return err
}
