package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.uber.org/goleak"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func receiver(t *testing.T, name string) *provider.Receiver {
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	p, ok := catalog.Lookup(name)
	require.True(t, ok)
	r, err := p.Bind(provider.Binding{Secrets: []string{"s"}})
	require.NoError(t, err)
	return r
}

// broken is a Starter with a bug.
type broken struct{}

func (broken) Start(context.Context, event.Event, converter.RawValue) error {
	panic("a bug with a secret in it")
}

// TestPanic sees that a bug of ours is a 503, which the provider sends again,
// and that nobody outside reads of it.
func TestPanic(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	source := &Source{Provider: receiver(t, "github"), name: "github", maxBody: 1 << 10}
	s := New(Options{Sources: map[string]*Source{"github": source}, Starter: broken{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	d := provider.SampleDelivery("", []byte("{}"))
	require.NoError(t, source.Provider.Stamp(d, "1", "push"))
	require.NoError(t, source.Provider.Sign(d))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/github", bytes.NewReader(d.Body))
	r.Header = d.Header
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Regexp(t, "^[4-7]$", w.Header().Get("Retry-After"), "5 s, give or take a quarter")
	require.NotContains(t, w.Body.String(), "a bug")
	require.Contains(t, log.String(), "a bug")
}

// TestPanicInBatch sees the same where the events of a batch are started in
// goroutines of their own.
func TestPanicInBatch(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	source := &Source{Provider: receiver(t, "line"), name: "line", maxBody: 1 << 10}
	s := New(Options{Sources: map[string]*Source{"line": source}, Starter: broken{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	d := provider.SampleDelivery("", []byte(`{"events":[{"webhookEventId":"1"},{"webhookEventId":"2"}]}`))
	require.NoError(t, source.Provider.Sign(d))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/line", bytes.NewReader(d.Body))
	r.Header = d.Header
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, w.Body.String(), "a bug")
	require.Contains(t, log.String(), "a bug")
	require.Contains(t, log.String(), "events_failed=2")
}

// TestWorst sees that a delivery of which a part can still be stored is asked
// for again.
func TestWorst(t *testing.T) {
	t.Parallel()
	tooLarge, away := refuse(bodyTooLarge, nil), refuse(notStored, nil)
	require.NoError(t, worst([]error{nil, nil}))
	require.Equal(t, error(tooLarge), worst([]error{nil, tooLarge}))
	require.Equal(t, error(away), worst([]error{tooLarge, nil, away, tooLarge}))
}

// FuzzSenderOf looks for a header that makes the edge believe a sender.
func FuzzSenderOf(f *testing.F) {
	l := newSnapshot(Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	f.Add("192.0.2.1:1", "203.0.113.9")
	f.Add("10.0.0.1:1", "203.0.113.9, 10.0.0.2")
	f.Add("[::1]:1", ",, ,")
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		got := l.senderOf(r)
		at, err := netip.ParseAddrPort(peer)
		if err != nil {
			require.False(t, got.IsValid())
			return
		}
		if !l.trusts(at.Addr().Unmap()) {
			require.Equal(t, at.Addr().Unmap(), got, "a stranger's header was believed")
			return
		}
		said := []netip.Addr{at.Addr().Unmap(), {}}
		for hop := range strings.SplitSeq(forwarded, ",") {
			if a, err := netip.ParseAddr(strings.TrimSpace(hop)); err == nil {
				said = append(said, a.Unmap())
			}
		}
		require.Contains(t, said, got)
	})
}

// unreadable is a body that nobody should read: reading would invite a sender
// that waits for a 100 Continue.
type unreadable struct{ t *testing.T }

func (u unreadable) Read(p []byte) (int, error) {
	u.t.Error("a body that says it is too large was read")
	return copy(p, "x"), nil
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	const limit = 16
	for _, tt := range []struct {
		name   string
		body   io.Reader
		length int64 // as the request says; -1 for a chunked one
		want   reason
	}{
		{"exactly the limit", strings.NewReader(strings.Repeat("x", limit)), limit, ""},
		{"said to be larger", unreadable{t}, limit + 1, bodyTooLarge},
		{"chunked, larger", strings.NewReader(strings.Repeat("x", limit+1)), -1, bodyTooLarge},
		{"chunked, the limit", strings.NewReader(strings.Repeat("x", limit)), -1, ""},
		{"cut off", iotest.ErrReader(io.ErrUnexpectedEOF), 5, bodyUnreadable},
		{"empty", http.NoBody, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", tt.body)
			r.ContentLength = tt.length
			s := New(Options{Logger: slog.New(slog.DiscardHandler)})
			body, release, err := s.read(httptest.NewRecorder(), r, &Source{Provider: receiver(t, "github"), maxBody: limit}, netip.Prefix{}, time.Now())
			if tt.want == "" {
				require.NoError(t, err)
				release()
				require.Len(t, body, int(max(tt.length, int64(len(body)))))
				return
			}
			refused, ok := errors.AsType[*refusal](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tt.want, refused.reason)
			require.Nil(t, body)
		})
	}
}

// TestJournalOfAReload: a source whose journal came with a reload, to a process
// without one, is refused until a restart; the journal is not left out in silence.
func TestJournalOfAReload(t *testing.T) {
	t.Parallel()
	s := New(Options{Starter: broken{}, Logger: slog.New(slog.DiscardHandler)})
	_, err := s.append(t.Context(), &Source{Provider: receiver(t, "stripe"), journal: true}, event.Event{ReceivedAt: time.Now()}, provider.Identity{})
	var refused *refusal
	require.ErrorAs(t, err, &refused)
	require.Equal(t, notStored, refused.reason)
	require.ErrorContains(t, err, "restart it")
}
