package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// pager is an Alerter that remembers.
type pager struct {
	fails error
	told  []string
}

func (p *pager) Alert(_ context.Context, t Trouble) error {
	if p.fails != nil {
		return p.fails
	}
	text := fmt.Sprintf("%s %s", t.Source, t.Kind)
	switch {
	case t.Over:
		text += " over"
	case t.Kind == TroubleRefused:
		text += fmt.Sprintf(" %d (%s)", t.Refused, t.Reasons)
	default:
		text += " since " + t.Since.Format("15:04")
	}
	p.told = append(p.told, text)
	return nil
}

// watchTest is a Watch of "a", of at most 10 refusals a minute and a delivery
// an hour, and of "quiet", which asks for nothing; and a clock.
type watchTest struct {
	*Watch
	pager *pager
	now   time.Time
}

func newWatchTest() *watchTest {
	w := &watchTest{pager: &pager{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.Watch = NewWatch(WatchOptions{
		Sources: []config.Source{
			{Name: "a", ExpectEvery: time.Hour, AlertRefused: &config.AlertRefused{PerMinute: 10}},
			{Name: "quiet"},
		},
		Alerter: w.pager,
		Logger:  slog.New(slog.DiscardHandler),
		Now:     func() time.Time { return w.now },
	})
	return w
}

// pass lets time go by, with a look as often as in production.
func (w *watchTest) pass(ctx context.Context, d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(watchEvery)
		w.look(ctx)
	}
}

// refuse refuses n deliveries a second for so many seconds.
func (w *watchTest) refuse(ctx context.Context, n, seconds int, why reason) {
	for range seconds {
		for range n {
			w.refused("a", why)
			w.refused("quiet", why)
			w.refused("nobody", why)
		}
		w.now = w.now.Add(time.Second)
		w.look(ctx)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		play func(ctx context.Context, w *watchTest)
		want []string
	}{
		{"nothing", func(context.Context, *watchTest) {}, nil},
		{"refusals at the limit", func(ctx context.Context, w *watchTest) {
			w.refuse(ctx, 10, 1, notVerified)
			w.pass(ctx, 10*time.Minute)
		}, nil},
		{"above it, spread over two minutes", func(ctx context.Context, w *watchTest) {
			for range 20 {
				w.refuse(ctx, 1, 1, notVerified)
				w.pass(ctx, 5*time.Second)
			}
		}, nil},
		{"above it, for long", func(ctx context.Context, w *watchTest) {
			w.refuse(ctx, 1, 600, notVerified)
		}, []string{"a refused 11 (not-verified 11)"}},
		{"of both kinds, and over", func(ctx context.Context, w *watchTest) {
			w.refused("a", notVerified)
			w.refuse(ctx, 10, 1, notStored)
			w.pass(ctx, 5*time.Minute)
			w.pager.told = append(w.pager.told, "five minutes later")
			w.pass(ctx, 2*time.Minute)
		}, []string{"a refused 11 (not-stored 10, not-verified 1)", "five minutes later", "a refused over"}},
		{"around the limit", func(ctx context.Context, w *watchTest) {
			for range 5 {
				w.refuse(ctx, 11, 1, overRate)
				w.pass(ctx, 4*time.Minute)
			}
			w.pass(ctx, 10*time.Minute)
		}, []string{"a refused 11 (over-rate 11)", "a refused over"}},
		{"again", func(ctx context.Context, w *watchTest) {
			w.refuse(ctx, 11, 1, overRate)
			w.pass(ctx, 10*time.Minute)
			w.refuse(ctx, 12, 1, notStored)
		}, []string{"a refused 11 (over-rate 11)", "a refused over", "a refused 12 (not-stored 12)"}},
		{"silence", func(ctx context.Context, w *watchTest) {
			w.pass(ctx, 30*time.Minute)
			w.took("a", duplicate)
			w.pass(ctx, 55*time.Minute)
			w.took("a", greeted) // says nothing about events
			w.pass(ctx, 3*time.Hour)
			w.took("a", ignored)
			w.pass(ctx, time.Minute)
		}, []string{"a silent since 12:30", "a silent over"}},
		{"silence from the start", func(ctx context.Context, w *watchTest) {
			w.pass(ctx, time.Hour-watchEvery)
			w.pager.told = append(w.pager.told, "almost an hour later")
			w.pass(ctx, watchEvery)
		}, []string{"almost an hour later", "a silent since 12:00"}},
		{"refusals are not deliveries", func(ctx context.Context, w *watchTest) {
			w.pass(ctx, 50*time.Minute)
			w.refuse(ctx, 1, 1, notVerified)
			w.pass(ctx, 11*time.Minute)
		}, []string{"a silent since 12:00"}},
		{"nobody can be told for a while", func(ctx context.Context, w *watchTest) {
			w.pager.fails = errors.New("down")
			w.refuse(ctx, 1, 300, notVerified)
			w.pager.fails = nil
			w.refuse(ctx, 2, 120, notStored)
		}, []string{"a refused 70 (not-stored 22, not-verified 48)"}},
		{"nobody can be told until it is over", func(ctx context.Context, w *watchTest) {
			w.pager.fails = errors.New("down")
			w.refuse(ctx, 20, 1, notVerified)
			w.pass(ctx, 10*time.Minute)
			w.pager.fails = nil
			w.pass(ctx, 10*time.Minute)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWatchTest()
			tt.play(t.Context(), w)
			require.Empty(t, cmp.Diff(tt.want, w.pager.told))
		})
	}
}

func TestWatchOfNothing(t *testing.T) {
	t.Parallel()
	w := NewWatch(WatchOptions{Sources: []config.Source{{Name: "quiet"}}})
	require.Nil(t, w)
	w.took("quiet", accepted)
	w.refused("quiet", notStored)
	w.look(t.Context())
}

// TestServerCounts sees that every answer of the edge is counted, a panic's
// too.
func TestServerCounts(t *testing.T) {
	t.Parallel()
	w := newWatchTest()
	source := &Source{Provider: receiver(t, "github"), name: "a", maxBody: 10}
	server := New(Options{
		Sources: map[string]*Source{"a": source}, Starter: broken{}, Logger: slog.New(slog.DiscardHandler),
		Watch: w.Watch, Now: func() time.Time { return w.now },
	})
	post := func(body string, sign bool) {
		d := provider.SampleDelivery("", []byte(body))
		if sign {
			require.NoError(t, source.Provider.Stamp(d, "1", "push"))
			require.NoError(t, source.Provider.Sign(d))
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/a", bytes.NewReader(d.Body))
		r.Header = d.Header
		server.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	post("{}", false)
	post("more than 10 bytes", true)
	post("{}", true)
	_, reasons := w.sources["a"].refusals.last(w.now)
	require.Equal(t, "body-too-large 1, internal 1, not-verified 1", reasons)

	w.now = w.now.Add(time.Minute)
	server.gate.next = takesAll{}
	post("{}", true)
	require.Empty(t, cmp.Diff(w.now, w.sources["a"].taken))
}

// takesAll is a Starter.
type takesAll struct{}

func (takesAll) Start(context.Context, event.Event, converter.RawValue) error { return nil }

// stuck is an Alerter that hangs until it is told to stop.
type stuck struct{ called chan struct{} }

func (s stuck) Alert(ctx context.Context, _ Trouble) error {
	close(s.called)
	<-ctx.Done()
	return ctx.Err()
}

// TestServeWithAStuckAlerter sees that deliveries are answered while an alert
// hangs, and that Serve ends all the same, with its goroutine.
func TestServeWithAStuckAlerter(t *testing.T) {
	t.Parallel()
	alerter := stuck{make(chan struct{})}
	watch := NewWatch(WatchOptions{
		Sources: []config.Source{{Name: "a", ExpectEvery: time.Nanosecond}}, Alerter: alerter, Logger: slog.New(slog.DiscardHandler),
	})
	server := New(Options{
		Sources: map[string]*Source{"a": {Provider: receiver(t, "github"), name: "a", maxBody: 10}},
		Starter: takesAll{}, Logger: slog.New(slog.DiscardHandler), Watch: watch,
	})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l, time.Minute) }()
	<-alerter.called
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String()+"/webhooks/a", nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	cancel()
	require.NoError(t, <-served)
}
