// Package peers holds what the tests of several packages share: programs that
// Hookyard talks to, and a way to run one Activity. There is an HTTP
// service that keeps what it got, and a mail server.
package peers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Inbox is an HTTP server that keeps what it got.
type Inbox struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
}

// NewInbox starts an Inbox that answers as it is told and ends with the test.
func NewInbox(t *testing.T, answer http.HandlerFunc) *Inbox {
	t.Helper()
	in := &Inbox{}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in.mu.Lock()
		in.requests, in.bodies = append(in.requests, r), append(in.bodies, body)
		in.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(in.Close)
	return in
}

// Requests returns the requests that came in, and their bodies.
func (in *Inbox) Requests() ([]*http.Request, [][]byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.requests), slices.Clone(in.bodies)
}

// Only returns the one request that came in, and its body.
func (in *Inbox) Only(t *testing.T) (*http.Request, []byte) {
	t.Helper()
	requests, bodies := in.Requests()
	require.Len(t, requests, 1)
	return requests[0], bodies[0]
}

// Accept answers 202.
func Accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }
