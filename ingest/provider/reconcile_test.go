package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// listed is what an API answers, as its documentation has it, and what is made
// of it.
type listed struct {
	provider, base string
	options        map[string]string
	request        string // "GET /path?query", as decoded text
	body           string // of the request
	auth           string // "Header: value"
	header         http.Header
	page           string
	// delivered is a delivery of the first item, where its id is in the body.
	delivered string
	events    []string // "id type"
	next      string   // the request for the next page; "" where there is none
	redeliver string   // the request for the first item
}

const (
	listFrom = "2026-01-02T00:00:00Z"
	listTo   = "2026-01-03T00:00:00Z"
	inside   = "2026-01-02T12:00:00Z"
	insideS  = "1767355200"
)

func listings() []listed {
	return []listed{
		{
			provider: "stripe", request: "GET /v1/events?created[gte]=1767312000&created[lte]=1767398400&limit=100", auth: "Authorization: Bearer key:pw",
			page:      `{"object":"list","data":[{"id":"evt_1","object":"event","type":"invoice.paid","created":` + insideS + `},{"id":"evt_2","type":"charge.failed","created":` + insideS + `}],"has_more":true}`,
			delivered: `{"id":"evt_1","type":"invoice.paid"}`,
			events:    []string{"evt_1 invoice.paid", "evt_2 charge.failed"},
			next:      "GET /v1/events?created[gte]=1767312000&created[lte]=1767398400&limit=100&starting_after=evt_2",
		},
		{
			provider: "github", base: "https://api.github.com/repos/o/r/hooks/1", request: "GET /repos/o/r/hooks/1/deliveries?per_page=100", auth: "Authorization: Bearer key:pw",
			header:    http.Header{"Link": {`<https://api.github.com/repositories/1/hooks/1/deliveries?per_page=100&cursor=v1_2>; rel="next", <https://api.github.com/x>; rel="prev"`}},
			page:      `[{"id":12345678901234567,"guid":"0b989ba4","delivered_at":"` + inside + `","redelivery":false,"status":"OK","status_code":200,"event":"push"}]`,
			events:    []string{"0b989ba4 push"},
			next:      "GET /repositories/1/hooks/1/deliveries?per_page=100&cursor=v1_2",
			redeliver: "POST /repos/o/r/hooks/1/deliveries/12345678901234567/attempts",
		},
		{
			provider: "gitlab-token", base: "https://gitlab.com/api/v4/projects/1/hooks/2", request: "GET /api/v4/projects/1/hooks/2/events?per_page=100", auth: "Private-Token: key:pw",
			header:    http.Header{"X-Next-Page": {"2"}},
			page:      `[{"id":9,"trigger":"push_hooks","request_headers":{"Idempotency-Key":"k-1","X-Gitlab-Event":"Push Hook"},"request_data":{"object_kind":"push"},"response_status":"500"}]`,
			events:    []string{"k-1 Push Hook"},
			next:      "GET /api/v4/projects/1/hooks/2/events?page=2&per_page=100",
			redeliver: "POST /api/v4/projects/1/hooks/2/events/9/resend",
		},
		{
			provider: "gitlab-signing", base: "https://gitlab.com/api/v4/projects/1/hooks/2", request: "GET /api/v4/projects/1/hooks/2/events?per_page=100", auth: "Private-Token: key:pw",
			header:    http.Header{"X-Next-Page": {""}},
			page:      `[{"id":9,"request_headers":{"webhook-id":"w-1","X-Gitlab-Event":"Push Hook"},"request_data":{"object_kind":"push"}}]`,
			events:    []string{"w-1 Push Hook"},
			redeliver: "POST /api/v4/projects/1/hooks/2/events/9/resend",
		},
		{
			provider: "paddle", options: map[string]string{"notification_setting_id": "ntfset_1"},
			request:   "GET /notifications?from=2026-01-02T00:00:00.000Z&notification_setting_id=ntfset_1&per_page=200&status=delivered,failed&to=2026-01-03T00:00:00.000Z",
			auth:      "Authorization: Bearer key:pw",
			page:      `{"data":[{"id":"ntf_1","type":"transaction.completed","status":"failed","origin":"event","occurred_at":"` + inside + `","payload":{"event_id":"evt_1","event_type":"transaction.completed","data":{}}},{"id":"ntf_2","origin":"replay","occurred_at":"` + inside + `","payload":{"event_id":"evt_1"}}],"meta":{"pagination":{"per_page":50,"next":"https://api.paddle.com/notifications?after=ntf_2","has_more":true}}}`,
			delivered: `{"event_id":"evt_1","event_type":"transaction.completed","notification_id":"ntf_9"}`,
			events:    []string{"evt_1 transaction.completed"},
			next:      "GET /notifications?after=ntf_2",
			redeliver: "POST /notifications/ntf_1/replay",
		},
		{
			provider: "paypal", options: map[string]string{"webhook_id": "WH-ID"},
			request:   "GET /v1/notifications/webhooks-events?end_time=2026-01-03T00:00:00.000Z&page_size=100&start_time=2026-01-02T00:00:00.000Z",
			auth:      "Authorization: Bearer given",
			page:      `{"events":[{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED","create_time":"` + inside + `"}],"count":1,"links":[{"href":"https://api-m.paypal.com/v1/self","rel":"self"},{"href":"https://api-m.paypal.com/v1/more?page=2","rel":"next"}]}`,
			delivered: `{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED"}`,
			events:    []string{"WH-1 PAYMENT.SALE.COMPLETED"},
			next:      "GET /v1/more?page=2",
			redeliver: `POST /v1/notifications/webhooks-events/WH-1/resend {"webhook_ids":["WH-ID"]}`,
		},
		{
			provider: "chargebee", base: "https://acme.chargebee.com", request: "GET /api/v2/events?limit=100&occurred_at[after]=1767312000&occurred_at[before]=1767398400",
			auth:      "Authorization: Basic a2V5OnB3",
			page:      `{"list":[{"event":{"id":"ev_1","occurred_at":` + insideS + `,"event_type":"subscription_created","content":{}}}],"next_offset":"[\"1\",\"2\"]"}`,
			delivered: `{"id":"ev_1","event_type":"subscription_created"}`,
			events:    []string{"ev_1 subscription_created"},
			next:      `GET /api/v2/events?limit=100&occurred_at[after]=1767312000&occurred_at[before]=1767398400&offset=["1","2"]`,
		},
		{
			provider: "square", request: "POST /v2/events", auth: "Authorization: Bearer key:pw",
			body:      `{"limit":100,"query":{"filter":{"created_at":{"start_at":"2026-01-02T00:00:00.000Z","end_at":"2026-01-03T00:00:00.000Z"}}}}`,
			page:      `{"events":[{"merchant_id":"M","type":"payment.updated","event_id":"e-1","created_at":"` + inside + `"}],"cursor":"c2"}`,
			delivered: `{"event_id":"e-1","type":"payment.updated"}`,
			events:    []string{"e-1 payment.updated"},
			next:      `POST /v2/events {"limit":100,"query":{"filter":{"created_at":{"start_at":"2026-01-02T00:00:00.000Z","end_at":"2026-01-03T00:00:00.000Z"}}},"cursor":"c2"}`,
		},
		{
			provider: "gocardless", request: "GET /events?created_at[gte]=2026-01-02T00:00:00.000Z&created_at[lte]=2026-01-03T00:00:00.000Z&limit=500", auth: "Authorization: Bearer key:pw",
			page:      `{"events":[{"id":"EV1","created_at":"` + inside + `","resource_type":"payments","action":"confirmed"}],"meta":{"cursors":{"after":null,"before":null},"limit":500}}`,
			delivered: `{"events":[{"id":"EV1","resource_type":"payments","action":"confirmed"}]}`,
			events:    []string{"EV1 payments.confirmed"},
		},
		{
			provider: "workos", options: map[string]string{"reconcile_events": "user.created user.updated"},
			request:   "GET /events?events[]=user.created&events[]=user.updated&limit=100&range_end=2026-01-03T00:00:00.000Z&range_start=2026-01-02T00:00:00.000Z",
			auth:      "Authorization: Bearer key:pw",
			page:      `{"object":"list","data":[{"object":"event","id":"event_1","event":"user.created","data":{},"created_at":"` + inside + `"}],"list_metadata":{"after":""}}`,
			delivered: `{"id":"event_1","event":"user.created"}`,
			events:    []string{"event_1 user.created"},
		},
		{
			provider: "coinbase-commerce", request: "GET /events?limit=100&order=desc", auth: "X-Cc-Api-Key: key:pw",
			page:      `{"pagination":{"order":"desc","next_uri":"https://api.commerce.coinbase.com/events?limit=100&starting_after=b"},"data":[{"id":"b","type":"charge:confirmed","created_at":"` + inside + `"}]}`,
			delivered: `{"id":1,"event":{"id":"b","type":"charge:confirmed"}}`,
			events:    []string{"b charge:confirmed"},
			next:      "GET /events?limit=100&starting_after=b",
		},
		{
			provider: "jira", base: "https://api.atlassian.com/ex/jira/1", request: "GET /ex/jira/1/rest/api/3/webhook/failed?after=1767312000000&maxResults=100", auth: "Authorization: Bearer key:pw",
			page:   `{"values":[{"id":"1","body":"{\"webhookEvent\":\"jira:issue_updated\"}","url":"https://hooks.example.com","failureTime":` + insideS + `000}],"maxResults":100,"next":"https://api.atlassian.com/ex/jira/1/rest/api/3/webhook/failed?after=2"}`,
			events: []string{"1 jira:issue_updated"},
			next:   "GET /ex/jira/1/rest/api/3/webhook/failed?after=2",
		},
		{
			provider: "okta", base: "https://acme.okta.com", request: "GET /api/v1/logs?limit=1000&since=2026-01-02T00:00:00.000Z&sortOrder=ASCENDING&until=2026-01-03T00:00:00.000Z", auth: "Authorization: SSWS key:pw",
			header:    http.Header{"Link": {`<https://acme.okta.com/api/v1/logs>; rel="self"`, `<https://acme.okta.com/api/v1/logs?after=9>; rel="next"`}},
			page:      `[{"uuid":"u-1","eventType":"user.lifecycle.create","published":"` + inside + `"}]`,
			delivered: `{"data":{"events":[{"uuid":"u-1","eventType":"user.lifecycle.create"}]}}`,
			events:    []string{"u-1 user.lifecycle.create"},
			next:      "GET /api/v1/logs?after=9",
		},
		{
			provider: "auth0", base: "https://acme.auth0.com", request: "GET /api/v2/logs?per_page=100&sort=date:-1", auth: "Authorization: Bearer given",
			page:      `[{"log_id":"900","type":"ss","date":"` + inside + `"}]`,
			delivered: `[{"log_id":"900","type":"ss"}]`,
			events:    []string{"900 ss"},
			next:      "GET /api/v2/logs?from=900&per_page=100&sort=date:-1&take=100",
		},
	}
}

