package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// happened is one event at a provider.
type happened struct {
	ID, Type, Body string
	At             time.Time
}

// api is what the APIs of these tests have in common: a key that has to be
// there, a limit of requests, errors in the middle, and a place where a request
// can be held up.
type api struct {
	*httptest.Server
	mu        sync.Mutex
	events    []happened // the newest first
	pages     int
	failures  map[int]func(w http.ResponseWriter) // by page that is asked for
	held      chan struct{}                       // closed once page holdAt is asked for; nil for never
	goOn      chan struct{}
	holdAt    int
	strangers int // requests without the key
	deliver   func(e happened)
}

// set changes the API.
func (a *api) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// next has the next page that is asked for answered otherwise.
func (a *api) next(answer func(w http.ResponseWriter)) {
	a.set(func() { a.failures[a.pages+1] = answer })
}

// asked returns how many pages were asked for, and how many requests had no key.
func (a *api) asked() (pages, strangers int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pages, a.strangers
}

func startAPI(t *testing.T, serve func(a *api, w http.ResponseWriter, r *http.Request)) *api {
	a := &api{failures: map[int]func(http.ResponseWriter){}, held: make(chan struct{}), goOn: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secret {
			a.mu.Lock()
			a.strangers++
			a.mu.Unlock()
			http.Error(w, `{"error":{"message":"invalid key"}}`, http.StatusUnauthorized)
			return
		}
		serve(a, w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// page counts a request for a page, and reports whether it was answered with an
// error.
func (a *api) page(w http.ResponseWriter, r *http.Request) (failed bool) {
	a.mu.Lock()
	a.pages++
	hold, failure := a.pages == a.holdAt, a.failures[a.pages]
	a.mu.Unlock()
	if hold {
		close(a.held)
		select {
		case <-a.goOn:
		case <-r.Context().Done():
		}
	}
	if failure != nil {
		failure(w)
		return true
	}
	return false
}

func (a *api) listed() []happened {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.events)
}

// limited answers as an API that wants fewer requests.
func limited(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, `{"error":{"type":"rate_limit"}}`, http.StatusTooManyRequests)
}

func broken(w http.ResponseWriter) { http.Error(w, "<html>bad gateway", http.StatusBadGateway) }

// startStripe is GET /v1/events as docs.stripe.com/api/events/list has it.
func startStripe(t *testing.T) *api {
	return startAPI(t, func(a *api, w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/events" {
			http.Error(w, `{"error":{"message":"unrecognized request URL"}}`, http.StatusNotFound)
			return
		}
		if a.page(w, r) {
			return
		}
		query := r.URL.Query()
		limit, from, to := number(query.Get("limit"), 10), number(query.Get("created[gte]"), 0), number(query.Get("created[lte]"), 1<<40)
		after, skipping := query.Get("starting_after"), query.Get("starting_after") != ""
		data, more := []json.RawMessage{}, false
		for _, e := range a.listed() {
			if created := int(e.At.Unix()); created < from || created > to {
				continue
			}
			if skipping {
				skipping = e.ID != after
				continue
			}
			if len(data) == limit {
				more = true
				break
			}
			data = append(data, json.RawMessage(e.Body))
		}
		respond(w, map[string]any{"object": "list", "url": "/v1/events", "has_more": more, "data": data})
	})
}

// startGitHub is the list of a webhook's deliveries as docs.github.com has it,
// and the call that has one delivered again, which api.deliver does.
func startGitHub(t *testing.T) *api {
	return startAPI(t, func(a *api, w http.ResponseWriter, r *http.Request) {
		events := a.listed()
		if id, asked := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/attempts"), "/repos/o/r/hooks/1/deliveries/"); asked && r.Method == http.MethodPost {
			i := number(id, 0) - 1000
			if i < 0 || i >= len(events) {
				http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
				return
			}
			w.WriteHeader(http.StatusAccepted)
			a.mu.Lock()
			deliver := a.deliver
			a.mu.Unlock()
			go deliver(events[i]) // as a queue does
			return
		}
		if r.URL.Path != "/repos/o/r/hooks/1/deliveries" {
			http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
			return
		}
		if a.page(w, r) {
			return
		}
		first, limit := number(r.URL.Query().Get("cursor"), 0), number(r.URL.Query().Get("per_page"), 30)
		items := []map[string]any{}
		for i := first; i < len(events) && len(items) < limit; i++ {
			items = append(items, map[string]any{
				"id": 1000 + i, "guid": events[i].ID, "delivered_at": events[i].At.UTC().Format(time.RFC3339), "redelivery": false,
				"status": "OK", "status_code": 200, "event": events[i].Type, "action": nil,
			})
		}
		if next := first + limit; next < len(events) {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?per_page=%d&cursor=%d>; rel="next"`, a.URL, r.URL.Path, limit, next))
		}
		respond(w, items)
	})
}

func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}

func respond(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// stripeEvent is an event as both the list and the webhook have it.
func stripeEvent(t *testing.T, id, eventType string, at time.Time) happened {
	body, err := json.Marshal(map[string]any{"id": id, "object": "event", "type": eventType, "created": at.Unix(), "data": map[string]any{"object": map[string]any{"id": "in_" + id}}})
	require.NoError(t, err)
	return happened{id, eventType, string(body), at}
}
