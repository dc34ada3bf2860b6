package tests

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v82/webhook"
	enumspb "go.temporal.io/api/enums/v1"
)

// TestAnswers sees each answer of the edge over the wire.
func TestAnswers(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET], routes: [{type: "invoice.*"}, {type: "*", ignore: true}], max_body: 1KiB}
  slack: {provider: slack, secrets: [env:SECRET]}
  listed: {provider: stripe, secrets: [env:SECRET], allow: [203.0.113.0/24]}
  limited: {provider: stripe, secrets: [env:SECRET], rate: {per_second: 0.01, burst: 1}}
  large: {provider: github, secrets: [env:SECRET], max_body: 1.9MiB}
`)
	good := signed(t, "stripe", "evt_1", "", invoicePaid)
	wrong := good.Header.Clone()
	wrong.Set("Stripe-Signature", strings.Replace(wrong.Get("Stripe-Signature"), "v1=", "v1=00", 1))
	noEvent := `{"object":"event"}`
	unnamed := http.Header{"Stripe-Signature": {webhook.GenerateTestSignedPayload(
		&webhook.UnsignedPayload{Payload: []byte(noEvent), Secret: secret}).Header}}
	unwanted := signed(t, "stripe", "evt_2", "charge.failed", invoicePaid)
	large := signed(t, "github", "big", "ping", strings.Repeat("x", 19<<20/10))

	for _, tt := range []struct {
		name, method, path string
		header             http.Header
		body               []byte
		code               int
		status             string // of a 2xx
	}{
		{"unknown source", "POST", "/webhooks/strpe", good.Header, good.Body, 404, ""},
		{"another path", "POST", "/", nil, nil, 404, ""},
		{"method", "PUT", "/webhooks/stripe", nil, nil, 405, ""},
		{"address", "POST", "/webhooks/listed", good.Header, good.Body, 403, ""},
		{"rate, the first", "POST", "/webhooks/limited", good.Header, good.Body, 200, "accepted"},
		{"rate, the second", "POST", "/webhooks/limited", good.Header, good.Body, 429, ""},
		{"size", "POST", "/webhooks/stripe", good.Header, bytes.Repeat([]byte("x"), 1025), 413, ""},
		{"unsigned", "POST", "/webhooks/stripe", nil, good.Body, 401, ""},
		{"wrong signature", "POST", "/webhooks/stripe", wrong, good.Body, 401, ""},
		{"changed body", "POST", "/webhooks/stripe", good.Header, bytes.Replace(good.Body, []byte("4900"), []byte("4901"), 1), 401, ""},
		{"no event", "POST", "/webhooks/stripe", unnamed, []byte(noEvent), 422, ""},
		{"ignored", "POST", "/webhooks/stripe", unwanted.Header, unwanted.Body, 200, "ignored"},
		{"accepted", "POST", "/webhooks/stripe", good.Header, good.Body, 200, "accepted"},
		{"duplicate", "POST", "/webhooks/stripe", good.Header, good.Body, 200, "duplicate"},
		{"the largest body", "POST", "/webhooks/large", large.Header, large.Body, 200, "accepted"},
	} {
		// In this order: some answers need the one before.
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+s.address+tt.path, bytes.NewReader(tt.body))
		require.NoError(t, err, tt.name)
		if tt.header != nil {
			req.Header = tt.header.Clone()
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err, tt.name)
		var said struct {
			Status any
			Title  string
			Type   string
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&said), tt.name)
		require.NoError(t, resp.Body.Close(), tt.name)
		require.Equal(t, tt.code, resp.StatusCode, tt.name)
		if tt.code/100 == 2 {
			require.Equal(t, tt.status, said.Status, tt.name)
			continue
		}
		require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"), tt.name)
		require.InDelta(t, tt.code, said.Status, 0, tt.name)
		require.NotEmpty(t, said.Title, tt.name)
		require.True(t, strings.HasPrefix(said.Type, "urn:hookyard:problem:"), tt.name)
		if tt.code == 429 {
			require.NotEmpty(t, resp.Header.Get("Retry-After"), tt.name)
		}
	}

	t.Run("handshake", func(t *testing.T) {
		d := signed(t, "slack", "", "", `{"type":"url_verification","challenge":"c-1"}`)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+"/webhooks/slack", bytes.NewReader(d.Body))
		require.NoError(t, err)
		req.Header = d.Header
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "200 c-1", resp.Status[:3]+" "+body.String())
	})
}

// TestProvidersOwnLibraries signs with the code that providers publish.
func TestProvidersOwnLibraries(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET], routes: [{type: "*", keep: true}]}
  acme: {provider: standard-webhooks, secrets: [env:SECRET], routes: [{type: "*", keep: true}]}
  svix: {provider: svix, secrets: [env:SECRET], routes: [{type: "*", keep: true}]}
`)
	const body = `{"id":"evt_own","type":"thing.made","data":{"n":1}}`
	for source, sign := range map[string]func(h http.Header) error{
		"stripe": func(h http.Header) error {
			h.Set("Stripe-Signature", webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret}).Header)
			return nil
		},
		"acme": func(h http.Header) error { return signStandard(h, "webhook-", body) },
		"svix": func(h http.Header) error { return signStandard(h, "svix-", body) },
	} {
		header := http.Header{}
		require.NoError(t, sign(header), source)
		changed := strings.Replace(body, `"n":1`, `"n":2`, 1)
		require.Equal(t, 401, s.post(t.Context(), source, header.Clone(), []byte(changed)).code, source)
		require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED, s.statusOf(source+":evt_own"), source)

		require.Equal(t, "accepted", s.post(t.Context(), source, header, []byte(body)).status, source)
		s.completed(source + ":evt_own")
	}
}

// signStandard signs with the library of the Standard Webhooks project, which
// Svix shares but for the headers' names.
func signStandard(h http.Header, prefix, body string) error {
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	now := time.Now()
	signature, err := library.Sign("evt_own", now, []byte(body))
	if err != nil {
		return err
	}
	h.Set(prefix+"id", "evt_own")
	h.Set(prefix+"timestamp", strconv.FormatInt(now.Unix(), 10))
	h.Set(prefix+"signature", signature)
	return nil
}