// TestReconcile reads pages as the providers document them: what is asked for,
// with which key, which events are in the answer, and what is asked for next.
// The id of a listed event is that of its delivery.
func TestReconcile(t *testing.T) {
	t.Parallel()
	from, to := instant(t, listFrom), instant(t, listTo)
	for _, tt := range listings() {
		t.Run(tt.provider, func(t *testing.T) {
			t.Parallel()
			receiver, err := lookup(t, tt.provider).Bind(provider.Binding{Secrets: secretsFor(tt.provider), Options: tt.options})
			require.NoError(t, err)
			r, err := receiver.Reconciler(tt.base, "key:pw")
			require.NoError(t, err)
			at := provider.Cursor{From: from, To: to}
			req, err := r.Request(t.Context(), at)
			require.NoError(t, err)
			require.Equal(t, strings.TrimSpace(tt.request+" "+tt.body), asText(t, req))
			require.NoError(t, r.Authorize(req, to, func(ask *http.Request) ([]byte, error) {
				require.Equal(t, req.URL.Host, ask.URL.Host)
				require.Equal(t, "Basic a2V5OnB3", ask.Header.Get("Authorization"))
				return []byte(`{"access_token":"given","token_type":"Bearer"}`), nil
			}))
			name, value, _ := strings.Cut(tt.auth, ": ")
			require.Equal(t, value, req.Header.Get(name))

			items, next, err := r.Read(at, tt.header, []byte(tt.page))
			require.NoError(t, err)
			var events []string
			for i := range items {
				r.Complete(t.Context(), at, &items[i], nil, to)
				require.NoError(t, items[i].Err)
				for _, e := range items[i].Events {
					events = append(events, e.ID+" "+e.Type)
				}
			}
			require.Empty(t, cmp.Diff(tt.events, events))
			if tt.delivered != "" {
				delivered, err := receiver.Identify(&provider.Delivery{Method: http.MethodPost, Header: http.Header{}, Body: []byte(tt.delivered)})
				require.NoError(t, err)
				require.Equal(t, tt.events[0], delivered[0].ID+" "+delivered[0].Type, "the id of a delivery of the same event")
			}
			if tt.next == "" {
				require.Nil(t, next)
			} else {
				require.NotNil(t, next)
				req, err := r.Request(t.Context(), *next)
				require.NoError(t, err)
				require.Equal(t, tt.next, asText(t, req))
			}
			require.Equal(t, tt.redeliver != "", r.Redelivers())
			if r.Redelivers() {
				req, err := r.RedeliverRequest(t.Context(), at, items[0])
				require.NoError(t, err)
				require.Equal(t, tt.redeliver, asText(t, req))
			}
		})
	}
}

