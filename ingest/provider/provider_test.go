package provider_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/ingest/provider"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 700e6, time.UTC)

// secret returns a secret of the form that the provider hands out.
func secret(name string) string {
	switch name {
	case "standard-webhooks", "svix":
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte("a test secret of 24 bytes"))
	case "standard-webhooks-v1a":
		private := ed25519.NewKeyFromSeed([]byte("a test seed has 32 bytes to it.."))
		return "whsk_" + base64.StdEncoding.EncodeToString(private)
	default:
		return "a test secret"
	}
}

func lookup(t testing.TB, name string) *provider.Provider {
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	p, ok := catalog.Lookup(name)
	require.True(t, ok, name)
	return p
}

func bind(t testing.TB, name string, secrets ...string) *provider.Receiver {
	r, err := lookup(t, name).Bind(provider.Binding{Secrets: secrets})
	require.NoError(t, err)
	return r
}

func signed(t testing.TB, r *provider.Receiver, at time.Time) *provider.Delivery {
	body, _, _ := r.Sample("")
	d := provider.SampleDelivery("https://hooks.example.com/webhooks/x", body)
	d.ReceivedAt = at
	require.NoError(t, r.Stamp(d, "evt_1", "thing.happened"))
	require.NoError(t, r.Sign(d))
	return d
}

func TestTolerance(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"stripe", "slack", "svix", "standard-webhooks", "standard-webhooks-v1a"} {
		r := bind(t, name, secret(name))
		d := signed(t, r, now)
		for _, tt := range []struct {
			age  time.Duration
			want error
		}{
			{0, nil},
			{5 * time.Minute, nil},
			{5*time.Minute + time.Second, provider.ErrStale},
			{-5 * time.Minute, nil},
			{-5*time.Minute - time.Second, provider.ErrStale},
			{100 * 365 * 24 * time.Hour, provider.ErrStale},
		} {
			d.ReceivedAt = now.Add(tt.age)
			require.ErrorIs(t, r.Verify(t.Context(), d), tt.want, "%s %s old", name, tt.age)
		}
		wide, err := lookup(t, name).Bind(provider.Binding{Secrets: []string{secret(name)}, Tolerance: time.Hour})
		require.NoError(t, err)
		d.ReceivedAt = now.Add(time.Hour)
		require.NoError(t, wide.Verify(t.Context(), d), "%s with a tolerance of its own", name)
	}
}

