package provider_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// own returns an operator's own provider: the file's parts that matter, with
// what is missing filled in.
func own(t testing.TB, text string) *provider.Provider {
	text = "name: own\ndocs: https://own.example\n" + text
	if !strings.Contains(text, "\nsignature:") {
		text += "\nsignature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: \"{body}\"}\n"
	}
	if !strings.Contains(text, "\nevent:") {
		text += "\nevent: {id: [json:id], unique: {json:id: a test}, type: [json:type]}\n"
	}
	var catalog provider.Catalog
	require.Empty(t, catalog.Add(fstest.MapFS{"own.yaml": {Data: []byte(text)}}))
	p, ok := catalog.Lookup("own")
	require.True(t, ok)
	return p
}

func ownReceiver(t testing.TB, text string, b provider.Binding) *provider.Receiver {
	if b.Secrets == nil {
		b.Secrets = []string{"s"}
	}
	r, err := own(t, text).Bind(b)
	require.NoError(t, err)
	return r
}

// TestSources looks every kind of value up.
func TestSources(t *testing.T) {
	t.Parallel()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, tt := range []struct {
		source, want string
		header       http.Header
		url, body    string
	}{
		{"header:x-id", "7", http.Header{"X-Id": {"7"}}, "", ""},
		{"header:x-id", "", http.Header{"X-Id": {"7", "8"}}, "", ""},
		{"json:a.b", "c", nil, "", `{"a":{"b":"c"}}`},
		{"json:a", "12345678901234567890", nil, "", `{"a":12345678901234567890}`},
		{"json:a", "", nil, "", `{"a":{}}`},
		{"json:a", "", nil, "", `{"a":true}`},
		{"json:a", "", nil, "", `{"a":"b"`},
		{"json:a.1", "y", nil, "", `{"a":["x","y"]}`},
		{"form:a", "b c", form, "", "a=b+c"},
		{"form:a", "", form, "", "a=b&a=c"},
		{"form:a", "", nil, "", "a=b"},
		{"form:a|b", "c", form, "", "a=%7B%22b%22%3A%22c%22%7D"},
		{"form:a|b", "", form, "", "a=b"},
		{"query:a", "b/c", nil, "https://h.example/x?z=1&a=b%2Fc", ""},
		{"query:a", "", nil, "https://h.example/x?a=b&a=c", ""},
		{"key:b|c", "c", nil, "", `{"a":1,"c":2,"b":3}`},
		{"key:b|c", "", nil, "", `{"a":1}`},
		{"key:b|c", "", nil, "", `["b"]`},
		{"otherkey:a|b", "c", nil, "", `{"a":1,"c":2,"d":3}`},
		{"otherkey:a", "", nil, "", `{"a":1}`},
		{"body:sha256", "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", nil, "", "foo"},
		{"body:sha256", "", nil, "", ""},
		{"option:tenant", "acme", nil, "", ""},
		{"json:a~^evt_", "evt_1", nil, "", `{"a":"evt_1"}`},
		{"json:a~^evt_", "", nil, "", `{"a":"1evt_"}`},
		{"header:x-id~^(a|b)$", "b", http.Header{"X-Id": {"b"}}, "", ""},
		{"{json:a}/{header:x-id}", "1/7", http.Header{"X-Id": {"7"}}, "", `{"a":1}`},
		{"{json:a}/{header:x-id}", "", nil, "", `{"a":1}`},
		{"{json:a~^1$}.{method}", "1.POST", nil, "", `{"a":1}`},
	} {
		t.Run(tt.source+" "+tt.want, func(t *testing.T) {
			t.Parallel()
			r := ownReceiver(t, fmt.Sprintf("event: {id: [%q], unique: {%q: a test}, no_fallback: a test}\noptions: {tenant: the tenant}", tt.source, tt.source), provider.Binding{Options: map[string]string{"tenant": "acme"}})
			got, err := r.Identify(&provider.Delivery{Method: "POST", URL: tt.url, Header: tt.header, Body: []byte(tt.body)})
			if tt.want == "" {
				require.ErrorIs(t, err, provider.ErrNoEvent)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got[0].ID)
		})
	}
	r := ownReceiver(t, "event: {id: [delivery:random]}", provider.Binding{})
	d := provider.SampleDelivery("", []byte("{}"))
	one, err := r.Identify(d)
	require.NoError(t, err)
	two, err := r.Identify(d)
	require.NoError(t, err)
	require.NotEqual(t, one[0].ID, two[0].ID)
}

