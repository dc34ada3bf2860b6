package tests

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	_ "modernc.org/sqlite" // to look into the ledger

	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/tests/harness"
)

// Every source of these tests has the one secret. As base64 it is a key of
// Standard Webhooks, too.
const secret = "whsec_YSBzZWNyZXQgZm9yIHRoZSB0ZXN0cyBvbmx5"

// system is hookyard on a config, beside a Temporal.
type system struct {
	*harness.TestProcess
	t        *testing.T
	temporal *harness.TestTemporal
	dir      string // config, ledger and mail
	program  string
	smtp     string // the address that env:SMTP names
	alert    string // the URL that env:ALERT names
	address  string
	client   client.Client
}

// newSystem sets a namespace up and writes the config; sources and what else
// is to stand in it are YAML.
func newSystem(t *testing.T, temporal *harness.TestTemporal, yaml string) *system {
	s := &system{t: t, temporal: temporal, dir: t.TempDir(), program: programs.Hookyard, address: harness.TestAddress(t), smtp: harness.TestAddress(t), client: temporal.Client("")}
	text := "listen: " + s.address + "\n" +
		"temporal: {task_queue: " + filepath.Base(s.dir) + "-" + t.Name() + "}\n" + yaml + "\n"
	for key, usual := range map[string]string{
		"admin:": "127.0.0.1:0",
		"app:":   "{ledger: {sqlite: ledger.db}, mail: {folder: mail, from: shop@example.com}}",
		"retry:": "{default: {initial: 1s, backoff: 1, attempts: 3}}",
	} {
		if !strings.Contains(yaml, key) {
			text += key + " " + usual + "\n"
		}
	}
	require.NoError(t, os.WriteFile(s.config(), []byte(text), 0o600))
	s.run("setup")
	if strings.Contains(yaml, "encryption:") || strings.Contains(yaml, "payload_store:") {
		s.client = s.privateClient(encryptionKey)
	}
	return s
}

// startSystem returns one that serves.
func startSystem(t *testing.T, temporal *harness.TestTemporal, yaml string, args ...string) *system {
	s := newSystem(t, temporal, yaml)
	s.serve(args...)
	return s
}

func (s *system) config() string { return filepath.Join(s.dir, "hookyard.yaml") }

func (s *system) vars() []string {
	return []string{"HOME=" + s.dir, "TEMPORAL_ADDRESS=" + s.temporal.Address, "SECRET=" + secret, "SEND_KEY=" + sendKey, "STORE_KEY=" + storeKey, "ENCRYPTION_KEY=" + encryptionKey, "NEXT_KEY=" + nextKey,
		"AWS_ACCESS_KEY_ID=" + s3Access, "AWS_SECRET_ACCESS_KEY=" + s3Secret,
		"POSTGRES=" + os.Getenv("HOOKYARD_TEST_POSTGRES"), "SMTP=smtp://" + s.smtp + "?tls=none", "ALERT=" + cmp.Or(s.alert, "logger://")}
}

// serve runs `hookyard serve` until it listens.
func (s *system) serve(args ...string) {
	s.TestProcess = harness.Run(s.t, s.vars(), s.program, append([]string{"serve", "--config", s.config(), "--log-format", "text"}, args...)...)
	harness.Eventually(s.t, "hookyard serve listens", func() bool { return harness.Reachable(s.t.Context(), s.address) })
}

// run runs a hookyard command that ends, and returns what it printed.
func (s *system) run(args ...string) string {
	p := harness.Run(s.t, s.vars(), programs.Hookyard, args...)
	require.NoError(s.t, p.Wait(), "hookyard %v: %s", args, p.Output)
	return p.Output.String()
}

// answer is what a sender gets back.
type answer struct {
	code   int
	status string // "accepted", or the title of a problem
	header http.Header
}

// deliver posts an event to a source of Stripe.
func (s *system) deliver(source, id, eventType, body string) answer {
	a, err := s.tryDeliver(source, "stripe", id, eventType, body)
	require.NoError(s.t, err)
	return a
}

// tryDeliver signs an event as the provider does and posts it.
func (s *system) tryDeliver(source, providerName, id, eventType, body string) (answer, error) {
	d := signed(s.t, providerName, id, eventType, body)
	return s.tryPost(s.t.Context(), source, d.Header, d.Body)
}