// TestRefusals holds what is wrong with a signature against the word for it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, provider string
		change         func(h http.Header)
		want           error
		text           string
	}{
		{"no header", "stripe", func(h http.Header) { h.Del("Stripe-Signature") }, provider.ErrUnsigned, "header Stripe-Signature is missing"},
		{"empty header", "stripe", func(h http.Header) { h.Set("Stripe-Signature", "") }, provider.ErrUnsigned, "missing or empty"},
		{"header twice", "stripe", func(h http.Header) { h.Add("Stripe-Signature", "t=1,v1=00") }, provider.ErrMalformed, "there 2 times"},
		{"no timestamp", "stripe", func(h http.Header) { h.Set("Stripe-Signature", "v1=00") }, provider.ErrUnsigned, `no timestamp "t"`},
		{"timestamp twice", "stripe", func(h http.Header) { h.Set("Stripe-Signature", "t=1,t=2,v1=00") }, provider.ErrMalformed, `"t" twice`},
		{"not hex", "stripe", func(h http.Header) { h.Set("Stripe-Signature", "t=1,v1=zz") }, provider.ErrMalformed, "holds no hex signature named v1"},
		{"only v0", "stripe", func(h http.Header) { h.Set("Stripe-Signature", "t=1,v0=00") }, provider.ErrMalformed, "holds no hex signature named v1"},
		{"too many", "stripe", func(h http.Header) { h.Set("Stripe-Signature", "t=1"+strings.Repeat(",v1=00", 21)) }, provider.ErrMalformed, "more than 20"},
		{"no prefix", "github", func(h http.Header) { h.Set("X-Hub-Signature-256", strings.Repeat("00", 32)) }, provider.ErrMalformed, `does not start with "sha256="`},
		{"short", "github", func(h http.Header) { h.Set("X-Hub-Signature-256", "sha256=00") }, provider.ErrMismatch, "any of the 1 configured"},
		{"empty after prefix", "github", func(h http.Header) { h.Set("X-Hub-Signature-256", "sha256=") }, provider.ErrMalformed, "holds no hex"},
		{"no time header", "slack", func(h http.Header) { h.Del("X-Slack-Request-Timestamp") }, provider.ErrUnsigned, "X-Slack-Request-Timestamp"},
		{"time header twice", "slack", func(h http.Header) { h.Add("X-Slack-Request-Timestamp", "1") }, provider.ErrUnsigned, "there twice"},
		{"id twice", "svix", func(h http.Header) { h.Add("svix-id", "evt_2") }, provider.ErrUnsigned, "event id is missing"},
		{"other id", "svix", func(h http.Header) { h.Set("svix-id", "evt_2") }, provider.ErrMismatch, ""},
		{"base64 with a tail", "shopify", func(h http.Header) { h.Set("X-Shopify-Hmac-Sha256", h.Get("X-Shopify-Hmac-Sha256")+"=") }, provider.ErrMalformed, "no base64"},
		{"public key as signature", "standard-webhooks-v1a", func(h http.Header) { h.Set("webhook-signature", "v1a,AAAA") }, provider.ErrMismatch, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := bind(t, tt.provider, secret(tt.provider))
			d := signed(t, r, now)
			tt.change(d.Header)
			err := r.Verify(t.Context(), d)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
			require.NotEmpty(t, provider.Reason(err))
		})
	}
}

// TestTimestampForms signs every form of a number that is no time, and sees
// none of them taken.
func TestTimestampForms(t *testing.T) {
	t.Parallel()
	for _, sent := range []string{"", "abc", "-1", "+1", " 1", "1.5", "1e9", "0x10", "１２３", "9999999999999999", "1 "} {
		r := bind(t, "slack", "s")
		d := signed(t, r, now)
		d.Header.Set("X-Slack-Request-Timestamp", sent)
		// Sign what was sent, so that only its form can be the matter.
		plain := bind(t, "github", "s")
		inner := &provider.Delivery{Header: http.Header{}, Body: []byte("v0:" + sent + ":" + string(d.Body))}
		require.NoError(t, plain.Sign(inner))
		d.Header.Set("X-Slack-Signature", "v0="+strings.TrimPrefix(inner.Header.Get("X-Hub-Signature-256"), "sha256="))
		err := r.Verify(t.Context(), d)
		require.Error(t, err, "%q", sent)
		require.Contains(t, []string{"malformed", "missing"}, provider.Reason(err), "%q: %v", sent, err)
	}
}

func TestBindRefusesSecrets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ provider, secret, want string }{
		{"stripe", "", "secret 1: it is empty"},
		{"svix", "whsec_", "secret 1: it is empty"},
		{"svix", "whsec_n-o-t", "secret 1: it is not base64"},
		{"standard-webhooks-v1a", "whpk_AAAA", "it is 3 bytes"},
		{"standard-webhooks-v1a", "whsk_" + base64.StdEncoding.EncodeToString(make([]byte, 64)), "not a key pair"},
	} {
		_, err := lookup(t, tt.provider).Bind(provider.Binding{Secrets: []string{tt.secret}})
		require.ErrorContains(t, err, tt.want)
		if tt.secret != "" {
			require.NotContains(t, err.Error(), tt.secret)
		}
	}
	_, err := lookup(t, "stripe").Bind(provider.Binding{})
	require.ErrorContains(t, err, "no secret")
	public := "whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	require.ErrorContains(t, bind(t, "standard-webhooks-v1a", public).Sign(provider.SampleDelivery("", nil)), "event id is missing")
}

