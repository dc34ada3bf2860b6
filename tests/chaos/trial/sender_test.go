package trial

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	webhooks "github.com/hookyard/hookyard/ingest/provider"
)

const testSecret = "whsec_YSBzZWNyZXQgZm9yIHRoZSB0ZXN0cyBvbmx5"

// edge is what the sender of a test sends to: it verifies, and answers with
// the next of its codes, and with the last for ever.
type edge struct {
	t        *testing.T
	receiver *webhooks.Receiver
	codes    []int

	mu         sync.Mutex
	deliveries []webhooks.Delivery
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deliveries = append(e.deliveries, webhooks.Delivery{Method: r.Method, Header: r.Header, Body: body, ReceivedAt: time.Now()})
	code := e.codes[min(len(e.deliveries), len(e.codes))-1]
	w.WriteHeader(code)
	if code == http.StatusOK {
		_, _ = io.WriteString(w, `{"status":"accepted"}`)
	}
}

func newTestSender(t *testing.T, source string, codes ...int) (*sender, *edge, *strings.Builder) {
	name, _ := provider(source)
	catalog, err := webhooks.Builtin()
	require.NoError(t, err)
	p, ok := catalog.Lookup(name)
	require.True(t, ok)
	receiver, err := p.Bind(webhooks.Binding{Secrets: []string{testSecret}})
	require.NoError(t, err)
	to := &edge{t: t, receiver: receiver, codes: codes}
	server := httptest.NewServer(to)
	t.Cleanup(server.Close)
	log := &strings.Builder{}
	s, err := newSender(1, []string{server.URL}, map[string]string{source: testSecret}, log)
	require.NoError(t, err)
	return s, to, log
}

func TestSenderRedeliversUntilAcknowledged(t *testing.T) {
	t.Parallel()
	for _, source := range []string{payments, forwards, builds} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			s, to, log := newTestSender(t, source, 503, 401, 200)
			s.send(t.Context(), []Event{{ID: "evt_1", Source: source, number: 1}})

			require.Len(t, to.deliveries, 3)
			for _, d := range to.deliveries {
				require.NoError(t, to.receiver.Verify(t.Context(), &d))
				require.Equal(t, to.deliveries[0].Body, d.Body)
			}
			a := s.answers[source+":evt_1"]
			require.Equal(t, 3, a.Deliveries)
			require.Equal(t, 1, a.Accepted)
			require.False(t, a.Acknowledged.IsZero())
			require.Equal(t, 3, strings.Count(log.String(), "\n"))
		})
	}
}

func TestSenderSignsAnew(t *testing.T) {
	t.Parallel()
	s, to, _ := newTestSender(t, forwards, 503, 200)
	s.skew.Store(int64(-time.Hour))
	s.send(t.Context(), []Event{{ID: "evt_1", Source: forwards, number: 1}})
	require.Len(t, to.deliveries, 2)
	require.ErrorIs(t, to.receiver.Verify(t.Context(), &to.deliveries[0]), webhooks.ErrStale)

	s.skew.Store(0)
	s.send(t.Context(), []Event{{ID: "evt_1", Source: forwards, number: 1}})
	require.NoError(t, to.receiver.Verify(t.Context(), &to.deliveries[2]))
	require.Equal(t, to.deliveries[0].Header.Get("Webhook-Id"), to.deliveries[2].Header.Get("Webhook-Id"))
}

func TestSenderStorms(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]Event{
		"at once":                {ID: "evt_1", Source: payments, Again: 5, AtOnce: true},
		"one after the other":    {ID: "evt_2", Source: payments, Again: 5},
		"no more than it has to": {ID: "evt_3", Source: payments},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, to, _ := newTestSender(t, payments, 200)
			s.send(t.Context(), []Event{e})
			require.Len(t, to.deliveries, 1+e.Again)
			require.Equal(t, 1+e.Again, s.answers[e.WorkflowID()].Accepted)
		})
	}
}

// TestSenderCountsAStatusLine takes an answer that breaks off after it for
// acknowledged, as a provider does.
func TestSenderCountsAStatusLine(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, `{"status":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	log := &strings.Builder{}
	s, err := newSender(1, []string{server.URL}, map[string]string{payments: testSecret}, log)
	require.NoError(t, err)
	s.send(t.Context(), []Event{{ID: "evt_1", Source: payments, number: 1}})
	require.False(t, s.answers["payments:evt_1"].Acknowledged.IsZero())
	var line struct{ Code int }
	require.NoError(t, json.Unmarshal([]byte(strings.SplitN(log.String(), "\n", 2)[0]), &line))
	require.Equal(t, 200, line.Code)
}
