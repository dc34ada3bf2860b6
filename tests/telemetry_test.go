package tests

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// scrape returns the samples of a scrape, by their name and labels.
func scrape(t *testing.T, admin string) map[string]string {
	code, text := ask(t, "http://"+admin+"/metrics")
	require.Equal(t, http.StatusOK, code)
	samples := map[string]string{}
	for line := range strings.Lines(text) {
		if series, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && !strings.HasPrefix(line, "#") {
			samples[series+"}"] = value
		} else if series, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			samples[series] = value
		}
	}
	return samples
}

// sample returns the value of the one series of that name which has all the
// labels, as they are written (`source="stripe"`); "" where there is none.
func sample(t *testing.T, samples map[string]string, name string, labels ...string) string {
	found := ""
	for series, value := range samples {
		family, written, _ := strings.Cut(series, "{")
		has := func(label string) bool { return strings.Contains(written, label) }
		if family == name && !slices.ContainsFunc(labels, func(l string) bool { return !has(l) }) {
			require.Empty(t, found, "%s%v is more than one series", name, labels)
			found = value
		}
	}
	return found
}

// ask returns the answer to a GET; 0 where nothing answers.
func ask(t *testing.T, url string) (code int, text string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(said)
}

// TestMetrics sees deliveries of each outcome, and what people do with parked
// runs, in the metrics that dashboards and alert rules name.
func TestMetrics(t *testing.T) {
	t.Parallel()
	admin := harness.TestAddress(t)
	s := startSystem(t, startTemporal(t, ""), `
admin: `+admin+`
log: {mask: [json:data.object.customer_email]}
sources:
  stripe: {provider: stripe, secrets: [env:SECRET], routes: [{type: "invoice.*"}, {type: "*", ignore: true}]}
  slack: {provider: slack, secrets: [env:SECRET]}
`, "--log-level", "debug")

	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	require.Equal(t, "duplicate", s.deliver("stripe", "evt_1", "", invoicePaid).status)
	require.Equal(t, "ignored", s.deliver("stripe", "evt_2", "", `{"id":"","type":"charge.paid"}`).status)
	forged := signed(t, "stripe", "evt_3", "", invoicePaid)
	require.Equal(t, 401, s.post(t.Context(), "stripe", forged.Header, append(forged.Body, ' ')).code)
	require.Equal(t, 404, s.post(t.Context(), "made-up-by-a-stranger", http.Header{}, nil).code)
	challenge := signed(t, "slack", "", "", `{"type":"url_verification","challenge":"c"}`)
	_, err := s.tryPost(t.Context(), "slack", challenge.Header, challenge.Body)
	require.Error(t, err, "the answer to a challenge is not JSON")
	s.completed("stripe:evt_1")

	// Three runs park, since nothing handles their type.
	for _, id := range []string{"evt_resume", "evt_resolve", "evt_discard"} {
		s.accept("stripe", "stripe", id, "", `{"id":"","type":"invoice.unknown"}`)
		s.parked("stripe:" + id)
	}
	samples := func() map[string]string { return scrape(t, admin) }
	harness.Eventually(t, "the parked runs are counted", func() bool {
		return sample(t, samples(), "hookyard_parked_runs", `source="stripe"`) == "3"
	})
	now := samples()
	require.Equal(t, "0", sample(t, now, "hookyard_parked_runs", `source="slack"`))
	require.NotEmpty(t, sample(t, now, "hookyard_parked_oldest_timestamp_seconds", `source="stripe"`))
	require.Equal(t, "3", sample(t, now, "hookyard_steps_parked_total", `source="stripe"`, `reason="unhandled"`))

	s.run("resolve", "stripe:evt_resolve", "--result", "null", "--why", "by hand")
	s.run("discard", "stripe:evt_discard", "--why", "of no use")
	s.run("resume", "stripe:evt_resume")
	s.completed("stripe:evt_resolve")
	for what, want := range map[string]string{
		"hookyard_steps_resolved_total": "1", "hookyard_runs_discarded_total": "1", "hookyard_steps_resumed_total": "1",
	} {
		harness.Eventually(t, what+" is "+want, func() bool { return sample(t, samples(), what, `source="stripe"`) == want })
	}

	now = samples()
	for _, outcome := range []struct {
		labels []string
		count  string
	}{
		{[]string{`source="stripe"`, `provider="stripe"`, `outcome="accepted"`, `status="200"`, `reason=""`}, "4"},
		{[]string{`source="stripe"`, `outcome="duplicate"`, `status="200"`}, "1"},
		{[]string{`source="stripe"`, `outcome="ignored"`, `status="200"`}, "1"},
		{[]string{`source="stripe"`, `outcome="refused"`, `status="401"`, `reason="not-verified"`}, "1"},
		{[]string{`source=""`, `provider=""`, `outcome="refused"`, `status="404"`, `reason="unknown-source"`}, "1"},
		{[]string{`source="slack"`, `outcome="handshake"`, `status="200"`}, "1"},
	} {
		require.Equal(t, outcome.count, sample(t, now, "hookyard_deliveries_total", outcome.labels...), "%v", outcome.labels)
	}
	for name, count := range map[string]string{
		"hookyard_delivery_seconds_count": "4", "hookyard_start_seconds_count": "4",
	} {
		require.Equal(t, count, sample(t, now, name, `source="stripe"`, `="accepted"`), name)
	}
	require.Equal(t, "1", sample(t, now, "hookyard_start_seconds_count", `source="stripe"`, `result="duplicate"`))
	require.Equal(t, "7", sample(t, now, "hookyard_verify_seconds_count", `source="stripe"`))
	require.Equal(t, "7", sample(t, now, "hookyard_body_bytes_count", `source="stripe"`))
	require.Equal(t, "0", sample(t, now, "hookyard_deliveries_in_flight"))
	require.NotEmpty(t, sample(t, now, "hookyard_last_delivery_timestamp_seconds", `source="stripe"`))
	require.Equal(t, "1", sample(t, now, "hookyard_event_seconds_count", `source="stripe"`, `event_type="invoice.paid"`))
	require.Contains(t, strings.Join(slices.Sorted(maps.Keys(now)), "\n"), "temporal_workflow_task_schedule_to_start_latency_seconds_bucket")
	require.NotContains(t, strings.Join(slices.Sorted(maps.Keys(now)), "\n"), "made-up-by-a-stranger")

	log := s.Output.String()
	require.Contains(t, log, "Stripe-Signature", "the names of headers are shown")
	require.Contains(t, log, "in_1", "and the payload")
	for _, hidden := range []string{secret, forged.Header.Get("Stripe-Signature"), "ada@example.com"} {
		require.NotContains(t, log, hidden)
	}
}