func TestSlackHandshake(t *testing.T) {
	t.Parallel()
	r := bind(t, "slack", "s")
	d := provider.SampleDelivery("", []byte(`{"type":"url_verification","challenge":"<b>3eZbrw1aB</b>"}`))
	greet := func(verified bool) *provider.Answer {
		a, err := r.Greet(t.Context(), d, verified)
		require.NoError(t, err)
		return a
	}
	require.Nil(t, greet(false), "nothing unverified is parsed")
	require.Empty(t, cmp.Diff(&provider.Answer{
		Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("<b>3eZbrw1aB</b>"),
	}, greet(true)))
	d.Body = []byte(`{"type":"event_callback","challenge":"x"}`)
	require.Nil(t, greet(true))
	d.Body = []byte(`{"type":"url_verification"}`)
	require.Nil(t, greet(true), "no challenge to answer")
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}
	for _, tt := range []struct {
		name, provider string
		header         http.Header
		body           string
		id, eventType  string
		err            string
	}{
		{"JSON", "stripe", nil, `{"id":"evt_1","type":"a.b"}`, "evt_1", "a.b", ""},
		{"a number keeps its digits", "stripe", nil, `{"id":820982911946154508,"type":"a"}`, "820982911946154508", "a", ""},
		{"untyped", "stripe", nil, `{"id":"evt_1"}`, "evt_1", "", ""},
		{"an object is no id", "stripe", nil, `{"id":{"a":1}}`, "", "", "json:id"},
		{"no JSON", "stripe", nil, `{"id":"evt_1"`, "", "", "json:id"},
		{"an id too long", "stripe", nil, `{"id":"` + strings.Repeat("x", 1025) + `"}`, "", "", "1025 bytes"},
		{"a type too long", "stripe", nil, `{"id":"1","type":"` + strings.Repeat("x", 201) + `"}`, "", "", "201 bytes"},
		{"a type with a line break", "stripe", nil, `{"id":"1","type":"a\nb"}`, "", "", "not printable"},
		{"no id where there always is one", "stripe", nil, `{"object":"event"}`, "", "", "none of these holds an id: json:id"},
		{"nothing at all", "github", nil, ``, "", "", "header:X-GitHub-Delivery"},
		{"slash command", "slack", form, `command=%2Fdeploy&trigger_id=1.2.ab`, "1.2.ab", "", ""},
		{"interaction", "slack", form, `payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%229.8%22%7D`, "9.8", "block_actions", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := bind(t, tt.provider, "s")
			got, err := r.Identify(&provider.Delivery{Header: tt.header, Body: []byte(tt.body)})
			if tt.err != "" {
				require.ErrorIs(t, err, provider.ErrNoEvent)
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Empty(t, cmp.Diff([]provider.Identity{{ID: tt.id, Type: tt.eventType, Payload: []byte(tt.body), JSON: tt.header == nil}}, got))
		})
	}
}