func TestBatch(t *testing.T) {
	t.Parallel()
	const sources = `id: [item:id, item:sha256], unique: {item:id: a test}, type: ["{json:kind}.{item:type}", item:type]`
	for _, tt := range []struct {
		name, each, body string
		want             []string // id, type and payload
		err              string
	}{
		{"a list", "json:events", `{"kind":"k", "events": [ {"id":1,"type":"a"} , {"id": 2, "type":"b"}]}`, []string{`1 k.a {"id":1,"type":"a"}`, `2 k.b {"id": 2, "type":"b"}`}, ""},
		{"the body", "json:@this", `[{"id":1,"type":"a"}]`, []string{`1 a {"id":1,"type":"a"}`}, ""},
		{"one in place of a list", "json:@this", `{"id":1,"type":"a"}`, []string{`1 a {"id":1,"type":"a"}`}, ""},
		{"lists in a list", "json:e.#.c|@flatten", `{"e":[{"c":[{"id":1}]},{"c":[{"id":2},{"id":3}]}]}`, []string{`1  {"id":1}`, `2  {"id":2}`, `3  {"id":3}`}, ""},
		{"without an id", "json:e", `{"e":[{"a":1}]}`, []string{`015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862  {"a":1}`}, ""},
		{"none", "json:e", `{"e":[]}`, nil, ""},
		{"no body", "json:e", ``, nil, ""},
		{"no list", "json:e", `{}`, nil, "there is no list at json:e"},
		{"text for a list", "json:e", `{"e":"x"}`, nil, "there is no list at json:e"},
		{"no JSON", "json:e", `{"e":[`, nil, "the body is not JSON"},
		{"an id too long", "json:e", `{"e":[{"id":1},{"id":"` + strings.Repeat("x", 1025) + `"}]}`, nil, "item 2 of 2: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := ownReceiver(t, fmt.Sprintf("event: {each: %q, %s}", tt.each, sources), provider.Binding{})
			got, err := r.Identify(provider.SampleDelivery("", []byte(tt.body)))
			if tt.err != "" {
				require.ErrorIs(t, err, provider.ErrNoEvent)
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			var lines []string
			for _, e := range got {
				require.True(t, e.JSON)
				lines = append(lines, e.ID+" "+e.Type+" "+string(e.Payload))
			}
			require.Empty(t, cmp.Diff(tt.want, lines))
		})
	}

	whole := ownReceiver(t, "event: {each: json:events, "+sources+"}", provider.Binding{Whole: true})
	for body, eventType := range map[string]string{
		`{"events":[{"id":1,"type":"a"},{"id":2,"type":"a"}]}`: "a",
		`{"events":[{"id":1,"type":"a"},{"id":2,"type":"b"}]}`: "",
	} {
		got, err := whole.Identify(provider.SampleDelivery("", []byte(body)))
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Len(t, got[0].ID, 64)
		require.Equal(t, eventType, got[0].Type)
		require.Equal(t, body, string(got[0].Payload))
	}
	empty, err := whole.Identify(provider.SampleDelivery("", []byte(`{"events":[]}`)))
	require.NoError(t, err)
	require.Empty(t, empty)
}