// TestReconcileKeepsTheKey has a page name another host for the next page.
func TestReconcileKeepsTheKey(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"https://evil.example/deliveries", "http://api.github.com/deliveries", "https://api.github.com.evil.example/", "https://api.github.com:8443/",
		"//evil.example/", "https://user@api.github.com/", "https://api.github.com@evil.example/",
	} {
		receiver, err := lookup(t, "github").Bind(provider.Binding{Secrets: []string{"s"}})
		require.NoError(t, err)
		r, err := receiver.Reconciler("https://api.github.com/repos/o/r/hooks/1", "key")
		require.NoError(t, err)
		at := provider.Cursor{From: instant(t, listFrom), To: instant(t, listTo)}
		_, next, err := r.Read(at, http.Header{"Link": {"<" + address + `>; rel="next"`}}, []byte(`[{"id":1,"guid":"g","event":"push","delivered_at":"`+inside+`"}]`))
		require.ErrorIs(t, err, provider.ErrOtherHost, address)
		require.Nil(t, next)
		at.URL = address
		_, err = r.Request(t.Context(), at)
		require.ErrorIs(t, err, provider.ErrOtherHost, address)
	}
	// What an item says adds no step to a path and no parameter.
	receiver, err := lookup(t, "github").Bind(provider.Binding{Secrets: []string{"s"}})
	require.NoError(t, err)
	r, err := receiver.Reconciler("https://api.github.com/repos/o/r/hooks/1", "key")
	require.NoError(t, err)
	at := provider.Cursor{From: instant(t, listFrom), To: instant(t, listTo)}
	items, _, err := r.Read(at, nil, []byte(`[{"id":"../../9?x=1","guid":"g","event":"push","delivered_at":"`+inside+`"},{"id":"..","guid":"g","event":"push","delivered_at":"`+inside+`"}]`))
	require.NoError(t, err)
	req, err := r.RedeliverRequest(t.Context(), at, items[0])
	require.NoError(t, err)
	require.Equal(t, "/repos/o/r/hooks/1/deliveries/..%2F..%2F9%3Fx=1/attempts", req.URL.EscapedPath())
	_, err = r.RedeliverRequest(t.Context(), at, items[1])
	require.Error(t, err)
}