// span is one line of a trace file.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ TraceID, SpanID string }
}

// TestTrace follows one trace from the request to the ledger's INSERT, whether
// the step runs as an Activity or as a local one.
func TestTrace(t *testing.T) {
	t.Parallel()
	temporal := startTemporal(t, "")
	for step, timeout := range map[string]string{"an Activity": "30s", "a local Activity": "5s"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "trace.json")
			s := startSystem(t, temporal, stripeSource+"retry: {default: {initial: 1s, attempts: 3, timeout: "+timeout+"}}", "--trace-file", file)
			d := signed(t, "stripe", "evt_"+timeout, "", invoicePaid)
			const traceID, rootID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
			d.Header.Set("Traceparent", "00-"+traceID+"-"+rootID+"-01")
			require.Equal(t, "accepted", s.post(t.Context(), "stripe", d.Header, d.Body).status)
			s.completed("stripe:evt_" + timeout)
			chain := []string{
				"INSERT", "RunActivity:RecordPayment", "StartActivity:RecordPayment", "RunWorkflow:stripe.invoice.paid",
				"StartWorkflow:stripe.invoice.paid", "POST /webhooks/{source}",
			}
			var all []span
			harness.Eventually(t, "all spans are written", func() bool {
				all = spans(t, file)
				return !slices.ContainsFunc(chain, func(name string) bool { return named(all, name) == nil })
			})
			above := named(all, "INSERT")
			for _, name := range chain {
				require.Equal(t, name, above.Name)
				require.Equal(t, traceID, above.SpanContext.TraceID)
				if name == "POST /webhooks/{source}" {
					break
				}
				parent := above.Parent.SpanID
				i := slices.IndexFunc(all, func(s span) bool { return s.SpanContext.SpanID == parent })
				require.GreaterOrEqual(t, i, 0, "%s has no parent in the file", name)
				above = &all[i]
			}
			require.Equal(t, rootID, above.Parent.SpanID, "the sender's span is at the root")
		})
	}
}

func spans(t *testing.T, file string) []span {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(text), secret)
	var all []span
	for line := range bytes.Lines(text) {
		var s span
		require.NoError(t, json.Unmarshal(line, &s))
		all = append(all, s)
	}
	return all
}

func named(all []span, name string) *span {
	for _, s := range all {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

// TestHealth takes Temporal away and gives it back.
func TestHealth(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, filepath.Join(t.TempDir(), "temporal.db"))
	s := newSystem(t, server, stripeSource)
	admin := harness.TestAddress(t)
	s.serve("--admin", admin)
	health := func(args ...string) (string, error) {
		p := harness.Run(t, s.vars(), programs.Hookyard, append([]string{"health", "--admin", admin}, args...)...)
		err := p.Wait()
		return p.Output.String(), err
	}
	var code int
	harness.Eventually(t, "it is ready", func() bool {
		code, _ = ask(t, "http://"+admin+"/readyz")
		return code == http.StatusOK
	})
	said, err := health()
	require.NoError(t, err)
	require.Equal(t, admin+": ready\n", said)

	server.Kill()
	harness.Eventually(t, "it is not ready", func() bool {
		code, said = ask(t, "http://"+admin+"/readyz")
		return code == http.StatusServiceUnavailable
	})
	require.Contains(t, said, `"type":"urn:hookyard:problem:not-ready"`)
	require.Contains(t, said, "temporal at "+server.Address)
	code, _ = ask(t, "http://"+admin+"/healthz")
	require.Equal(t, http.StatusOK, code, "to be alive, it needs no Temporal")
	said, err = health()
	require.Error(t, err)
	require.Contains(t, said, "not ready: temporal at "+server.Address)
	_, err = health("--live")
	require.NoError(t, err)

	server.Start()
	harness.Eventually(t, "it is ready again", func() bool {
		code, _ = ask(t, "http://"+admin+"/readyz")
		return code == http.StatusOK
	})

	// A second process on this machine, with no address of its own to listen on.
	_ = s.Stop(syscall.SIGTERM)
	_, err = health("--live")
	require.Error(t, err)
}
