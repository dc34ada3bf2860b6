// Package api is the HTTP API of sending: endpoints, events, deliveries and
// tokens. openapi.yaml describes it, and tests hold the handlers to that.
package api

import (
	"context"
	_ "embed" // the description
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/internal/send/attempt"
	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// Options are the settings of a Server.
type Options struct {
	Book    *endpoint.Book
	Starter *attempt.Starter
	// Namespace is that of the Starter's client.
	Namespace string
	HTTP      *egress.Client
	// Keys are the operator's. The first one signs tokens.
	Keys []string
	// PerSecond bounds the requests of one tenant; 0 for 100.
	PerSecond float64
	// Keep is how long messages are kept.
	Keep   time.Duration
	Logger *slog.Logger
	// Meter counts requests and events; nil for no metrics.
	Meter metric.Meter
	Now   func() time.Time // nil for time.Now
}

// Server is the API.
type Server struct {
	Options
	handler http.Handler

	requests, events metric.Int64Counter
	leaveToRelay     atomic.Int64 // in Unix nanoseconds: until when the relay starts what is published

	mu       sync.Mutex
	limiters map[string]*rate.Limiter // by tenant
}

// openAPI is the description of the API, in OpenAPI 3.1.
//
//go:embed openapi.json
var openAPI []byte

// maxRequest is the largest request, in bytes: a body in base64, and the rest.
const maxRequest = endpoint.MaxBody*4/3 + 64<<10

const defaultPerSecond = 100

// New returns the API. The error is that of the Meter.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.PerSecond == 0 {
		o.PerSecond = defaultPerSecond
	}
	if o.Meter == nil {
		o.Meter = noop.Meter{}
	}
	s := &Server{Options: o, limiters: map[string]*rate.Limiter{}}
	var err, err2 error
	s.requests, err = o.Meter.Int64Counter("hookyard_send_requests_total", metric.WithDescription("Requests to the API of the sending side, by route and status."))
	s.events, err2 = o.Meter.Int64Counter("hookyard_send_events_total", metric.WithDescription("Events that were published by the API. The result is accepted or duplicate."))
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	r := mux.NewRouter()
	r.HandleFunc("/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI) // the caller has gone
	}).Methods(http.MethodGet)
	for _, route := range s.routes() {
		r.Handle(route.path, s.handle(route)).Methods(route.method)
	}
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { notFound().write(w) })
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		wrong(http.StatusMethodNotAllowed, "method_not_allowed", "this path does not take the method").write(w)
	})
	s.handler = r
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers requests until ctx ends, and then for as long as drain those
// that are under way.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	server := &http.Server{
		Handler: s, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(ending)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	return errors.Join(err, notClosed(<-served))
}

// notClosed is the error of a server that has ended, less that it was asked to.
func notClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// request is a request of somebody who is known.
type request struct {
	*http.Request
	caller
	vars map[string]string
}

// route is one path with one method.
type route struct {
	method, path string
	operator     bool // for the operator alone
	do           func(r *request) (status int, body any, err error)
}

func (s *Server) routes() []route {
	const one = "/v1/endpoints/{id}"
	return []route{
		{method: http.MethodPost, path: "/v1/endpoints", do: s.createEndpoint},
		{method: http.MethodGet, path: "/v1/endpoints", do: s.listEndpoints},
		{method: http.MethodGet, path: one, do: s.getEndpoint},
		{method: http.MethodPatch, path: one, do: s.patchEndpoint},
		{method: http.MethodDelete, path: one, do: s.deleteEndpoint},
		{method: http.MethodPost, path: one + "/verify", do: s.verifyEndpoint},
		{method: http.MethodPost, path: one + "/rotate", do: s.rotateSecret},
		{method: http.MethodGet, path: one + "/secret", do: s.getSecret},
		{method: http.MethodPost, path: one + "/enable", do: s.enableEndpoint},
		{method: http.MethodPost, path: one + "/disable", do: s.disableEndpoint},
		{method: http.MethodPost, path: one + "/replay", do: s.replay},
		{method: http.MethodGet, path: one + "/replays/{replay}", do: s.getReplay},
		{method: http.MethodPost, path: "/v1/events", do: s.publish},
		{method: http.MethodGet, path: "/v1/deliveries", do: s.listDeliveries},
		{method: http.MethodGet, path: "/v1/deliveries/{id}", do: s.getDelivery},
		{method: http.MethodPost, path: "/v1/deliveries/{id}/retry", do: s.retryDelivery},
		{method: http.MethodPost, path: "/v1/tenants/{tenant}/token", operator: true, do: s.mintToken},
	}
}

