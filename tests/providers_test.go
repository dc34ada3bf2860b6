package tests

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/tests/harness/vectors"
)

// TestOwnProvider adds the provider that docs/providers.md describes, by that
// one file: check, send, verify and the edge know it.
func TestOwnProvider(t *testing.T) {
	t.Parallel()
	s := newSystem(t, startTemporal(t, ""), `
sources:
  acme: {provider: acme, secrets: [env:SECRET], routes: [{type: "*", keep: true}]}
providers: providers
`)
	file := blocks(t, "docs/providers.md", "yaml")[0]
	const body = `{"meta":{"uid":"evt_1","type":"order.created"}}`
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "providers"), 0o700))
	for name, text := range map[string]string{"acme.yaml": file, "order.created.json": body} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "providers", name), []byte(text), 0o600))
	}
	require.Contains(t, s.run("check", s.config()), "no mistakes; 1 source")
	s.serve()

	// By the sender's own words, not by our code.
	deliver := func(body string) (http.Header, answer) {
		stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
		mac := hmac.New(sha512.New, []byte(secret))
		fmt.Fprintf(mac, "%s|%s|%s", stamp, http.MethodPost, body)
		header := http.Header{"X-Acme-Time": {stamp}, "X-Acme-Sig": {"k1=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
		return header, s.post(t.Context(), "acme", header.Clone(), []byte(body))
	}
	header, a := deliver(body)
	require.Equal(t, "accepted", a.status)
	require.Equal(t, "acme:evt_1", a.header.Get(workflowIDHeader))
	require.Equal(t, "acme.order.created", s.started("acme:evt_1").GetWorkflowType().GetName())
	_, a = deliver(body)
	require.Equal(t, "duplicate", a.status)
	require.Equal(t, http.StatusUnauthorized, s.post(t.Context(), "acme", header, []byte(`{"meta":{"uid":"evt_2"}}`)).code)

	require.Contains(t, s.run("send", "acme", "--id", "evt_3", "--config", s.config()), "accepted  200  acme:evt_3")
	require.Contains(t, s.run("send", "acme", "--id", "evt_3", "--config", s.config()), "duplicate  200  acme:evt_3")

	request := filepath.Join(s.dir, "request.http")
	text := fmt.Sprintf("POST /webhooks/acme HTTP/1.1\nHost: h\nX-Acme-Time: %s\nX-Acme-Sig: %s\n\n%s", header.Get("X-Acme-Time"), header.Get("X-Acme-Sig"), body)
	require.NoError(t, os.WriteFile(request, []byte(text), 0o600))
	require.Contains(t, s.run("verify", request, "--source", "acme", "--config", s.config()), "verdict         accept")
	require.NotContains(t, s.Output.String(), secret)
}

// TestSendGridBatch delivers 50 events of which 20 were there before, under a
// key pair made by `send --generate-key`.
func TestSendGridBatch(t *testing.T) {
	t.Parallel()
	s := newSystem(t, startTemporal(t, ""), `
sources:
  sendgrid: {provider: sendgrid, secrets: [file:public], routes: [{type: "*", keep: true}]}
`)
	public := s.run("send", "sendgrid", "--generate-key", "--config", s.config())
	public, _, _ = strings.Cut(public[strings.Index(public, "MFkw"):], "\n")
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "public"), []byte(public), 0o600))
	s.serve()
	require.Contains(t, s.run("send", "sendgrid", "--config", s.config()), "accepted  200")

	kept, err := os.ReadFile(filepath.Join(s.dir, ".local", "state", "hookyard", "keys", "sendgrid"))
	require.NoError(t, err)
	_, private, _ := strings.Cut(strings.TrimSpace(string(kept)), "\n")
	signer := bound(t, "sendgrid", provider.Binding{Secrets: []string{private}})
	item := func(n int) string {
		return fmt.Sprintf(`{ "email":"ada@example.com","event":"delivered","sg_event_id":"event-%d"}`, n)
	}
	deliver := func(from, to int) answer {
		var items []string
		for n := from; n < to; n++ {
			items = append(items, item(n))
		}
		d := provider.SampleDelivery("", []byte("["+strings.Join(items, ",")+"]\r\n"))
		d.ReceivedAt = time.Now()
		require.NoError(t, signer.Sign(d))
		return s.post(t.Context(), "sendgrid", d.Header, d.Body)
	}
	runs := func() map[string]string {
		found := map[string]string{}
		for n := range 60 {
			id := fmt.Sprintf("sendgrid:event-%d", n)
			if s.statusOf(id) != enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
				described, err := s.client.DescribeWorkflowExecution(t.Context(), id, "")
				require.NoError(t, err)
				found[id] = described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
			}
		}
		return found
	}
	require.Equal(t, "accepted", deliver(10, 30).status)
	before := runs()
	require.Len(t, before, 20)

	require.Equal(t, "accepted", deliver(0, 50).status)
	after := runs()
	require.Len(t, after, 50, "30 more")
	for id, run := range before {
		require.Equal(t, run, after[id], "%s ran again", id)
	}
	require.Equal(t, "duplicate", deliver(0, 50).status)
	require.Equal(t, after, runs())

	input := s.started("sendgrid:event-7").GetInput().GetPayloads()
	require.Equal(t, item(7), string(input[1].GetData()))
}