// TestReconcileTimes leaves out what is too young or too old, and stops at the
// first page that goes back too far where the newest come first.
func TestReconcileTimes(t *testing.T) {
	t.Parallel()
	receiver, err := lookup(t, "github").Bind(provider.Binding{Secrets: []string{"s"}})
	require.NoError(t, err)
	r, err := receiver.Reconciler("https://api.github.com/h", "key")
	require.NoError(t, err)
	item := func(guid, at string) string {
		return fmt.Sprintf(`{"id":1,"guid":%q,"event":"push","delivered_at":%q}`, guid, at)
	}
	header := http.Header{"Link": {`<https://api.github.com/h/2>; rel="next"`}}
	at := provider.Cursor{From: instant(t, listFrom), To: instant(t, listTo)}
	items, next, err := r.Read(at, header, []byte("["+item("young", "2026-01-03T00:00:01Z")+","+item("in", inside)+","+item("none", "soon")+"]"))
	require.NoError(t, err)
	require.NotNil(t, next)
	require.Equal(t, 3, next.Count)
	require.Len(t, items, 2)
	require.NoError(t, items[0].Err)
	require.ErrorContains(t, items[1].Err, `the item's time "soon" is not in iso8601`)
	items, next, err = r.Read(at, header, []byte("["+item("in", inside)+","+item("old", "2026-01-01T23:59:59Z")+"]"))
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Nil(t, next, "the rest is older")
	_, next, err = r.Read(at, header, []byte("[]"))
	require.NoError(t, err)
	require.Nil(t, next, "an empty page is the last one")

	// A page that leads to itself would be read for ever.
	at.URL = "https://api.github.com/h/2"
	_, _, err = r.Read(at, header, []byte("["+item("in", inside)+"]"))
	require.ErrorContains(t, err, "the next page is this one")
	for _, page := range []string{"", "{", "<html>", `{"message":"Not Found"}`, "null", "3"} {
		_, _, err = r.Read(at, nil, []byte(page))
		require.Error(t, err, page)
	}
}

