package conformance

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// downstream is a service behind a receiver, as a careful team writes one: a
// request whose Idempotency-Key it has seen has no second effect, and each
// request without one has an effect of its own.
type downstream struct {
	url string

	mu      sync.Mutex
	calls   []call
	holding chan struct{} // while set, a call has its effect and gets no answer
}

type call struct{ key, body string }

func startDownstream(t *testing.T) *downstream {
	d := &downstream{}
	server := httptest.NewServer(d)
	d.url = server.URL
	t.Cleanup(server.Close)
	return d
}

// ServeHTTP takes one call.
func (d *downstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // a call that did not arrive whole has no effect
	}
	d.mu.Lock()
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		key = fmt.Sprintf("none, call %d", len(d.calls))
	}
	d.calls = append(d.calls, call{key, string(body)})
	holding := d.holding
	d.mu.Unlock()
	if holding == nil {
		return
	}
	select {
	case <-holding:
	case <-r.Context().Done(): // the caller is gone
	}
}

// hold keeps callers waiting for their answer until the returned function is
// called, which may be done again.
func (d *downstream) hold() (release func()) {
	holding := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holding = holding
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.holding = nil
		close(holding)
	})
}

// about returns the calls whose body names the event.
func (d *downstream) about(eventID string) (calls []call) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.calls {
		if strings.Contains(c.body, eventID) {
			calls = append(calls, c)
		}
	}
	return calls
}

// effects counts what was done for the event.
func (d *downstream) effects(eventID string) int {
	keys := map[string]bool{}
	for _, c := range d.about(eventID) {
		keys[c.key] = true
	}
	return len(keys)
}
