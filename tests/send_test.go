package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	sendclient "github.com/hookyard/hookyard/send"
	"github.com/hookyard/hookyard/tests/harness"
)

// The keys of the sending side.
const (
	sendKey  = "an operator's key for the tests"
	storeKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// receiver is an endpoint of somebody's. It answers with status, and echoes
// challenges.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	status   int
	verifier *standardwebhooks.Webhook // nil takes everything
	took     map[string]int            // by webhook-id
	types    []string
	refused  int // deliveries that did not verify
}

func startReceiver(t *testing.T) *receiver {
	r := &receiver{status: http.StatusOK, took: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.answer))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var event struct {
		Type string `json:"type"`
		Data struct {
			Challenge string `json:"challenge"`
		} `json:"data"`
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || json.Unmarshal(body, &event) != nil || r.verifier != nil && r.verifier.Verify(body, req.Header) != nil {
		r.refused++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.status != http.StatusOK {
		w.WriteHeader(r.status)
		return
	}
	if event.Type == "endpoint.verification" {
		_ = json.NewEncoder(w).Encode(map[string]string{"challenge": event.Data.Challenge})
		return
	}
	r.took[req.Header.Get("Webhook-Id")]++
	r.types = append(r.types, event.Type)
}

func (r *receiver) set(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) taken(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.took[id]
}

// sender is a hookyard that sends, and its API.
type sender struct {
	*system
	api, admin string
}

const sendConfig = `
sources: {acme: {provider: standard-webhooks, secrets: [env:SECRET]}}
store: {key: env:STORE_KEY}
`

func startSender(t *testing.T, temporal *harness.TestTemporal, more string) *sender {
	api, admin := harness.TestAddress(t), harness.TestAddress(t)
	s := startSystem(t, temporal, sendConfig+"admin: "+admin+"\nsend: {listen: "+api+", keys: [env:SEND_KEY], allow: [127.0.0.0/8]"+more+"}\n")
	return &sender{system: s, api: "http://" + api, admin: admin}
}

// call makes a request of the API and returns its status and answer.
func (s *sender) call(method, path, body string) (int, map[string]any) {
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.api+path, bytes.NewBufferString(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+sendKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{}).Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	var answer map[string]any
	text, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	if len(text) > 0 {
		require.NoError(s.t, json.Unmarshal(text, &answer), "%s", text)
	}
	return res.StatusCode, answer
}

// register makes an endpoint and waits until it has proven itself.
func (s *sender) register(url, events, more string) string {
	status, e := s.call(http.MethodPost, "/v1/endpoints", `{"tenant": "acme", "url": "`+url+`", "events": ["`+events+`"]`+more+`}`)
	require.Equal(s.t, http.StatusCreated, status, "%v", e)
	id := e["id"].(string)
	s.awaitEndpoint(id, "active")
	return id
}

func (s *sender) awaitEndpoint(id, state string) {
	harness.Eventually(s.t, "endpoint is "+state, func() bool {
		_, e := s.call(http.MethodGet, "/v1/endpoints/"+id, "")
		return e["state"] == state
	})
}

func (s *sender) awaitDelivery(id, state string) map[string]any {
	var d map[string]any
	harness.Eventually(s.t, "delivery "+id+" is "+state, func() bool {
		_, d = s.call(http.MethodGet, "/v1/deliveries/"+id, "")
		return d["state"] == state
	})
	return d
}

func (s *sender) publish(id, eventType string) {
	status, answer := s.call(http.MethodPost, "/v1/events", `{"id": "`+id+`", "tenant": "acme", "type": "`+eventType+`", "data": {"type": "`+eventType+`"}}`)
	require.Equal(s.t, http.StatusAccepted, status, "%v", answer)
}

// endpoints runs a command on endpoints.
func (s *sender) endpoints(args ...string) string {
	return s.run(append(append([]string{"endpoints"}, args...), "--config", s.config())...)
}

// TestSend is the life of an endpoint: it registers, proves itself, takes what
// is published, is down, is parked and resumed, is gone, and gets what it missed.
func TestSend(t *testing.T) {
	t.Parallel()
	s := startSender(t, startTemporal(t, ""), ", schedule: [1s, 1s]")
	to, operations := startReceiver(t), startReceiver(t)
	status, _ := s.call(http.MethodPost, "/v1/endpoints", `{"tenant": "acme", "url": "http://10.0.0.1/", "events": ["*"]}`)
	require.Equal(t, http.StatusUnprocessableEntity, status, "an address that is not public")

	id := s.register(to.URL, "invoice.*", "")
	s.register(operations.URL, "endpoint.*", "")
	_, secret := s.call(http.MethodGet, "/v1/endpoints/"+id+"/secret", "")
	verifier, err := standardwebhooks.NewWebhook(secret["keys"].(map[string]any)["v1"].(string))
	require.NoError(t, err)
	to.mu.Lock()
	to.verifier = verifier
	to.mu.Unlock()

	s.publish("m1", "invoice.paid")
	s.publish("m2", "order.paid")
	d := s.awaitDelivery(id+":m1", "delivered")
	require.Len(t, d["attempts"], 1)
	status, again := s.call(http.MethodPost, "/v1/events", `{"id": "m1", "tenant": "acme", "type": "invoice.paid", "data": {"type": "invoice.paid"}}`)
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, true, again["duplicate"])
	status, _ = s.call(http.MethodPost, "/v1/events", `{"id": "m1", "tenant": "acme", "type": "invoice.paid", "data": {"other": 1}}`)
	require.Equal(t, http.StatusConflict, status)

	// Down: the schedule is used up, and the delivery parks.
	to.set(http.StatusInternalServerError)
	s.publish("m3", "invoice.paid")
	s.publish("m6", "invoice.paid")
	s.awaitDelivery(id+":m3", "parked")
	s.awaitDelivery(id+":m6", "parked")
	harness.Eventually(t, "parked lists both", func() bool { return strings.Count(s.run("parked", "--source", id, "-o", "wide"), "exhausted") == 2 })
	require.Contains(t, s.endpoints("delivery", id+":m3"), "500", "its attempts say why")
	require.Contains(t, s.run("parked", "show", id+":m3"), "500")
	to.set(http.StatusOK)
	s.run("resume", "--all", "--yes", "--source", id, "--why", "it is up again")
	s.awaitDelivery(id+":m3", "delivered")
	s.awaitDelivery(id+":m6", "delivered")

	// Gone: it is disabled, its tenant hears of it, and nothing is lost.
	to.set(http.StatusGone)
	s.publish("m4", "invoice.paid")
	s.awaitEndpoint(id, "disabled")
	s.awaitDelivery(id+":m4", "undelivered")
	harness.Eventually(t, "the tenant is told", func() bool {
		operations.mu.Lock()
		defer operations.mu.Unlock()
		return len(operations.types) == 1 && operations.types[0] == "endpoint.disabled"
	})
	require.Contains(t, s.run("publish", "acme", "invoice.paid", "--id", "m5", "--data", `{"type": "invoice.paid"}`, "--config", s.config()), "m5")
	to.set(http.StatusOK)
	require.Contains(t, s.endpoints(), "410 Gone", "the list says why it is disabled")
	s.endpoints("enable", id)
	s.awaitEndpoint(id, "active")
	harness.Eventually(t, "the tenant is told that it has recovered", func() bool {
		operations.mu.Lock()
		defer operations.mu.Unlock()
		return len(operations.types) == 2 && operations.types[1] == "endpoint.recovered"
	})
	require.Contains(t, s.endpoints("replay", id, "--since", "1m", "--dry-run", "--json"), `"count":2`)
	require.Contains(t, s.endpoints("replay", id, "--since", "1m", "--rate", "1000", "--json"), `"count":2`)
	s.awaitDelivery(id+":m4", "delivered")
	s.awaitDelivery(id+":m5", "delivered")
	for _, m := range []string{"m1", "m3", "m4", "m5", "m6"} {
		require.Equal(t, 1, to.taken(m), m)
	}
	require.Zero(t, to.taken("m2"))
	require.Zero(t, to.refused)
	s.measured(id)
}