// TestReconcileNeedsAnID holds that an item without the id of its delivery is
// no event: its digest would be another one in the delivery.
func TestReconcileNeedsAnID(t *testing.T) {
	t.Parallel()
	receiver, err := lookup(t, "github").Bind(provider.Binding{Secrets: []string{"s"}})
	require.NoError(t, err)
	r, err := receiver.Reconciler("https://api.github.com/h", "key")
	require.NoError(t, err)
	at := provider.Cursor{From: instant(t, listFrom), To: instant(t, listTo)}
	items, _, err := r.Read(at, nil, []byte(`[{"id":1,"event":"push","delivered_at":"`+inside+`"}]`))
	require.NoError(t, err)
	r.Complete(t.Context(), at, &items[0], nil, at.To)
	require.ErrorIs(t, items[0].Err, provider.ErrNoEvent)
	require.Empty(t, items[0].Events)
}

// TestReconcileRefuses holds what a source has to be like.
func TestReconcileRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		provider, base, want string
		binding              provider.Binding
	}{
		{"slack", "", `provider "slack" has no`, provider.Binding{}},
		{"github", "", "add url: with yours", provider.Binding{}},
		{"github", "api.github.com", "is not an address", provider.Binding{}},
		{"github", "https://u:p@api.github.com", "is not an address", provider.Binding{}},
		{"github", "https://api.github.com/h", "replay_guard: body", provider.Binding{ReplayGuard: true}},
		{"gocardless", "", "split: false", provider.Binding{Whole: true}},
		{"apple-app-store", "", "key: want a private key in PEM", provider.Binding{Options: map[string]string{"bundle_id": "b"}}},
	} {
		tt.binding.Secrets = secretsFor(tt.provider)
		receiver, err := lookup(t, tt.provider).Bind(tt.binding)
		require.NoError(t, err, tt.provider)
		_, err = receiver.Reconciler(tt.base, "key")
		require.ErrorContains(t, err, tt.want)
	}
}

