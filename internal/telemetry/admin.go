package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // it also registers itself with http.DefaultServeMux, which nothing here serves
	"time"
)

// Check returns what keeps a process from its work; nil where nothing does.
type Check func(ctx context.Context) error

// checkWithin is how long a Check may take: probes seldom wait longer.
const checkWithin = 3 * time.Second

// Admin answers those who run the process:
//
//	/healthz      200 while the process answers at all, whatever is broken
//	              around it: starting it anew would mend nothing
//	/readyz       200 while ready returns nil, else 503 with what is missing
//	/metrics      Prometheus
//	/debug/pprof/ Go's profiles
//
// None of it asks who is asking, so it belongs on an address of its own.
func (t *Telemetry) Admin(ready Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, "alive\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkWithin)
		defer cancel()
		if err := ready(ctx); err != nil {
			refuse(w, err)
			return
		}
		say(w, "ready\n")
	})
	mux.Handle("GET /metrics", t.Metrics())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, "/healthz\n/readyz\n/metrics\n/debug/pprof/\n")
	})
	return mux
}

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // a prober that is gone needs no answer
}

// Problem is an RFC 9457 problem detail.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func refuse(w http.ResponseWriter, missing error) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(Problem{ // as above
		Type: "urn:hookyard:problem:not-ready", Title: "not ready", Status: http.StatusServiceUnavailable, Detail: missing.Error(),
	})
}

// Serve answers on l until ctx ends. A scrape or a profile that is then under
// way has a second to finish.
func Serve(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("admin: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(limit) != nil {
		_ = server.Close() // what is still under way is cut off, as it was to be
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}