// builtin is the catalog. It is read once, as that takes the time of many
// deliveries.
var builtin = sync.OnceValues(provider.Builtin)

// bound returns the provider with a binding.
func bound(t *testing.T, name string, b provider.Binding) *provider.Receiver {
	catalog, err := builtin()
	require.NoError(t, err)
	p, ok := catalog.Lookup(name)
	require.True(t, ok, name)
	r, err := p.Bind(b)
	require.NoError(t, err)
	return r
}

// signed returns a delivery as the provider sends it now.
func signed(t *testing.T, providerName, id, eventType, body string) *provider.Delivery {
	r := bound(t, providerName, provider.Binding{Secrets: []string{secret}})
	d := provider.SampleDelivery("", []byte(body))
	d.ReceivedAt = time.Now()
	require.NoError(t, r.Stamp(d, id, eventType))
	require.NoError(t, r.Sign(d))
	return d
}

// accept delivers an event for the first time, as providers do: again while it
// is answered 503, as it may be on a busy machine, or gets no answer, because
// the edge closed an idle connection just as it was used again.
func (s *system) accept(source, providerName, id, eventType, body string) {
	s.t.Helper()
	want := "accepted"
	harness.Eventually(s.t, source+":"+id+" is taken", func() bool {
		a, err := s.tryDeliver(source, providerName, id, eventType, body)
		if err != nil || a.code == http.StatusServiceUnavailable {
			want = "duplicate" // the edge may have started it all the same
			return false
		}
		if a.status != want {
			require.Equal(s.t, "accepted", a.status)
		}
		return true
	})
}

func (s *system) post(ctx context.Context, source string, header http.Header, body []byte) answer {
	a, err := s.tryPost(ctx, source, header, body)
	require.NoError(s.t, err)
	return a
}

func (s *system) tryPost(ctx context.Context, source string, header http.Header, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/webhooks/"+source, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	var fields struct {
		Status any
		Title  string
	}
	if err := json.Unmarshal(said, &fields); err != nil {
		return answer{}, err
	}
	a := answer{code: resp.StatusCode, status: fields.Title, header: resp.Header}
	if status, ok := fields.Status.(string); ok {
		a.status = status
	}
	return a, nil
}

// completed waits until the run has completed.
func (s *system) completed(workflowID string) {
	s.t.Helper()
	harness.Eventually(s.t, workflowID+" completes", func() bool {
		return s.statusOf(workflowID) == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	})
}

// statusOf returns UNSPECIFIED where there is no such run.
func (s *system) statusOf(workflowID string) enumspb.WorkflowExecutionStatus {
	described, err := s.client.DescribeWorkflowExecution(s.t.Context(), workflowID, "")
	var missing *serviceerror.NotFound
	if err != nil {
		require.ErrorAs(s.t, err, &missing)
		return enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED
	}
	return described.GetWorkflowExecutionInfo().GetStatus()
}

// payments returns the ledger's event ids in order.
func (s *system) payments() []string {
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "ledger.db"))
	require.NoError(s.t, err)
	defer db.Close()
	return eventIDs(s.t, db)
}

func eventIDs(t *testing.T, db *sql.DB) []string {
	rows, err := db.QueryContext(t.Context(), "SELECT event_id FROM ledger_payments ORDER BY event_id")
	require.NoError(t, err)
	defer rows.Close()
	ids := []string{}
	for rows.Next() {
		var id string
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	return ids
}

// mails counts the receipts that were sent.
func (s *system) mails() int {
	files, err := filepath.Glob(filepath.Join(s.dir, "mail", "*.eml"))
	require.NoError(s.t, err)
	return len(files)
}

// restart kills hookyard as a crash does and starts it again.
func (s *system) restart() {
	_ = s.Stop(syscall.SIGKILL)
	s.serve()
}

const stripeSource = `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET], routes: [{type: invoice.paid}, {type: "invoice.*", keep: true}, {type: "*", ignore: true}]}
`

const invoicePaid = `{"id":"","object":"event","created":1767225600,"type":"invoice.paid","data":{"object":{"id":"in_1","number":"HY-1",` +
	`"customer":"cus_1","customer_email":"ada@example.com","amount_paid":4900,"currency":"eur","status_transitions":{"paid_at":1767225590}}}}`

// workflowIDHeader is where the edge names the run.
const workflowIDHeader = ingest.WorkflowIDHeader