// counted remembers the status of an answer.
type counted struct {
	http.ResponseWriter
	status int
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// count counts an answer.
func (s *Server) count(ctx context.Context, to route, w *counted) {
	s.requests.Add(ctx, 1, metric.WithAttributes(attribute.String("route", to.method+" "+to.path), attribute.Int("status", w.status)))
}

// handle is the way of every request: who is it, how many of theirs are there,
// what do they want.
func (s *Server) handle(route route) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w := &counted{ResponseWriter: out, status: http.StatusOK}
		defer s.count(r.Context(), route, w)
		who, known := identify(r.Header.Get("Authorization"), s.Keys, s.Now())
		if !known {
			w.Header().Set("WWW-Authenticate", "Bearer")
			wrong(http.StatusUnauthorized, "unauthorized", "want Authorization: Bearer with an operator key, or a token that is good").write(w)
			return
		}
		if wait := s.over(who); wait > 0 {
			p := wrong(http.StatusTooManyRequests, "too_many_requests", "the tenant makes too many requests")
			p.after = wait
			p.write(w)
			return
		}
		if route.operator && !who.operator() {
			notFound().write(w)
			return
		}
		r.Body = http.MaxBytesReader(out, r.Body, maxRequest)
		status, body, err := route.do(&request{Request: r, caller: who, vars: mux.Vars(r)})
		if err != nil {
			p := asProblem(err)
			if p.status >= http.StatusInternalServerError {
				s.Logger.Error("a request to the sending API failed", "method", r.Method, "path", route.path, "err", err)
			}
			p.write(w)
			return
		}
		write(w, status, body)
	})
}

// over returns how long a tenant has to wait; the operator never does.
func (s *Server) over(who caller) time.Duration {
	if who.operator() {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limiters[who.tenant]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(s.PerSecond), int(2*s.PerSecond)+1)
		s.limiters[who.tenant] = l
	}
	if l.Allow() {
		return 0
	}
	return time.Second
}

// read decodes a body of JSON, strictly.
func (r *request) read(into any) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return wrong(http.StatusUnsupportedMediaType, "unsupported_media_type", "want Content-Type: application/json")
	}
	body, err := io.ReadAll(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return wrong(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the request is larger than %d bytes", maxRequest))
	}
	if err != nil {
		return wrong(http.StatusBadRequest, "not_json", "the body did not arrive")
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	if err := strictly(body, into); err != nil {
		return err
	}
	return nil
}

// forTenant returns the tenant that a request is about: the caller's own or, for
// the operator, the one that is named.
func (r *request) forTenant(named string) (string, error) {
	switch {
	case !r.operator() && named != "" && named != r.tenant:
		return "", notFound()
	case !r.operator():
		return r.tenant, nil
	case !endpoint.IsTenant(named):
		return "", invalid("tenant", "want "+endpoint.WantTenant)
	default:
		return named, nil
	}
}

// own returns an endpoint of the caller's. Another tenant's is not found.
func (s *Server) own(r *request, id string) (*endpoint.Endpoint, error) {
	e, err := s.Book.Get(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if !r.operator() && e.Tenant != r.tenant {
		return nil, notFound()
	}
	return e, nil
}

func (s *Server) mintToken(r *request) (int, any, error) {
	tenant := r.vars["tenant"]
	if !endpoint.IsTenant(tenant) {
		return 0, nil, invalid("tenant", "want "+endpoint.WantTenant)
	}
	var in struct {
		For duration `json:"for"`
	}
	if err := r.read(&in); err != nil {
		return 0, nil, err
	}
	if in.For == 0 {
		in.For = duration(longestToken)
	}
	if time.Duration(in.For) < shortestToken || time.Duration(in.For) > longestToken {
		return 0, nil, invalid("for", "want 1m to 24h")
	}
	expires := s.Now().Add(time.Duration(in.For)).UTC().Truncate(time.Second)
	return http.StatusCreated, map[string]any{"token": mint(s.Keys[0], tenant, expires), "tenant": tenant, "expires_at": expires}, nil
}

// Routes returns how many routes the description has to describe.
func (s *Server) Routes() int { return len(s.routes()) }
