package ingest

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
)

// postSigned delivers a signed push of GitHub's.
func postSigned(t *testing.T, s *Server, source *Source, id string) *httptest.ResponseRecorder {
	d := provider.SampleDelivery("", []byte("{}"))
	require.NoError(t, source.Provider.Stamp(d, id, "push"))
	require.NoError(t, source.Provider.Sign(d))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/"+source.name, bytes.NewReader(d.Body))
	r.Header = d.Header
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// limited is a source of one delivery per so much time.
func limited(t *testing.T, name string, every time.Duration) *Source {
	return &Source{Provider: receiver(t, "github"), name: name, maxBody: 100, limiter: rate.NewLimiter(rate.Every(every), 1)}
}

func TestReload(t *testing.T) {
	t.Parallel()
	starts := &heldStarts{held: map[string]bool{}}
	sources := map[string]*Source{"kept": limited(t, "kept", time.Hour), "changed": limited(t, "changed", time.Hour), "gone": limited(t, "gone", time.Hour)}
	s := New(Options{Sources: sources, Starter: starts, Logger: slog.New(slog.DiscardHandler)})
	for name, source := range sources {
		require.Equal(t, http.StatusOK, postSigned(t, s, source, name).Code)
		require.Equal(t, http.StatusTooManyRequests, postSigned(t, s, source, name).Code)
	}
	s.Reload(Options{Sources: map[string]*Source{
		"kept": limited(t, "kept", time.Hour), "changed": limited(t, "changed", time.Minute), "added": limited(t, "added", time.Hour),
	}})
	for name, want := range map[string]int{
		"kept":    http.StatusTooManyRequests, // a reload is no way around a limit
		"changed": http.StatusOK,
		"added":   http.StatusOK,
		"gone":    http.StatusNotFound,
	} {
		require.Equal(t, want, postSigned(t, s, limited(t, name, time.Hour), "2").Code, name)
	}
}

// TestReloadWatch sees that what people were told, and what was counted, is
// known after a reload.
func TestReloadWatch(t *testing.T) {
	t.Parallel()
	w := newWatchTest()
	w.refuse(t.Context(), 20, 1, notVerified)
	w.pass(t.Context(), 10*time.Second)
	require.Empty(t, cmp.Diff([]string{"a refused 20 (not-verified 20)"}, w.pager.told))

	s := New(Options{Watch: w.Watch, Logger: slog.New(slog.DiscardHandler)})
	next := NewWatch(WatchOptions{
		Sources: []config.Source{
			{Name: "a", ExpectEvery: time.Hour, AlertRefused: &config.AlertRefused{PerMinute: 10}},
			{Name: "new", ExpectEvery: time.Hour},
		},
		Alerter: w.pager, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now },
	})
	s.Reload(Options{Watch: next})
	w.Watch = s.snapshot.Load().watch
	w.pass(t.Context(), 10*time.Second)
	require.Len(t, w.pager.told, 1, "nobody is told twice")
	w.pass(t.Context(), 10*time.Minute)
	require.Equal(t, "a refused over", w.pager.told[len(w.pager.told)-1])

	s.Reload(Options{})
	s.snapshot.Load().watch.look(t.Context())
}