// TestSchemes signs and verifies in the forms that few providers use.
func TestSchemes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, secret, header, want string }{
		{"a plain digest", `signature: {header: X-Sig, algorithm: sha256, encoding: hex, content: "{secret}{body}"}`, "s", "X-Sig", "^[0-9a-f]{64}$"},
		{"basic auth", `signature: {header: Authorization, prefix: "Basic ", algorithm: token, encoding: base64}`, "user:pass", "Authorization", "^Basic dXNlcjpwYXNz$"},
		{"a prefix that may be left out", `signature: {header: X-Sig, prefix: ["v1=", ""], algorithm: hmac-sha256, encoding: hex, content: "{body}"}`, "s", "X-Sig", "^v1=[0-9a-f]{64}$"},
		{"numbered headers", `signature: {header: "X-Sig-{1..3}", any: true, algorithm: hmac-sha256, encoding: hex, content: "{body}"}`, "s", "X-Sig-1", "^[0-9a-f]{64}$"},
		{"a secret without its prefix", `secret: {encoding: base64, prefix: whsec_, unprefixed: utf8}`, "not base64", "X-Sig", "^[0-9a-f]{64}$"},
		{"the method and the URL", `signature: {header: X-Sig, algorithm: hmac-sha512, encoding: base64, content: "{method}|{baseurl}|{url}|{body}"}`, "s", "X-Sig", "^.{88}$"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := ownReceiver(t, tt.file, provider.Binding{Secrets: []string{tt.secret}})
			d := provider.SampleDelivery("https://h.example/x?y=z", []byte(`{"id":1}`))
			require.NoError(t, r.Sign(d))
			require.Regexp(t, tt.want, d.Header.Get(tt.header))
			require.NoError(t, r.Verify(t.Context(), d))
			content, err := r.SignedContent(d)
			require.NoError(t, err)
			require.NotContains(t, string(content), tt.secret+`{"id"`)
			d.Body = []byte(`{"id":2}`)
			if tt.name != "basic auth" {
				require.ErrorIs(t, r.Verify(t.Context(), d), provider.ErrMismatch)
			}
		})
	}
}

// TestAnyHeader tries the signature of every header that is there.
func TestAnyHeader(t *testing.T) {
	t.Parallel()
	const file = `signature: {header: "X-Sig-{1..9}", any: true, algorithm: hmac-sha256, encoding: hex, content: "{body}"}`
	r := ownReceiver(t, file, provider.Binding{})
	d := provider.SampleDelivery("", []byte(`{"id":1}`))
	require.NoError(t, r.Sign(d))
	genuine := d.Header.Get("X-Sig-1")
	d.Header.Set("X-Sig-1", strings.Repeat("00", 32))
	require.ErrorIs(t, r.Verify(t.Context(), d), provider.ErrMismatch)
	d.Header.Set("X-Sig-7", genuine)
	require.NoError(t, r.Verify(t.Context(), d))
	d.Header.Set("X-Sig-3", "not hex")
	require.NoError(t, r.Verify(t.Context(), d))
	d.Header.Del("X-Sig-7")
	d.Header.Set("X-Sig-10", genuine)
	require.ErrorIs(t, r.Verify(t.Context(), d), provider.ErrMismatch, "the range ends at 9")
}

func TestSignatureInQuery(t *testing.T) {
	t.Parallel()
	r := ownReceiver(t, `signature: {from: query:signature, algorithm: hmac-sha256, encoding: hex, content: "{body}"}`, provider.Binding{})
	d := provider.SampleDelivery("https://h.example/x?a=b%2Fc&signature=old", []byte(`{"id":1}`))
	require.NoError(t, r.Sign(d))
	require.Regexp(t, `^https://h\.example/x\?a=b%2Fc&signature=[0-9a-f]{64}$`, d.URL)
	require.NoError(t, r.Verify(t.Context(), d))
	d.URL += "&signature=" + strings.Repeat("00", 32)
	require.ErrorIs(t, r.Verify(t.Context(), d), provider.ErrUnsigned, "which of the two is meant?")
}

// TestWindows holds a time against one side of the tolerance, and against none.
func TestWindows(t *testing.T) {
	t.Parallel()
	const file = `signature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: "{timestamp}{body}", timestamp: {from: header:X-Time, unit: ms, %s}}`
	for _, tt := range []struct {
		window    string
		tolerance time.Duration // of the source
		age       time.Duration
		want      error
	}{
		{"tolerance: 1m, past_only: true", 0, -time.Hour, nil},
		{"tolerance: 1m, past_only: true", 0, time.Hour, provider.ErrStale},
		{"tolerance: none", 0, 1000 * time.Hour, nil},
		{"tolerance: none", 0, -1000 * time.Hour, nil},
		{"tolerance: none", time.Minute, time.Hour, provider.ErrStale},
	} {
		r := ownReceiver(t, fmt.Sprintf(file, tt.window), provider.Binding{Tolerance: tt.tolerance})
		d := provider.SampleDelivery("", []byte(`{"id":1}`))
		d.ReceivedAt = now
		require.NoError(t, r.Sign(d))
		d.ReceivedAt = now.Add(tt.age)
		require.ErrorIs(t, r.Verify(t.Context(), d), tt.want, "%+v", tt)
	}
}

