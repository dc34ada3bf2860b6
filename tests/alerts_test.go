package tests

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// channel is a webhook that takes alerts.
type channel struct {
	*httptest.Server
	mu    sync.Mutex
	taken []string
	down  atomic.Bool
}

func startChannel(t *testing.T) *channel {
	c := &channel{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if c.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.taken = append(c.taken, string(body))
	}))
	t.Cleanup(c.Close)
	return c
}

// messages returns those that hold the text.
func (c *channel) messages(text string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.taken), func(m string) bool { return !strings.Contains(m, text) })
}

// TestAlerts parks many runs by one outage, with a channel that is down at
// first: there is a message and a digest, and not one for each.
func TestAlerts(t *testing.T) {
	t.Parallel()
	c := startChannel(t)
	c.down.Store(true)
	service := startBroken(t)
	s := newSystem(t, startTemporal(t, ""), `
sources:
  acme:
    provider: standard-webhooks
    secrets: [env:SECRET]
    routes: [{type: "*", forward: {url: "`+service.URL+`"}}]
    alert_refused: {per_minute: 20}
alerts: {to: [env:ALERT], digest_every: 10s, web_ui: "https://temporal.example.com"}
`)
	s.alert = "generic+" + c.URL + "/?template=json"
	s.serve()
	const events = 80
	for i := range events {
		s.accept("acme", "standard-webhooks", fmt.Sprintf("m%d", i), "", `{"type":"order.created"}`)
	}
	harness.Eventually(t, "a channel that is down holds up no park", func() bool { return s.count(`HookState="parked"`) == events })
	c.down.Store(false)
	harness.Eventually(t, "somebody is told of all of them", func() bool { return len(c.messages("80")) > 0 })
	require.Less(t, len(c.messages("acme")), events/2, "digests, and not a message for each")
	require.NotEmpty(t, c.messages("https://temporal.example.com/namespaces/default/workflows"), "a link")
	require.NotContains(t, s.Output.String(), c.URL, "a channel's URL is a secret")

	service.mend()
	s.run("resume", "--all", "--source", "acme", "--yes", "--rate", "500", "--why", "the service is back")
	harness.Eventually(t, "somebody is told that it is over", func() bool { return len(c.messages("nothing is parked any more")) > 0 })

	t.Run("refused deliveries", func(t *testing.T) {
		for range 30 {
			require.Equal(t, 401, s.post(t.Context(), "acme", http.Header{}, []byte("{}")).code)
		}
		harness.Eventually(t, "somebody is told of them", func() bool { return len(c.messages("refused")) > 0 })
	})
}