// measured sees each metric of the sending side that dashboard and rules name,
// and no endpoint in any.
func (s *sender) measured(endpoint string) {
	for _, name := range metricNames(expressions(s.t)) {
		if !strings.HasPrefix(name, "hookyard_send_") || name == "hookyard_send_waiting_oldest_timestamp_seconds" { // nothing waits
			continue
		}
		harness.Eventually(s.t, name+" is there", func() bool {
			for series := range scrape(s.t, s.admin) {
				if family, _, _ := strings.Cut(series, "{"); family == name {
					return true
				}
			}
			return false
		})
	}
	samples := scrape(s.t, s.admin)
	require.Equal(s.t, "6", sample(s.t, samples, "hookyard_send_events_total", `result="accepted"`))
	require.Equal(s.t, "1", sample(s.t, samples, "hookyard_send_events_total", `result="duplicate"`))
	require.Equal(s.t, "2", sample(s.t, samples, "hookyard_steps_parked_total", `source="(endpoints)"`))
	for series := range samples {
		require.NotContains(s.t, series, endpoint)
	}
}

// TestSendKilled kills the API, the worker and Temporal in turn, while events are
// published: each event that was answered 202 is delivered.
func TestSendKilled(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, filepath.Join(t.TempDir(), "temporal.db"))
	api := harness.TestAddress(t)
	s := newSystem(t, server, sendConfig+"send: {listen: "+api+", keys: [env:SEND_KEY], allow: [127.0.0.0/8]}\n")
	only := func(part string) *harness.TestProcess {
		return harness.Run(t, s.vars(), programs.Hookyard, "serve", "--config", s.config(), "--log-format", "text", "--only", part)
	}
	edge, worker := only("edge"), only("worker")
	harness.Eventually(t, "the API listens", func() bool { return harness.Reachable(t.Context(), api) })
	sending := &sender{system: s, api: "http://" + api}
	to := startReceiver(t)
	sending.register(to.URL, "invoice.*", "")

	var mu sync.Mutex
	var accepted []string
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(accepted)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var publishing sync.WaitGroup
	publishing.Go(func() {
		c := &sendclient.Client{URL: "http://" + api, Key: sendKey}
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ctx.Err() == nil; {
			<-pace.C
			id := fmt.Sprintf("k%d", i)
			if _, err := c.Publish(ctx, sendclient.Event{ID: id, Tenant: "acme", Type: "invoice.paid", Data: json.RawMessage(`{"type":"invoice.paid"}`)}); err == nil {
				i++
				mu.Lock()
				accepted = append(accepted, id)
				mu.Unlock()
			}
		}
	})
	more := func(when string) {
		before := count()
		harness.Eventually(t, "events are accepted "+when, func() bool { return count() >= before+20 })
	}
	kill := func(p *harness.TestProcess) {
		require.NoError(t, p.Signal(syscall.SIGKILL))
		require.Error(t, p.Wait())
	}
	more("before anything happens")
	kill(edge)
	edge = only("edge")
	more("by the next API")
	kill(worker)
	more("without a worker")
	worker = only("worker")
	more("with the next worker")
	server.Kill()
	more("without Temporal")
	server.Start()
	more("with Temporal again")
	stop()
	publishing.Wait()
	harness.Eventually(t, "all are delivered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return !slices.ContainsFunc(accepted, func(id string) bool { return to.taken(id) == 0 })
	})
	require.NoError(t, edge.Stop(syscall.SIGTERM))
	require.NoError(t, worker.Stop(syscall.SIGTERM))
}
