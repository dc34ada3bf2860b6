package tests

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/tests/harness"
)

// TestAccepted follows one event from the POST to the ledger and the mail.
func TestAccepted(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource)
	a := s.deliver("stripe", "evt_1", "", invoicePaid)
	require.Equal(t, 200, a.code)
	require.Equal(t, "accepted", a.status)
	require.Equal(t, "stripe:evt_1", a.header.Get(workflowIDHeader))
	s.completed("stripe:evt_1")
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
	require.Equal(t, 1, s.mails())

	t.Run("seen in the Web UI's API", func(t *testing.T) {
		var listed struct {
			Executions []struct {
				Execution struct{ WorkflowID string }
				Type      struct{ Name string }
				Status    string
			}
		}
		harness.Eventually(t, "the list has the run", func() bool {
			query := url.QueryEscape(`HookSource="stripe" AND HookEventType="invoice.paid" AND ExecutionStatus="Completed"`)
			getJSON(t, "http://"+s.temporal.UI+"/api/v1/namespaces/default/workflows?query="+query, &listed)
			return len(listed.Executions) == 1
		})
		require.Equal(t, "stripe:evt_1", listed.Executions[0].Execution.WorkflowID)
		require.Equal(t, "stripe.invoice.paid", listed.Executions[0].Type.Name)
	})

	t.Run("payload kept byte for byte", func(t *testing.T) {
		sent := signed(t, "stripe", "evt_1", "", invoicePaid).Body
		input := s.started("stripe:evt_1").GetInput().GetPayloads()
		require.Len(t, input, 2)
		require.Equal(t, string(sent), string(input[1].GetData()))
		require.Equal(t, "json/plain", string(input[1].GetMetadata()["encoding"]), "which the Web UI shows as JSON")
	})

	t.Run("no secret in what is printed", func(t *testing.T) {
		require.NotContains(t, s.Output.String(), secret)
		require.Contains(t, s.Output.String(), "workflow_id=stripe:evt_1")
	})
}

func getJSON(t *testing.T, address string, into any) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
}

// started returns how the run was started.
func (s *system) started(workflowID string) *historypb.WorkflowExecutionStartedEventAttributes {
	history := s.client.GetWorkflowHistory(s.t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := history.Next()
	require.NoError(s.t, err)
	return first.GetWorkflowExecutionStartedEventAttributes()
}

// TestDuplicates delivers one event in every order that providers do.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource)

	t.Run("50 at once", func(t *testing.T) {
		d := signed(t, "stripe", "evt_many", "", invoicePaid)
		answers := make(chan answer, 50)
		var again atomic.Bool
		var senders sync.WaitGroup
		for range cap(answers) {
			senders.Go(func() {
				for {
					a, err := s.tryPost(t.Context(), "stripe", d.Header.Clone(), d.Body)
					if err == nil && a.code == http.StatusServiceUnavailable {
						again.Store(true) // a busy machine: the sender comes again
						continue
					}
					if err == nil {
						answers <- a
					}
					return
				}
			})
		}
		senders.Wait()
		close(answers)
		counts := map[string]int{}
		for a := range answers {
			require.Equal(t, 200, a.code)
			counts[a.status]++
		}
		want := map[string]int{"accepted": 1, "duplicate": 49}
		if again.Load() && counts["accepted"] == 0 {
			want = map[string]int{"duplicate": 50} // the first was told 503, and stored all the same
		}
		require.Empty(t, cmp.Diff(want, counts))
		s.completed("stripe:evt_many")
		require.Empty(t, cmp.Diff([]string{"evt_many"}, s.payments()))
	})

	t.Run("after completion", func(t *testing.T) {
		require.Equal(t, "duplicate", s.deliver("stripe", "evt_many", "", invoicePaid).status)
	})

	t.Run("after the edge was killed", func(t *testing.T) {
		s.accept("stripe", "stripe", "evt_next", "", invoicePaid)
		s.restart()
		require.Equal(t, "duplicate", s.deliver("stripe", "evt_next", "", invoicePaid).status)
		require.Equal(t, "duplicate", s.deliver("stripe", "evt_many", "", invoicePaid).status)
		s.completed("stripe:evt_next")
		require.Empty(t, cmp.Diff([]string{"evt_many", "evt_next"}, s.payments()))
		require.Equal(t, 2, s.mails())
	})
}

// TestUnhandled sends types that no Workflow is for.
func TestUnhandled(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), stripeSource)
	require.Equal(t, "ignored", s.deliver("stripe", "evt_1", "charge.failed", invoicePaid).status)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, s.statusOf("stripe:evt_1"))

	s.accept("stripe", "stripe", "evt_2", "invoice.voided", invoicePaid)
	s.completed("stripe:evt_2")
	require.Empty(t, s.payments())
}

// TestForward runs a source without code: the service behind it fails once and
// is then sent what the provider sent, signed.
func TestForward(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var headers []http.Header
	var bodies []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		headers, bodies = append(headers, r.Header.Clone()), append(bodies, string(body))
		if len(bodies) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer service.Close()
	s := startSystem(t, startTemporal(t, ""), `
sources:
  acme: {provider: standard-webhooks, secrets: [env:SECRET], routes: [{type: "*", forward: {url: "`+service.URL+`/hooks"}}]}
`)
	const body = "{ \"type\" : \"order.created\", \"n\": 1.0 }"
	s.accept("acme", "standard-webhooks", "msg_1", "", body)
	s.completed("acme:msg_1")

	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, cmp.Diff([]string{body, body}, bodies))
	for _, header := range headers {
		require.Equal(t, "acme:msg_1:Forward", header.Get("Idempotency-Key"))
		require.NoError(t, verifyForwarded(t, header, body))
	}
}

// TestPostgresLedger keeps the ledger in PostgreSQL.
func TestPostgresLedger(t *testing.T) {
	t.Parallel()
	dsn := os.Getenv("HOOKYARD_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("HOOKYARD_TEST_POSTGRES is not set; .ci/run sets it")
	}
	s := startSystem(t, startTemporal(t, ""), stripeSource+"app: {ledger: {postgres: env:POSTGRES}, mail: {folder: mail, from: shop@example.com}}\n")
	id := "evt_" + strings.ToLower(s.dir[strings.LastIndexByte(s.dir, '/')+1:])
	for range 2 {
		require.Equal(t, 200, s.deliver("stripe", id, "", invoicePaid).code)
	}
	s.completed("stripe:" + id)
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	defer db.Close()
	found := 0
	for _, got := range eventIDs(t, db) {
		if got == id {
			found++
		}
	}
	require.Equal(t, 1, found)
}

func verifyForwarded(t *testing.T, header http.Header, body string) error {
	r := bound(t, "standard-webhooks", provider.Binding{Secrets: []string{secret}})
	d := signed(t, "standard-webhooks", "x", "", "{}") // for the clock
	return r.Verify(t.Context(), &provider.Delivery{Header: header, Body: []byte(body), ReceivedAt: d.ReceivedAt})
}
