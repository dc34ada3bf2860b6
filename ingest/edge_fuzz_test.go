package ingest_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
)

// fuzzedBody is the largest body that the fuzzed edge takes, in bytes.
const fuzzedBody = 4 << 10

// fuzzedEdge has a source of each kind of scheme, named as its provider.
const fuzzedEdge = `
public_url: https://hooks.example.com
sources:
  stripe: {provider: stripe, secrets: [env:S], max_body: 4KiB}
  github: {provider: github, secrets: [env:S], max_body: 4KiB}
  shopify: {provider: shopify, secrets: [env:S], max_body: 4KiB}
  slack: {provider: slack, secrets: [env:S], max_body: 4KiB}
  standard-webhooks: {provider: standard-webhooks, secrets: [env:S], max_body: 4KiB, routes: [{type: "a*"}, {type: "*", ignore: true}]}
`

// FuzzRequest gives the edge requests as they come over a connection, broken
// ones included, and looks for one that is taken without a signature.
func FuzzRequest(f *testing.F) {
	files, err := filepath.Glob("testdata/deliveries/*.txtar")
	require.NoError(f, err)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		require.NoError(f, err)
		f.Add([]byte(strings.ReplaceAll(section(archive, "request"), "\n", "\r\n")))
	}
	f.Add([]byte("POST /webhooks/slack HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Add([]byte("POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{}"))
	f.Add([]byte("POST http://b/webhooks/github?a=%zz HTTP/1.0\r\nX-Hub-Signature-256: sha256=00\r\n\r\n"))
	f.Add([]byte("CONNECT stripe:1 HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"))
	w := newWatched(f, fuzzedEdge)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return // net/http answers it
		}
		answer := w.serve(t, r)
		require.Empty(t, w.starter.events, "nothing here is signed with the secret")
		require.NotEqual(t, http.StatusOK, answer.Code)
	})
}

// FuzzDelivery gives the edge deliveries that are signed, and then changed or
// not, and holds what is started against a reckoning of the signature of its
// own.
func FuzzDelivery(f *testing.F) {
	w := newWatched(f, fuzzedEdge)
	providers := []string{"stripe", "github", "shopify", "slack", "standard-webhooks"}
	for i, name := range providers {
		body, _, _ := w.sources[name].Provider.Sample("")
		f.Add(uint8(i), "?a=b", "Content-Type", "application/json", body, uint16(0), uint8(0))
		f.Add(uint8(i), "", "X-GitHub-Event", "push", body, uint16(7), uint8(1))
		f.Add(uint8(i), "/", "Content-Type", "application/x-www-form-urlencoded", []byte("payload=%7B%22type%22%3A1%7D&trigger_id=%ff"), uint16(0), uint8(2))
		f.Add(uint8(i), "", "X-Shopify-Webhook-Id", "a\xffb", []byte(`{"id":"a\nb","type":"x"}`), uint16(0), uint8(3))
	}
	f.Add(uint8(3), "", "", "", []byte(`{"type":"url_verification","challenge":"<script>\""}`), uint16(0), uint8(0))
	answers := []error{nil, ingest.ErrDuplicate, ingest.ErrTooLarge, errors.New("connection refused by 10.0.0.7")}
	f.Fuzz(func(t *testing.T, which uint8, query, name, value string, body []byte, flip uint16, start uint8) {
		source := providers[int(which)%len(providers)]
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST /webhooks/" + source + query + " HTTP/1.1\r\nHost: a\r\n\r\n")))
		if err != nil {
			return
		}
		d := &provider.Delivery{Method: http.MethodPost, URL: "https://hooks.example.com" + r.URL.RequestURI(), Header: http.Header{}, Body: bytes.Clone(body), ReceivedAt: clock}
		for _, needed := range []string{"X-GitHub-Delivery", "X-Shopify-Webhook-Id", "Webhook-Id"} {
			d.Header.Set(needed, "id-1")
		}
		d.Header.Set(name, value)
		if w.sources[source].Provider.Sign(d) != nil {
			return // what is signed is not all there
		}
		change(d, int(flip))
		r.Header, r.Body, r.ContentLength = d.Header, io.NopCloser(bytes.NewReader(d.Body)), -1
		w.starter.answer = answers[int(start)%len(answers)]
		answer := w.serve(t, r)

		genuine := isGenuine(t, source, d.Header, d.Body)
		require.LessOrEqual(t, len(w.starter.events), 1)
		for i, ev := range w.starter.events {
			require.True(t, genuine, "%+v was started", ev)
			require.Equal(t, string(d.Body), w.starter.bodies[i])
			require.Equal(t, source, ev.Source)
			requireKept(t, ev)
			want := map[uint8]int{0: 200, 1: 200, 2: 413, 3: 503}[start%4]
			require.Equal(t, want, answer.Code)
		}
		if len(w.starter.events) == 0 {
			require.NotEqual(t, http.StatusServiceUnavailable, answer.Code)
		}
		if answer.Code == http.StatusOK {
			require.True(t, genuine)
		}
	})
}

