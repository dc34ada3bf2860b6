package tests

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// service is one that events are forwarded to. It starts out broken, and
// answers 410 to everything, until it is mended.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	works  bool
	served map[string]int // requests taken, by Idempotency-Key
}

func startBroken(t *testing.T) *service {
	s := &service{served: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.works {
			w.WriteHeader(http.StatusGone)
			return
		}
		s.served[r.Header.Get("Idempotency-Key")]++
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.works = true
}

// taken returns how often each key was served so far.
func (s *service) taken() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.served)
}