// edgeVector is a vector that goes through the edge.
type edgeVector struct{ vectors.Vector }

// TestVectorsThroughEdge posts every signed request with a known answer to the
// edge, whose clock stands at the time of the request and which starts
// Workflows on a real Temporal. A request whose URL is signed was signed for
// another URL than the edge has; if it is a good one it is signed anew.
func TestVectorsThroughEdge(t *testing.T) {
	t.Parallel()
	s := newSystem(t, startTemporal(t, ""), stripeSource)

	for i, v := range vectors.Read(t) {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			edgeVector{v}.through(t, s.client, fmt.Sprintf("v%d", i))
		})
	}
}

// through posts the vector to an edge that has a source for it.
func (v edgeVector) through(t *testing.T, c client.Client, name string) {
	source := v.source(t, name)
	now := time.Unix(v.NowUnix, 0)
	const public = "https://hooks.example.com"
	server := httptest.NewServer(ingest.New(ingest.Options{
		Sources:    map[string]*ingest.Source{name: source},
		Starter:    &ingest.WorkflowStarter{Client: c, TaskQueue: "nobody", Logger: slog.New(slog.DiscardHandler)},
		Logger:     slog.New(slog.DiscardHandler),
		PublicURL:  public,
		HandedOver: t.TempDir(),
		Now:        func() time.Time { return now },
	}).Handler())
	t.Cleanup(server.Close)

	d := &provider.Delivery{Method: v.Method, URL: public + v.target(t, name), Header: http.Header{}, Body: []byte(v.Body), ReceivedAt: now}
	for name, value := range v.Headers {
		d.Header.Set(name, value)
	}
	if source.Provider.SignsURL() && v.Kind == "signature" {
		if !v.Accept() {
			t.Skip("it is refused for its URL already")
		}
		require.NoError(t, source.Provider.Sign(d))
	}
	got := send(t, server.URL+strings.TrimPrefix(d.URL, public), d)
	for got.code == http.StatusServiceUnavailable { // a busy machine: the sender comes again
		got = send(t, server.URL+strings.TrimPrefix(d.URL, public), d)
	}
	switch {
	case v.Response != nil:
		v.requireResponse(t, got)
	case !v.Accept():
		want := http.StatusUnauthorized
		if refused := source.Provider.Refused(); refused != nil {
			want = refused.Status
		}
		require.Equal(t, want, got.code, got.body)
	default:
		requireStarted(t, c, source, name, d, got)
	}
}

// target is the path and query of the vector at this edge.
func (v edgeVector) target(t *testing.T, name string) string {
	parsed, err := url.Parse(v.URL)
	require.NoError(t, err)
	target := "/webhooks/" + name
	if parsed.RawQuery != "" {
		target += "?" + parsed.RawQuery
	}
	return target
}

