package tests

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"

	"github.com/hookyard/hookyard/tests/harness"
)

// TestTemporalKilled takes Temporal away under a running edge and gives it
// back, on the same file.
func TestTemporalKilled(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, filepath.Join(t.TempDir(), "temporal.db"))
	s := startSystem(t, server, `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET]}
  slack: {provider: slack, secrets: [env:SECRET], routes: [{type: "*", keep: true}]}
`)
	s.accept("stripe", "stripe", "evt_before", "", invoicePaid)
	s.completed("stripe:evt_before")

	server.Kill()
	answered := make(chan string, 2)
	var senders sync.WaitGroup
	for _, source := range []string{"stripe", "slack"} {
		d := signed(t, source, "evt_during", "", `{"id":"","event_id":"evt_during","type":"invoice.paid"}`)
		senders.Go(func() {
			a, err := s.tryPost(t.Context(), source, d.Header, d.Body)
			answered <- fmt.Sprintf("%s: %d, come back: %t, %v", source, a.code, a.header.Get("Retry-After") != "", err)
		})
	}
	senders.Wait()
	require.ElementsMatch(t, []string{"slack: 503, come back: true, <nil>", "stripe: 503, come back: true, <nil>"}, []string{<-answered, <-answered})

	server.Start()
	harness.Eventually(t, "the edge recovers by itself", func() bool {
		return s.deliver("stripe", "evt_after", "", invoicePaid).code == 200
	})
	s.completed("stripe:evt_after")
	require.Equal(t, "duplicate", s.deliver("stripe", "evt_before", "", invoicePaid).status, "what was known before is still known")
	require.Empty(t, cmp.Diff([]string{"evt_after", "evt_before"}, s.payments()))
}

// TestBootsWithoutTemporal starts the edge first.
func TestBootsWithoutTemporal(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, filepath.Join(t.TempDir(), "temporal.db"))
	s := newSystem(t, server, stripeSource)
	server.Kill()

	s.serve()
	a := s.deliver("stripe", "evt_1", "", invoicePaid)
	require.Equal(t, 503, a.code)
	require.NotEmpty(t, a.header.Get("Retry-After"))

	server.Start()
	harness.Eventually(t, "the event is taken", func() bool {
		return s.deliver("stripe", "evt_1", "", invoicePaid).code == 200
	})
	s.completed("stripe:evt_1")
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
}

// TestSenderHangsUp drops the connection as soon as the request is sent.
func TestSenderHangsUp(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource)
	// One after the other: of many at once, a busy edge refuses some, and nobody is
	// there to send them again.
	const events = 8
	for i := range events {
		id := fmt.Sprintf("evt_%d", i)
		d := signed(t, "stripe", id, "", invoicePaid)
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.address)
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
			d.Header.Get("Stripe-Signature"), len(d.Body), d.Body)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		s.completed("stripe:" + id)
	}
	require.Len(t, s.payments(), events)
}

// TestDrain stops the edge under a request that is still on its way.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource)
	d := signed(t, "stripe", "evt_slow", "", invoicePaid)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.address)
	require.NoError(t, err)
	defer conn.Close()
	half := len(d.Body) / 2
	_, err = fmt.Fprintf(conn, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
		d.Header.Get("Stripe-Signature"), len(d.Body), d.Body[:half])
	require.NoError(t, err)
	// A second request, answered after the first was sent, shows that the
	// first has reached the server.
	require.Equal(t, 200, s.deliver("stripe", "evt_1", "", invoicePaid).code)

	require.NoError(t, s.Signal(syscall.SIGTERM))
	harness.Eventually(t, "new connections are refused", func() bool { return !harness.Reachable(t.Context(), s.address) })
	_, err = conn.Write(d.Body[half:])
	require.NoError(t, err)
	reply := make([]byte, 4096)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	n, err := conn.Read(reply)
	require.NoError(t, err)
	require.Contains(t, string(reply[:n]), "200 OK")
	require.Contains(t, string(reply[:n]), "accepted")
	require.NoError(t, s.Wait(), "a drained server exits 0")

	s.serve()
	s.completed("stripe:evt_1")
	s.completed("stripe:evt_slow")
	require.Empty(t, cmp.Diff([]string{"evt_1", "evt_slow"}, s.payments()))
}

// TestApart runs the edge and the worker as two processes.
func TestApart(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource, "--only", "edge")
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)

	worker := harness.Run(t, s.vars(), programs.Hookyard, "serve", "--config", s.config(), "--only", "worker")
	s.completed("stripe:evt_1")
	require.NoError(t, worker.Stop(syscall.SIGTERM))

	s.accept("stripe", "stripe", "evt_2", "", invoicePaid)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, s.statusOf("stripe:evt_2"), "no worker, no completion")
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
}

// TestWithoutSearchAttributes takes them away under a running edge: an event
// is stored all the same, and is only not found in lists.
func TestWithoutSearchAttributes(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource)
	harness.Eventually(t, "it has looked whether all is there", func() bool { return strings.Contains(s.Output.String(), "worker started") })
	_, err := s.client.OperatorService().RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{
		Namespace: "default", SearchAttributes: []string{"HookSource", "HookEventType"},
	})
	require.NoError(t, err)
	events := 0
	harness.Eventually(t, "the edge says so in its log", func() bool {
		events++
		id := fmt.Sprintf("evt_%d", events)
		s.accept("stripe", "stripe", id, "", invoicePaid)
		s.completed("stripe:" + id)
		return strings.Contains(s.Output.String(), "started without search attributes; run `hookyard setup`")
	})
}