// TestReplayGuard sends a body again under another id.
func TestReplayGuard(t *testing.T) {
	t.Parallel()
	const file = "event: {id: [header:X-Id], unique: {header:X-Id: a test}}"
	require.True(t, own(t, file).UnsignedID())
	for _, signed := range []string{
		"event: {id: [json:id], unique: {json:id: a test}}",
		"event: {id: [header:X-Id], unique: {header:X-Id: a test}}\nsignature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: \"{id}{body}\"}",
		"event: {id: [header:X-Id], unique: {header:X-Id: a test}}\nsignature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: \"{header:X-Id}{body}\"}",
		"event: {id: [query:id], unique: {query:id: a test}}\nsignature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: \"{url}{body}\"}",
	} {
		require.False(t, own(t, signed).UnsignedID(), signed)
	}
	ids := map[string]int{}
	r := ownReceiver(t, file, provider.Binding{ReplayGuard: true})
	for _, id := range []string{"1", "2"} {
		d := provider.SampleDelivery("", []byte(`{"a":1}`))
		d.Header.Set("X-Id", id)
		events, err := r.Identify(d)
		require.NoError(t, err)
		ids[events[0].ID]++
	}
	require.Len(t, ids, 1)
}

// TestHandshakes answers what a file describes.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	const file = `body: object
handshakes:
  - {method: GET, when: {query:crc: "*"}, answer: {header: {Content-Type: application/json}, body: '{"token":"{hmac-sha256-base64:query:crc~^[0-9A-Za-z]+$}"}'}}
  - {method: OPTIONS, when: {header:Origin: "*"}, require: {header:Origin: "{option:origins}"}, answer: {status: 204, header: {Allowed: "{granted}"}}, refused: {status: 400}}
  - {when: {json:type: ping, json:event: ""}, answer: {body: pong}}
  - {when: {header:X-Secret: "*"}, secret: header:X-Secret, answer: {header: {X-Secret: "{header:X-Secret}"}}}
