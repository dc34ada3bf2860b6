package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/payload"
	"github.com/hookyard/hookyard/tests/harness"
)

const (
	batchEntries = 1000
	batchEntry   = 3000     // bytes
	storedOver   = 64 << 10 // what payload_store.over says in these tests
)

// canary is in every body and in a header of these tests. Where it is found,
// payloads are found.
const canary = "canary-7f3d1c"

// TestLargeBodies takes the largest body, one of 20 MiB and a batch of 3 MB through the edge, a
// bucket of S3, Temporal and a worker. What comes out at the other end is what was
// sent, and no history holds anything large.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		yaml string
		body int
	}{"plain": {"", 32 << 20}, "encrypted": {encryption, 20 << 20}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket, taken := startS3(t), newTaker(t)
			s := startSystem(t, startTemporal(t, ""), of.yaml+largeSources(taken.URL, bucket.url()))

			body := `{"type":"file.scanned","of":"` + canary + `","scan":"`
			body += noise(of.body-len(body)-2) + `"}`
			require.Len(t, body, of.body)
			s.accept("acme", "standard-webhooks", "large", "", body)
			s.completed("acme:large")
			require.Equal(t, []string{digest([]byte(body))}, taken.of("acme:large"), "byte for byte")
			require.Positive(t, bucket.objects(), "it went through the bucket")

			require.NoError(t, s.Stop(syscall.SIGTERM))
			s.serve("--only", "edge") // what becomes of the entries does not matter here
			entries, batch := whatsappBatch()
			d := provider.SampleDelivery("", batch)
			require.NoError(t, bound(t, "whatsapp", provider.Binding{Secrets: []string{secret}}).Sign(d))
			harness.Eventually(t, "the batch is taken", func() bool { // on a busy machine it is answered 503, and sent again
				a, err := s.tryPost(t.Context(), "whatsapp", d.Header, batch)
				return err == nil && a.code == http.StatusOK
			})
			runs := s.histories(slices.Collect(maps.Keys(entries)))
			got := map[string]string{}
			for id, history := range runs {
				got[id] = string(s.opened(history[0].GetWorkflowExecutionStartedEventAttributes().GetInput()).GetPayloads()[1].GetData())
			}
			require.Empty(t, cmp.Diff(entries, got), "each entry is an event, byte for byte")

			maps.Copy(runs, s.histories([]string{"acme:large"}))
			for id, history := range runs {
				for _, e := range history {
					require.Less(t, proto.Size(e), storedOver+8<<10, "%s has it in event %d, %s", id, e.GetEventId(), e.GetEventType())
					if name == "encrypted" {
						require.NotContains(t, readable(e), canary, id)
					}
				}
			}
		})
	}
}

// TestStoreAway takes the bucket away. The edge then has the sender come back, and
// a worker tries again until it has the body.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	bucket, taken := startS3(t), newTaker(t)
	s := newSystem(t, startTemporal(t, ""), largeSources(taken.URL, bucket.url()))
	body := `{"type":"file.scanned","scan":"` + noise(3*storedOver) + `"}`
	small := `{"type":"file.scanned"}`

	s.serve("--only", "edge")
	bucket.Kill()
	a, err := s.tryDeliver("acme", "standard-webhooks", "away", "", body)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, a.code)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	s.accept("acme", "standard-webhooks", "small", "", small)
	bucket.Start()
	s.accept("acme", "standard-webhooks", "away", "", body)

	require.NoError(t, s.Stop(syscall.SIGTERM))
	bucket.Kill()
	s.TestProcess = harness.Run(t, s.vars(), s.program, "serve", "--only", "worker", "--config", s.config(), "--log-format", "text")
	s.completed("acme:small")
	s.logged("payload_store")
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, s.statusOf("acme:away"), "it is not failed for that")
	require.Empty(t, taken.of("acme:away"))
	bucket.Start()
	s.completed("acme:away")
	require.Equal(t, []string{digest([]byte(body))}, taken.of("acme:away"))
}

func largeSources(service, bucket string) string {
	return fmt.Sprintf(`
payload_store: {url: %q, over: 64KiB}
sources:
  acme: {provider: standard-webhooks, secrets: [env:SECRET], max_body: 32MiB, routes: [{type: "*", forward: {url: %q}}]}
  whatsapp: {provider: whatsapp, secrets: [env:SECRET], max_body: 4MiB, routes: [{type: "*", keep: true}]}
`, bucket, service)
}

// noise is text that does not compress.
func noise(size int) string {
	random := rand.NewChaCha8([32]byte{1})
	raw := make([]byte, (size+1)/2)
	_, _ = random.Read(raw)
	return hex.EncodeToString(raw)[:size]
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// whatsappBatch returns a delivery of many entries, and each entry's bytes by the
// Workflow Id of its event.
func whatsappBatch() (entries map[string]string, body []byte) {
	entries = map[string]string{}
	b := bytes.NewBufferString(`{"object":"whatsapp_business_account","entry":[`)
	for i := range batchEntries {
		entry := fmt.Sprintf(`{"id":"%d",  "changes":[{"field":"messages","value":{"messages":[{"id":"wamid.%d","text":{"body":"%s \u00e4 %s"}}]}}]}`,
			i, i, canary, strings.Repeat("0", batchEntry))
		entries[fmt.Sprintf("whatsapp:wamid.%d", i)] = entry
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(entry)
	}
	b.WriteString("]}")
	return entries, b.Bytes()
}

// taker is a service that takes forwarded events and keeps a digest of each.
type taker struct {
	*httptest.Server
	mu    sync.Mutex
	taken map[string][]string
}

func newTaker(t *testing.T) *taker {
	s := &taker{taken: map[string][]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		id := r.Header.Get("Idempotency-Key")
		s.taken[id] = append(s.taken[id], digest(body))
	}))
	t.Cleanup(s.Close)
	return s
}

// of returns a digest of each time that the event of the run was forwarded.
func (s *taker) of(workflowID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[workflowID+":Forward"]
}

// histories returns what Temporal has of runs, as it has it.
func (s *system) histories(workflowIDs []string) map[string][]*historypb.HistoryEvent {
	c := s.temporal.Client("")
	found := make([][]*historypb.HistoryEvent, len(workflowIDs))
	var all errgroup.Group
	all.SetLimit(8)
	for i, id := range workflowIDs {
		all.Go(func() error {
			for pages := c.GetWorkflowHistory(s.t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); pages.HasNext(); {
				e, err := pages.Next()
				if err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
				found[i] = append(found[i], e)
			}
			return nil
		})
	}
	require.NoError(s.t, all.Wait())
	byID := map[string][]*historypb.HistoryEvent{}
	for i, id := range workflowIDs {
		byID[id] = found[i]
	}
	return byID
}

// opened decrypts what is encrypted with the key of these tests.
func (s *system) opened(payloads *commonpb.Payloads) *commonpb.Payloads {
	key, err := payload.ParseKey(encryptionKey)
	require.NoError(s.t, err)
	plain, err := payload.NewCodec([]payload.Key{key}).Decode(payloads.GetPayloads())
	require.NoError(s.t, err)
	return &commonpb.Payloads{Payloads: plain}
}

// readable is all text of a message, with that in its bytes.
func readable(m proto.Message) string {
	wire, err := proto.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(wire)
}
