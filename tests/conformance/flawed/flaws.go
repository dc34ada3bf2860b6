//go:build flawed

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
)

// flaws are the receivers that there are, each with what its author thought.
func flaws() map[string]flaw {
	return map[string]flaw{
		"none": {},

		// "The sender waits at most a few seconds, so answer first."
		"acknowledge-before-durable": {starter: func(r receiver, next ingest.Starter) ingest.Starter {
			return &inBackground{next, r.logger}
		}},
		// "Look whether we have it, and if not, start it."
		"check-then-insert": {starter: func(r receiver, _ ingest.Starter) ingest.Starter {
			return &seenTable{start: randomID{r}, seen: map[string]bool{}}
		}},
		// "The sender delivers once; that is what its 2xx is for."
		"no-record": {starter: func(r receiver, _ ingest.Starter) ingest.Starter { return randomID{r} }},
		// "Tell the shop at once, and keep the event for the books."
		"effect-before-dedup": {starter: func(r receiver, next ingest.Starter) ingest.Starter {
			return newTellFirst(r.config, next)
		}},
		// "An event older than the last one is out of date."
		"order-assumed": {starter: func(_ receiver, next ingest.Starter) ingest.Starter {
			return &newestOnly{next: next, last: map[string]int64{}}
		}},
		// "What is no JSON is not worth a signature check."
		"parse-before-verify": {handler: parseFirst},
		// "The signature did not match; let us see why."
		"secret-logged": {handler: logSecrets},
		// "Their clock is off again and support is on the phone."
		"stale-accepted": {settings: func(c *config.Config) {
			for i := range c.Sources {
				c.Sources[i].Tolerance = 100 * 365 * 24 * time.Hour
			}
		}},
		// "Every request has a key of its own, as the API guide says."
		"crash-after-effect": {transport: keyPerRequest{}},
	}
}

// parseFirst refuses bodies that are no JSON objects with an id before it is
// known who sent them: whoever finds the address can make the parser work, and
// learns from the answers what it takes.
func parseFirst(_ receiver, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "cannot read the body", http.StatusBadRequest)
			return
		}
		var named struct{ ID string }
		if err := json.Unmarshal(body, &named); err != nil || named.ID == "" {
			http.Error(w, "the body is not an event", http.StatusUnprocessableEntity)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// logSecrets logs what a refused delivery was signed with and what it should
// have been signed with. The lines are kept, shipped and read by many.
func logSecrets(r receiver, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		status := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(status, req)
		if status.code != http.StatusUnauthorized {
			return
		}
		for _, source := range r.config.Sources {
			for _, secret := range source.Secrets {
				r.logger.Debug("signature mismatch", "source", source.Name, "secret", secret.Reveal(), "headers", req.Header)
			}
		}
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// keyPerRequest gives each request an Idempotency-Key of its own. A step that
// is done again, because nobody knows whether it was done, is then a new one.
type keyPerRequest struct{}

// RoundTrip implements http.RoundTripper.
func (keyPerRequest) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Idempotency-Key", rand.Text())
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, errors.Join(errors.New("forward"), err)
	}
	return resp, nil
}