options: {origins: {doc: who may send, list: true}}
`
	get := func(t *testing.T, b provider.Binding, method, url string, header http.Header, body string) *provider.Answer {
		d := &provider.Delivery{Method: method, URL: url, Header: header, Body: []byte(body)}
		a, err := ownReceiver(t, file, b).Greet(t.Context(), d, false)
		require.NoError(t, err)
		return a
	}
	a := get(t, provider.Binding{Secrets: []string{"Convoy"}}, "GET", "https://h.example/?crc=uzwcfYtzr9", nil, "")
	require.JSONEq(t, `{"token":"HXvxTdsfShG6k2zC9NVANwFquJBdOugRYHax2vNiiOo="}`, string(a.Body))
	require.Nil(t, get(t, provider.Binding{}, "GET", "https://h.example/", nil, ""))

	origins := provider.Binding{Options: map[string]string{"origins": "a.example b.example"}}
	for origin, granted := range map[string]string{"a.example": "a.example", "b.example": "b.example"} {
		a = get(t, origins, "OPTIONS", "", http.Header{"Origin": {origin}}, "")
		require.Equal(t, 204, a.Status)
		require.Equal(t, granted, a.Header.Get("Allowed"))
	}
	for _, origin := range []string{"c.example", "a.example b.example", "a.example.", "A.example"} {
		a = get(t, origins, "OPTIONS", "", http.Header{"Origin": {origin}}, "")
		require.Empty(t, cmp.Diff(&provider.Answer{Status: 400, Header: http.Header{}, Body: []byte{}, Refused: true}, a), origin)
	}
	a = get(t, provider.Binding{Options: map[string]string{"origins": "*"}}, "OPTIONS", "", http.Header{"Origin": {"c.example"}}, "")
	require.Equal(t, "*", a.Header.Get("Allowed"))
	a = get(t, provider.Binding{}, "OPTIONS", "", http.Header{"Origin": {"c.example"}}, "")
	require.True(t, a.Refused, "nobody was allowed")

	require.NotNil(t, get(t, provider.Binding{}, "POST", "", nil, `{"type":"ping"}`))
	require.Nil(t, get(t, provider.Binding{}, "POST", "", nil, `{"type":"ping","event":"e"}`))
	a = get(t, provider.Binding{}, "POST", "", http.Header{"X-Secret": {"new"}}, "")
	require.Equal(t, "new", a.Secret)
}

// TestSecretLater binds a source before its provider has made the secret.
func TestSecretLater(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"secret: {later: true}",
		"handshakes: [{when: {header:X-Secret: \"*\"}, secret: header:X-Secret}]",
	} {
		r, err := own(t, file).Bind(provider.Binding{})
		require.NoError(t, err)
		require.ErrorIs(t, r.Verify(t.Context(), provider.SampleDelivery("", []byte("{}"))), provider.ErrUnsigned)
		require.Error(t, r.Sign(provider.SampleDelivery("", []byte("{}"))))
	}
	_, err := own(t, "").Bind(provider.Binding{})
	require.ErrorContains(t, err, "no secret")
}

func TestAliases(t *testing.T) {
	t.Parallel()
	catalog := &provider.Catalog{}
	good := "name: own\naliases: [other, third]\ndocs: d\nsignature: {header: X, algorithm: token}\nevent: {id: [json:id], unique: {json:id: a test}}\n"
	require.Empty(t, catalog.Add(fstest.MapFS{"own.yaml": {Data: []byte(good)}}))
	require.Empty(t, cmp.Diff([]string{"other", "own", "third"}, catalog.Names()))
	p, _ := catalog.Lookup("third")
	require.Equal(t, "third", p.Name(), "Workflow Types start with it")
	problems := catalog.Add(fstest.MapFS{"b.yaml": {Data: []byte(strings.Replace(good, "name: own", "name: fourth", 1))}})
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Error(), `b.yaml:1: there is a provider "other" already`)
	require.NotContains(t, catalog.Names(), "fourth")
}

// TestAcme adds the provider that no catalog has, by one file.
func TestAcme(t *testing.T) {
	t.Parallel()
	r := ownReceiver(t, `
signature:
  header: X-Acme-Sig
  list: {separator: ",", key: "=", want: [k1]}
  timestamp: {from: header:X-Acme-Time, unit: ms, tolerance: 5m}
  algorithm: hmac-sha512
  encoding: base64
  content: "{timestamp}|{method}|{body}"
event: {id: [json:meta.uid], unique: {json:meta.uid: a test}}
`, provider.Binding{})
	d := provider.SampleDelivery("", []byte(`{"meta":{"uid":"u-1"}}`))
	d.ReceivedAt = now
	require.NoError(t, r.Sign(d))
	require.NoError(t, r.Verify(t.Context(), d))
	_, signature, _ := strings.Cut(d.Header.Get("X-Acme-Sig"), "k1=")
	raw, err := base64.StdEncoding.DecodeString(signature)
	require.NoError(t, err)
	require.Len(t, raw, 64)
	events, err := r.Identify(d)
	require.NoError(t, err)
	require.Equal(t, "u-1", events[0].ID)
	d.Method = http.MethodPut
	require.ErrorIs(t, r.Verify(t.Context(), d), provider.ErrMismatch, "the method is signed")
}

// TestUnsignedID knows of the built-in providers where the id can be changed.
func TestUnsignedID(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"github": true, "shopify": true, "linear": true, "woocommerce": true, "bitbucket": true, "gitea": true,
		"stripe": false, "slack": false, "svix": false, "standard-webhooks": false, "square": false, "gitlab-token": false,
	} {
		require.Equal(t, want, lookup(t, name).UnsignedID(), name)
	}
}