// TestFileProblems reads provider files with mistakes in them.
func TestFileProblems(t *testing.T) {
	t.Parallel()
	const good = `name: acme
docs: https://acme.example/webhooks
signature:
  header: X-Acme-Signature
  algorithm: hmac-sha256
  encoding: hex
  content: "{body}"
event: {id: [json:id], unique: {json:id: a test}, type: [json:type]}
`
	for _, tt := range []struct{ name, old, new, want string }{
		{"unknown key", "docs:", "dox:", `acme.yaml:2: unknown key "dox"; known: alias_retries, aliases, body, configurable, docs, event,`},
		{"unknown algorithm", "hmac-sha256", "hmac-md5", `acme.yaml:5: unknown algorithm "hmac-md5"; known: ecdsa-p256, ed25519, hmac-sha1, hmac-sha256, hmac-sha512, md5, rsa-sha256, sha1, sha256, sha512, token`},
		{"unknown encoding", "hex", "base32", `acme.yaml:6: unknown encoding "base32"; known: base64, hex`},
		{"body not signed", `"{body}"`, `"{url}"`, `acme.yaml:7: signature.content "{url}" has no {body}: anyone could change the body`},
		{"unknown placeholder", `"{body}"`, `"{body}{tme}"`, `acme.yaml:7: signature.content: unknown placeholder {tme}; known: {body}, {baseurl}, {granted}, {id}`},
		{"time from nowhere", `"{body}"`, `"{timestamp}{body}"`, `acme.yaml:7: signature.content has {timestamp}, but signature.timestamp does not say where it stands`},
		{"time not held against the clock", `"{body}"`, "\"{timestamp}{body}\"\n  timestamp: {from: header:X-Time}", `acme.yaml:8: signature.timestamp.tolerance is missing`},
		{"no id", "id: [json:id], ", "", `acme.yaml:8: event.id is missing`},
		{"bad source", "json:id", "jsn:id", `acme.yaml:8: event.id: "jsn:id" is not a lookup`},
		{"bad name", "name: acme", "name: Acme Inc", `acme.yaml:1: name "Acme Inc": want lower-case`},
		{"kept name", "name: acme", "name: hookyard", `acme.yaml:1: name "hookyard" is kept for Hookyard's own`},
		{"no header", "  header: X-Acme-Signature\n", "", `acme.yaml:3: signature.header is missing`},
		{"no such sample", "event:", "samples: {a: nowhere.json}\nevent:", `acme.yaml:8: sample "a": open nowhere.json`},
		{"greets everything", "event:", "handshakes: [{answer: {body: hi}}]\nevent:", `acme.yaml:8: handshake 1 answers every POST`},
		{"taken", "name: acme", "name: stripe", `there is a provider "stripe" already`},
		{"not YAML", "signature:", "signature: [", `acme.yaml:`},
		{"unknown scheme", "  header: X-Acme-Signature\n", "  scheme: paypall\n", `acme.yaml:4: unknown scheme "paypall"; known: adyen-payments, `},
		{"a scheme and more", "  header: X-Acme-Signature\n", "  scheme: paypal\n", `acme.yaml:3: signature.scheme "paypal" describes the signature`},
		{"a digest without the secret", "hmac-sha256", "sha256", `acme.yaml:7: signature.content "{body}" has no {secret}: anyone can compute a plain sha256`},
		{"an HMAC with the secret", `"{body}"`, `"{body}{secret}"`, `acme.yaml:7: signature.content has {secret}`},
		{"a signature of ours", "  header: X-Acme-Signature\n", "  from: body:sha256\n", `acme.yaml:4: "body:sha256" is nothing that a sender signs with`},
		{"a header in the wrong place", "  header: X-Acme-Signature\n", "  from: header:X\n", `acme.yaml:4: "header:X": a header belongs under signature.header`},
		{"too many headers", "X-Acme-Signature", `"X-{1..500}"`, `acme.yaml:4: signature.header: header "X-{1..500}": want at most 100`},
		{"headers in no order", "X-Acme-Signature", `"X-{a..b}"`, `acme.yaml:4: signature.header: header "X-{a..b}": want a name, or`},
		{"an item of nothing", "json:type", "item:type", `acme.yaml:8: "item:type" looks into an item, but event.each`},
		{"a list of nothing", "event: {id", "event: {each: header:X, id", `acme.yaml:8: event.each: "header:X" names no list`},
		{"an unknown option", "json:type", "option:tenant", `acme.yaml:8: event.type: there is no option "tenant"`},
		{"an option without doc", "event:", "options: {tenant: {required: true}}\nevent:", `acme.yaml:8: option "tenant" has no doc`},
		{"an option twice sure", "event:", "options: {tenant: {doc: d, required: true, default: x}}\nevent:", `acme.yaml:8: option "tenant" is required and has a default`},
		{"an option's key", "event:", "options: {tenant: {dok: d}}\nevent:", `acme.yaml:8: unknown key "dok"`},
		{"a bad expression", "json:type", "json:type~^(", `acme.yaml:8: event.type: "json:type~^(": error parsing regexp`},
		{"unknown method", "event:", "methods: FETCH\nevent:", `acme.yaml:8: unknown method "FETCH"`},
		{"an answer that unsubscribes", "event:", "success: {status: 410}\nevent:", `acme.yaml:8: status 410 makes senders unsubscribe`},
		{"an answer that depends", "event:", "success: {body: \"{json:id}\"}\nevent:", `acme.yaml:8: success is the same for every delivery`},
		{"no status at all", "event:", "refused: {status: 42}\nevent:", `acme.yaml:8: status 42 cannot be answered`},
		{"a bad alias", "event:", "aliases: [Acme Inc]\nevent:", `acme.yaml:8: name "Acme Inc": want lower-case`},
		{"unsigned, as is known", "event: {", "event: {unsigned_id: true, ", `acme.yaml:8: event.unsigned_id is for schemes written in Go`},
		{"a bad tolerance", "event:", "  timestamp: {from: header:X, tolerance: never}\nevent:", `"never" is not a duration`},
		{"a handshake asks an unknown option", "event:", "handshakes: [{method: GET, require: {query:a: \"{option:b}\"}}]\nevent:", `there is no option "b"`},
		{"an id that things share", "[json:id]", `["{json:id}-{json:type}"]`, "acme.yaml:8: event.id: two events may have the same \"{json:id}-{json:type}\", and the second would be dropped as a redelivery; say where the provider documents that it is one per event: `unique: {\"{json:id}-{json:type}\": ...}`, or else write \"{json:id}-{json:type}-{body:sha256}\""},
		{"an id that nobody vouches for", ", unique: {json:id: a test}", "", "acme.yaml:8: event.id: two events may have the same \"json:id\", and the second would be dropped as a redelivery; say where the provider documents that it is one per event: `unique: {\"json:id\": ...}`, or else write \"{json:id}-{body:sha256}\""},
		{"a digest of the list for its items", "{id: [json:id]", `{each: json:events, id: ["{item:id}-{body:sha256}"]`, `write "{item:id}-{body:sha256}-{item:sha256}"`},
		{"an id of the list for its items", "{id: [json:id]", "{each: json:events, id: [json:id]", `acme.yaml:8: event.id: "json:id" is the same for every item of event.each, and only one of them would be kept; write "{json:id}-{item:sha256}"`},
		{"a header for its items", "{id: [json:id]", "{each: json:events, id: [item:id, header:X]", `"header:X" is the same for every item`},
		{"unique, and no reason", "json:id: a test", `json:id: ""`, `acme.yaml:8: event.unique: "json:id" has no text`},
		{"unique, and no id", "json:id: a test", `json:id: a test, json:other: docs`, `acme.yaml:8: event.unique: "json:other" is not among event.id`},
		{"split, and no list", "event: {", `event: {split: [a], `, `acme.yaml:8: event.each_when and event.split need event.each`},
		{"an oracle", "event:", "handshakes: [{method: GET, answer: {body: \"{hmac-sha256-hex:query:t}\"}}]\nevent:", `acme.yaml:8: handshake 1 computes an HMAC of "query:t" for whoever asks, under the key that signs deliveries, so that anyone could sign one; write ` + "`signed: true`, or `body: object`"},
		{"an oracle of any object", "event:", "body: object\nhandshakes: [{method: GET, answer: {body: \"{hmac-sha256-hex:query:t}\"}}]\nevent:", `handshake 1 computes an HMAC`},
		{"an oracle of any body", "event:", "handshakes: [{method: GET, answer: {body: \"{hmac-sha256-hex:query:t~^[a-z]+$}\"}}]\nevent:", `handshake 1 computes an HMAC`},
		{"an oracle in a header", "event:", "handshakes: [{method: GET, answer: {header: {X: \"{hmac-sha256-base64:header:T}\"}}}]\nevent:", `handshake 1 computes an HMAC`},
		{"an oracle with an open end", "event:", "body: object\nhandshakes: [{method: GET, answer: {body: \"{hmac-sha256-hex:query:t~^[a-z]+}\"}}]\nevent:", `handshake 1 computes an HMAC`},
		{"an oracle that takes braces", "event:", "body: object\nhandshakes: [{method: GET, answer: {body: \"{hmac-sha256-hex:query:t~^[^a]+$}\"}}]\nevent:", `handshake 1 computes an HMAC`},
		{"an unknown form of body", "event:", "body: list\nevent:", `acme.yaml:8: body "list": want "object"`},
		{"retries of nobody", "event:", "alias_retries: {other: {for: 1h}}\nevent:", `acme.yaml:8: alias_retries: "other" is not among the aliases`},
		{"a bad duration", "event:", "retries: {for: 3 days}\nevent:", `"3 days" is not a duration`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			catalog, err := provider.Builtin()
			require.NoError(t, err)
			changed := strings.Replace(good, tt.old, tt.new, 1)
			require.NotEqual(t, good, changed)
			problems := catalog.Add(fstest.MapFS{"acme.yaml": {Data: []byte(changed)}})
			require.NotEmpty(t, problems)
			require.Contains(t, fmt.Sprint(problems), tt.want)
			_, there := catalog.Lookup("acme")
			require.False(t, there)
		})
	}
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	require.Empty(t, catalog.Add(fstest.MapFS{"acme.yaml": {Data: []byte(good)}}))
	acme, ok := catalog.Lookup("acme")
	require.True(t, ok)
	r, err := acme.Bind(provider.Binding{Secrets: []string{"s"}})
	require.NoError(t, err)
	d := provider.SampleDelivery("", []byte(`{"id":"1","type":"t"}`))
	require.NoError(t, r.Sign(d))
	require.NoError(t, r.Verify(t.Context(), d))
}