// change alters one byte of the body or of a header, or nothing where n is 0.
func change(d *provider.Delivery, n int) {
	if n == 0 {
		return
	}
	if n%2 == 0 && len(d.Body) > 0 {
		d.Body[n/2%len(d.Body)] ^= 1 << (n % 7)
		return
	}
	for _, name := range []string{"Stripe-Signature", "X-Hub-Signature-256", "X-Shopify-Hmac-Sha256", "X-Slack-Signature", "X-Slack-Request-Timestamp", "Webhook-Signature", "Webhook-Timestamp", "Webhook-Id"} {
		if value := []byte(d.Header.Get(name)); len(value) > 0 {
			value[n/2%len(value)] ^= 1 << (n % 7)
			d.Header.Set(name, string(value))
			return
		}
	}
}

// requireKept requires that an event is the same once it is stored: Workflows
// work with what was stored.
func requireKept(t *testing.T, ev event.Event) {
	data, err := json.Marshal(ev)
	require.NoError(t, err)
	var stored event.Event
	require.NoError(t, json.Unmarshal(data, &stored))
	require.Equal(t, ev.WorkflowType(), stored.WorkflowType())
	require.Equal(t, ev.WorkflowID(), stored.WorkflowID(), "the id %q is not kept", ev.ID)
}

// watched is an edge, and what it did with one delivery.
type watched struct {
	handler http.Handler
	sources map[string]*ingest.Source
	starter *started
	log     *bytes.Buffer
}

func newWatched(f *testing.F, text string) *watched {
	w := &watched{starter: &started{}}
	w.handler, w.sources, w.log = edge(f, text, w.starter)
	return w
}

// serve has a delivery answered and requires what holds for every answer.
func (w *watched) serve(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	w.starter.events, w.starter.bodies = nil, nil
	w.log.Reset()
	r.RemoteAddr = "192.0.2.1:40000"
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r.WithContext(t.Context()))

	require.NotContains(t, w.log.String(), "broke its handler")
	said := answer.Body.String()
	for _, text := range []string{said, fmt.Sprint(answer.Header()), w.log.String()} {
		require.NotContains(t, text, testSecret)
	}
	require.NotContains(t, said, "10.0.0.7", "the cause is for the log")
	for _, body := range w.starter.bodies {
		require.LessOrEqual(t, len(body), fuzzedBody)
	}
	require.LessOrEqual(t, len(said), 2*fuzzedBody)
	switch answer.Code {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		require.Equal(t, "application/problem+json", answer.Header().Get("Content-Type"))
		var problem struct{ Status int }
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &problem))
		require.Equal(t, answer.Code, problem.Status)
	default:
		require.Fail(t, "an answer that is in no table", "%d %s", answer.Code, said)
	}
	return answer
}

// isGenuine reports whether some signature in the delivery is the provider's.
// It is written from the providers' pages and has nothing in common with the
// code that it checks.
func isGenuine(t *testing.T, source string, h http.Header, body []byte) bool {
	switch source {
	case "stripe":
		var at string
		var sent []string
		for item := range strings.SplitSeq(h.Get("Stripe-Signature"), ",") {
			switch key, value, _ := strings.Cut(strings.TrimSpace(item), "="); key {
			case "t":
				at = value
			case "v1":
				sent = append(sent, value)
			}
		}
		return isFresh(at) && hexMatches(sent, mac(testSecret, at, ".", string(body)))
	case "github":
		signature, ok := strings.CutPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
		return ok && hexMatches([]string{signature}, mac(testSecret, string(body)))
	case "shopify":
		return base64Matches([]string{h.Get("X-Shopify-Hmac-Sha256")}, mac(testSecret, string(body)))
	case "slack":
		at := h.Get("X-Slack-Request-Timestamp")
		signature, ok := strings.CutPrefix(h.Get("X-Slack-Signature"), "v0=")
		return ok && isFresh(at) && hexMatches([]string{signature}, mac(testSecret, "v0:", at, ":", string(body)))
	case "standard-webhooks":
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(testSecret, "whsec_"))
		require.NoError(t, err)
		at := h.Get("Webhook-Timestamp")
		var sent []string
		for item := range strings.SplitSeq(h.Get("Webhook-Signature"), " ") {
			if signature, ok := strings.CutPrefix(item, "v1,"); ok {
				sent = append(sent, signature)
			}
		}
		return isFresh(at) && base64Matches(sent, mac(string(secret), h.Get("Webhook-Id"), ".", at, ".", string(body)))
	default:
		require.Fail(t, "no such source", source)
		return false
	}
}

func mac(secret string, parts ...string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		_, _ = io.WriteString(h, part)
	}
	return h.Sum(nil)
}

func isFresh(seconds string) bool {
	n, err := strconv.ParseInt(seconds, 10, 64)
	return err == nil && clock.Sub(time.Unix(n, 0)).Abs() <= 5*time.Minute
}

func hexMatches(sent []string, want []byte) bool {
	return slices.ContainsFunc(sent, func(s string) bool { return strings.EqualFold(s, hex.EncodeToString(want)) })
}

func base64Matches(sent []string, want []byte) bool {
	return slices.ContainsFunc(sent, func(s string) bool {
		got, err := base64.StdEncoding.DecodeString(s)
		return err == nil && bytes.Equal(got, want)
	})
}