// source is what an operator would write for the vector.
func (v edgeVector) source(t *testing.T, name string) *ingest.Source {
	// Some handshakes come before there is a secret.
	held := cmp.Or(v.PublicKey, v.Secret, strings.Repeat("00", 32))
	declared := map[string]any{"provider": v.Name(), "secrets": []string{"env:HELD"}}
	if options := v.givenOptions(); len(options) > 0 {
		declared["options"] = options
	}
	text, err := json.Marshal(map[string]any{"sources": map[string]any{name: declared}}) // JSON is YAML
	require.NoError(t, err)
	cfg, err := config.Parse("hookyard.yaml", text, config.Options{LookupEnv: func(string) (string, bool) { return held, true }})
	require.NoError(t, err)
	files, err := builtin()
	require.NoError(t, err)
	catalog, mistakes := ingest.Providers(cfg, files)
	require.Empty(t, mistakes)
	sources, mistakes := ingest.Sources(cfg, catalog)
	require.Empty(t, mistakes)

	source := sources[name]
	source.Provider, err = source.Provider.Rebind(func(b *provider.Binding) {
		b.Tolerance = time.Duration(v.ToleranceS) * time.Second
		b.Fetch = heldCertificate(v.CertPEM)
	})
	require.NoError(t, err)
	return source
}

// heldCertificate is what certificates' URLs return.
type heldCertificate string

func (h heldCertificate) Fetch(context.Context, string) ([]byte, error) { return []byte(h), nil }

func (v edgeVector) givenOptions() map[string]any {
	given := map[string]any{}
	for name, value := range v.Options {
		if yes, isBool := value.(bool); isBool {
			value = strconv.FormatBool(yes)
		}
		if value != nil {
			given[name] = value
		}
	}
	return given
}

// response is the edge's answer as it is on the wire.
type response struct {
	code   int
	header http.Header
	body   string
}

// send sends d by its own method.
func send(t *testing.T, target string, d *provider.Delivery) response {
	req, err := http.NewRequestWithContext(t.Context(), d.Method, target, bytes.NewReader(d.Body))
	require.NoError(t, err)
	req.Header = d.Header.Clone()
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return response{resp.StatusCode, resp.Header, string(said)}
}

func (v edgeVector) requireResponse(t *testing.T, got response) {
	want := v.Response
	require.Equal(t, want.Status, got.code, got.body)
	for name, value := range want.Headers {
		require.Contains(t, got.header.Get(name), value, name)
	}
	if want.Body != nil {
		require.Equal(t, *want.Body, got.body)
	}
	if want.BodyJSON != nil {
		require.JSONEq(t, string(want.BodyJSON), got.body)
	}
}

// requireStarted sees that Temporal holds every event of the delivery under
// its id, byte for byte; or that the edge says that it has none.
func requireStarted(t *testing.T, c client.Client, source *ingest.Source, name string, d *provider.Delivery, got response) {
	events, err := source.Provider.Identify(d)
	if err != nil {
		require.Equal(t, http.StatusUnprocessableEntity, got.code, got.body)
		return
	}
	want := http.StatusOK
	if wanted := source.Provider.Success(d); wanted != nil {
		want = wanted.Status
	}
	require.Equal(t, want, got.code, got.body)
	if greeting, err := source.Provider.Greet(t.Context(), d, true); err == nil && greeting != nil {
		return
	}
	again, err := source.Provider.Identify(d)
	require.NoError(t, err)
	for i, e := range events {
		id := event.Event{Source: name, ID: e.ID}.WorkflowID()
		if again[i].ID != e.ID { // the provider sends none, so it was made up
			id = got.header.Get(workflowIDHeader)
		}
		history := c.GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		first, err := history.Next()
		require.NoError(t, err)
		started := first.GetWorkflowExecutionStartedEventAttributes()
		require.Equal(t, string(e.Payload), string(started.GetInput().GetPayloads()[1].GetData()))
	}
}