// TestReconcileSigned takes a listed delivery only if it verifies at its time.
func TestReconcileSigned(t *testing.T) {
	t.Parallel()
	receiver, err := lookup(t, "contentful").Bind(provider.Binding{Secrets: []string{strings.Repeat("a", 64)}})
	require.NoError(t, err)
	d := provider.SampleDelivery("https://hooks.example.com/webhooks/contentful", []byte(`{"sys":{"id":"1"}}`))
	d.Header.Set("X-Contentful-Topic", "ContentManagement.Entry.publish")
	d.ReceivedAt = instant(t, inside)
	require.NoError(t, receiver.Sign(d))
	r, err := receiver.Reconciler("https://api.contentful.com/spaces/s/webhooks/w", "key")
	require.NoError(t, err)
	at := provider.Cursor{From: instant(t, listFrom), To: instant(t, listTo)}
	items, _, err := r.Read(at, nil, []byte(`{"items":[{"sys":{"id":"c1"},"requestAt":"`+inside+`"},{"sys":{"id":"c2"},"requestAt":"`+inside+`"}]}`))
	require.NoError(t, err)
	req, err := r.DetailRequest(t.Context(), at, items[0])
	require.NoError(t, err)
	require.Equal(t, "GET /spaces/s/webhooks/w/calls/c1", asText(t, req))
	detail := func(body string) []byte {
		return fmt.Appendf(nil, `{"request":{"url":%q,"body":%q,"headers":{"X-Contentful-Topic":%q,"x-contentful-signature":%q,"x-contentful-signed-headers":%q,"x-contentful-timestamp":%q,"Content-Type":%q}}}`,
			d.URL, body, d.Header.Get("X-Contentful-Topic"), d.Header.Get("X-Contentful-Signature"), d.Header.Get("X-Contentful-Signed-Headers"), d.Header.Get("X-Contentful-Timestamp"), d.Header.Get("Content-Type"))
	}
	r.Complete(t.Context(), at, &items[0], detail(string(d.Body)), at.To)
	require.NoError(t, items[0].Err)
	delivered, err := receiver.Identify(d)
	require.NoError(t, err)
	require.Equal(t, delivered[0].ID, items[0].Events[0].ID)
	r.Complete(t.Context(), at, &items[1], detail(`{"sys":{"id":"2"}}`), at.To)
	require.ErrorIs(t, items[1].Err, provider.ErrMismatch)
}

// TestReconcileApple asks Apple's App Store Server API as it wants to be asked.
func TestReconcileApple(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	options := map[string]string{"bundle_id": "com.example", "issuer_id": "iss-1", "key_id": "KEY1"}
	receiver, err := lookup(t, "apple-app-store").Bind(provider.Binding{Options: options})
	require.NoError(t, err)
	r, err := receiver.Reconciler("", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	require.NoError(t, err)
	at := provider.Cursor{From: instant(t, listFrom), To: instant(t, listTo)}
	req, err := r.Request(t.Context(), at)
	require.NoError(t, err)
	require.Equal(t, `POST /inApps/v1/notifications/history {"startDate":1767312000000,"endDate":1767398400000}`, asText(t, req))
	require.NoError(t, r.Authorize(req, at.To, nil))
	claims := jwt.MapClaims{}
	token, err := jwt.NewParser(jwt.WithTimeFunc(func() time.Time { return at.To })).ParseWithClaims(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), claims,
		func(*jwt.Token) (any, error) { return key.Public(), nil })
	require.NoError(t, err)
	require.Equal(t, "KEY1", token.Header["kid"])
	require.Equal(t, "ES256", token.Header["alg"])
	require.Equal(t, jwt.MapClaims{"iss": "iss-1", "bid": "com.example", "aud": "appstoreconnect-v1", "iat": 1767398400.0, "exp": 1767399000.0}, claims)

	items, next, err := r.Read(at, nil, []byte(`{"notificationHistory":[{"signedPayload":"a.b.c","sendAttempts":[{"attemptDate":`+insideS+`000,"sendAttemptResult":"NO_RESPONSE"}]}],"hasMore":true,"paginationToken":"t2"}`))
	require.NoError(t, err)
	r.Complete(t.Context(), at, &items[0], nil, at.To)
	require.Error(t, items[0].Err, "nobody of Apple's has signed it")
	require.NotNil(t, next)
	req, err = r.Request(t.Context(), *next)
	require.NoError(t, err)
	require.Equal(t, `POST /inApps/v1/notifications/history?paginationToken=t2 {"startDate":1767312000000,"endDate":1767398400000}`, asText(t, req))
	_, next, err = r.Read(at, nil, []byte(`{"notificationHistory":[{"signedPayload":"a.b.c","sendAttempts":[{"attemptDate":1}]}],"hasMore":false,"paginationToken":"t3"}`))
	require.NoError(t, err)
	require.Nil(t, next)
}