func TestConfigured(t *testing.T) {
	t.Parallel()
	node := func(text string) *yaml.Node {
		var n yaml.Node
		require.NoError(t, yaml.Load([]byte(text), &n))
		return n.Content[0]
	}
	parts := map[string]*yaml.Node{
		"signature": node("\n\nheader: X-Acme\nprefix: v1-\nalgorithm: hmac-sha512\nencoding: base64"),
		"event":     node(`{id: [header:X-Id], unique: {header:X-Id: a test}, type: ["{header:X-Kind}.{json:verb}"]}`),
		"secret":    node(`{encoding: hex}`),
	}
	p, problems := lookup(t, "hmac").Configured("hookyard.yaml", parts)
	require.Empty(t, problems)
	r, err := p.Bind(provider.Binding{Secrets: []string{"00ff"}})
	require.NoError(t, err)
	d := provider.SampleDelivery("", []byte(`{"verb":"made"}`))
	d.Header.Set("X-Id", "7")
	d.Header.Set("X-Kind", "order")
	require.NoError(t, r.Sign(d))
	require.Regexp(t, `^v1-[A-Za-z0-9+/]{86}==$`, d.Header.Get("X-Acme"))
	require.NoError(t, r.Verify(t.Context(), d))
	got, err := r.Identify(d)
	require.NoError(t, err)
	require.Equal(t, "7 order.made", got[0].ID+" "+got[0].Type)

	parts["signature"] = node("\n\nheader: X-Acme\nalgoritm: hmac-sha512")
	_, problems = lookup(t, "hmac").Configured("hookyard.yaml", parts)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Error(), "hookyard.yaml:4: ")
	parts["signature"] = node("\n\nheader: X-Acme\nalgorithm: rot13")
	_, problems = lookup(t, "hmac").Configured("hookyard.yaml", parts)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Error(), "hookyard.yaml:4: unknown algorithm")
	_, problems = lookup(t, "stripe").Configured("hookyard.yaml", parts)
	require.NotEmpty(t, problems)
	require.Contains(t, problems[0].Error(), `provider "stripe" has its own`)
}