// TestReconcileProblems finds the mistakes of a file, each at its line.
func TestReconcileProblems(t *testing.T) {
	t.Parallel()
	const good = `name: acme
signature: {header: X-Sig, algorithm: hmac-sha256, encoding: hex, content: "{body}"}
event: {id: [json:id], unique: {json:id: a test}}
reconcile:
  url: https://api.example.com
  key: a key
  keeps: 24h
  auth: {as: bearer}
  list:
    get: "{url}/events"
    times: s
    items: json:data
    at: item:created
    next: {link: next}
  redeliver: {post: "{url}/again/{item:id}"}
`
	load := func(text string) []provider.Problem {
		catalog := &provider.Catalog{}
		return catalog.Add(fstest.MapFS{"acme.yaml": {Data: []byte(text)}})
	}
	require.Empty(t, load(good))
	for _, tt := range []struct{ old, new, want string }{
		{"url: https", "url: http", `acme.yaml:5: reconcile.url: "http://api.example.com" is not an address`},
		{"example.com\n", "example.com/\n", "acme.yaml:5: reconcile.url"},
		{"  key: a key\n", "", "acme.yaml:4: reconcile has no key"},
		{"  keeps: 24h\n", "", "acme.yaml:4: reconcile has no keeps"},
		{"as: bearer", "as: carrier", `acme.yaml:8: reconcile.auth.as: unknown form "carrier"; known: apple, basic, bearer, header, oauth2`},
		{"as: bearer", "as: header", "acme.yaml:8: reconcile.auth: header goes with as: header"},
		{"as: bearer", "as: oauth2", "acme.yaml:8: reconcile.auth: token goes with as: oauth2"},
		{"as: bearer", `as: oauth2, token: "https://evil.example/"`, "acme.yaml:8: reconcile.auth.token: \"https://evil.example/\" has to begin with {url}/"},
		{`get: "{url}/events"`, `get: "https://evil.example/events"`, "acme.yaml:10: reconcile.list.get: \"https://evil.example/events\" has to begin with {url}/"},
		{`get: "{url}/events"`, `get: "{url}.evil.example/"`, "acme.yaml:10: reconcile.list.get"},
		{`get: "{url}/events"`, `get: "{url}/{body}"`, "acme.yaml:10: reconcile.list.get: unknown placeholder {body}; known: {count}, {from}, {item}, {to}, {url}, and {LOOKUP}"},
		{`get: "{url}/events"`, `get: "{url}/{option:site}"`, `acme.yaml:10: reconcile.list.get: there is no option "site"`},
		{`    get: "{url}/events"` + "\n", "", "acme.yaml:9: reconcile.list has neither get nor post"},
		{"times: s", `post: "{url}/events"`, "acme.yaml:9: reconcile.list has both get and post"},
		{"times: s", "body: x", "acme.yaml:11: reconcile.list.body goes with post"},
		{"times: s", "times: fortnights", `acme.yaml:11: reconcile.list.times: unknown unit "fortnights"; known: iso8601, ms, s`},
		{"times: s", "at_unit: d", `acme.yaml:11: reconcile.list.at_unit: unknown unit "d"`},
		{"items: json:data", "items: header:X", `acme.yaml:12: reconcile.list.items: "header:X" names no list`},
		{"at: item:created", "at: created", `acme.yaml:13: reconcile.list.at: "created" is not a lookup`},
		{"next: {link: next}", "next: {link: next, url: json:next}", "acme.yaml:14: reconcile.list.next: want one of query, body, url and link, found 2"},
		{"next: {link: next}", "nxt: {link: next}", `acme.yaml:14: unknown key "nxt"`},
		{`{post: "{url}/again/{item:id}"}`, "{}", "acme.yaml:15: reconcile.redeliver has no post"},
		{"    at: item:created\n    next: {link: next}\n  redeliver: {post: \"{url}/again/{item:id}\"}\n", "", "acme.yaml:9: reconcile.list has no at"},
	} {
		changed := strings.Replace(good, tt.old, tt.new, 1)
		require.NotEqual(t, good, changed)
		require.Contains(t, fmt.Sprint(load(changed)), tt.want)
	}
}

// FuzzReconcilePage reads pages of anybody: none leads the key to another host,
// and none makes the sweep read one page for ever.
func FuzzReconcilePage(f *testing.F) {
	for _, tt := range listings() {
		f.Add(tt.page, tt.header.Get("Link"))
	}
	catalog, err := provider.Builtin()
	require.NoError(f, err)
	var all []*provider.Reconciler
	for _, tt := range listings() {
		p, ok := catalog.Lookup(tt.provider)
		require.True(f, ok)
		receiver, err := p.Bind(provider.Binding{Secrets: secretsFor(tt.provider), Options: tt.options})
		require.NoError(f, err)
		r, err := receiver.Reconciler(tt.base, "key")
		require.NoError(f, err)
		all = append(all, r)
	}
	f.Fuzz(func(t *testing.T, page, link string) {
		for _, r := range all {
			at := provider.Cursor{From: instant(t, listFrom), To: instant(t, listTo)}
			items, next, err := r.Read(at, http.Header{"Link": {link}}, []byte(page))
			for i := range items {
				r.Complete(t.Context(), at, &items[i], nil, at.To)
				require.True(t, items[i].Err != nil || items[i].Delivery != nil)
				if !r.Redelivers() || items[i].Err != nil {
					continue
				}
				if req, err := r.RedeliverRequest(t.Context(), at, items[i]); err == nil {
					require.True(t, strings.HasPrefix(r.Base(), "https://"+req.URL.Host))
				}
			}
			if err != nil || next == nil {
				continue
			}
			req, err := r.Request(t.Context(), *next)
			require.NoError(t, err)
			require.Equal(t, "https", req.URL.Scheme)
			require.True(t, strings.HasPrefix(r.Base()+"/", "https://"+req.URL.Host+"/"), req.URL.String())
		}
	})
}

func instant(t testing.TB, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}

// asText writes a request as a person reads it.
func asText(t *testing.T, req *http.Request) string {
	query, err := url.QueryUnescape(req.URL.RawQuery)
	require.NoError(t, err)
	text := req.Method + " " + req.URL.EscapedPath()
	if query != "" {
		text += "?" + query
	}
	body := make([]byte, req.ContentLength)
	if req.ContentLength > 0 {
		_, err := req.Body.Read(body)
		require.NoError(t, err)
		text += " " + string(body)
	}
	return text
}

func secretsFor(name string) []string {
	switch name {
	case "paypal", "apple-app-store":
		return nil
	case "gitlab-signing":
		return []string{"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
	}
	return []string{"user:secret"}
}
