package forward_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/failure"
	"github.com/hookyard/hookyard/internal/worker/forward"
	"github.com/hookyard/hookyard/tests/peers"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// acmeRoute is the route of the event acme.
var acmeRoute = forward.Route{Source: "acme", Name: "user.*"}

func acme() event.Event {
	return event.Event{Source: "acme", Provider: "standard-webhooks", ID: "msg_1", Type: "user.created", ContentType: "application/json", Route: event.Route{Name: "user.*"}}
}

func raw(encoding string, data []byte) converter.RawValue {
	return converter.NewRawValue(&commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding)}, Data: data,
	})
}

// forwardTo returns Activities that forward the source "acme" to the URL.
func forwardTo(url string) *forward.Activities {
	f := &forward.Activities{
		Now: func() time.Time { return noon },
	}
	f.Targets.Store(&map[forward.Route]forward.Target{acmeRoute: {URL: url}})
	return f
}

func TestForwardKeepsTheBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, encoding, body, contentType, sent string }{
		{"JSON as it was spaced", "json/plain", "{ \"b\":1.0,\r\n\"a\" : \"\\u00e9\"}\r\n", "application/json; charset=utf-8", "application/json; charset=utf-8"},
		{"not UTF-8", "binary/plain", "a=\xff\xfe\x00&b=\r\n", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded"},
		{"empty", "binary/plain", "", "", "application/octet-stream"},
		{"JSON without a type", "json/plain", "[]", "", "application/json"},
		{"a type that no header may hold", "json/plain", "[]", "text/plain\r\nX-Evil: 1", "application/json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := peers.NewInbox(t, peers.Accept)
			ev := acme()
			ev.ContentType = tt.contentType
			require.NoError(t, peers.RunActivity(t, forwardTo(in.URL+"/hooks?k=v").ForwardEvent, ev, raw(tt.encoding, []byte(tt.body))))
			req, body := in.Only(t)
			require.Equal(t, []byte(tt.body), append([]byte{}, body...))
			require.EqualValues(t, len(tt.body), req.ContentLength)
			require.Empty(t, cmp.Diff([]string{tt.sent}, req.Header["Content-Type"]))
			require.Equal(t, "POST /hooks?k=v", req.Method+" "+req.URL.String())
			require.NotContains(t, req.Header, "X-Evil")
		})
	}
}

func TestForwardHeaders(t *testing.T) {
	t.Parallel()
	in := peers.NewInbox(t, peers.Accept)
	f := forwardTo(strings.Replace(in.URL, "http://", "http://me:word@", 1))
	target := (*f.Targets.Load())[acmeRoute]
	target.Sign = func(h http.Header, id string, at time.Time, body []byte) error {
		h.Set("Webhook-Id", id)
		h.Set("Webhook-Timestamp", at.Format(time.RFC3339))
		h.Set("Webhook-Signature", "of "+string(body))
		return nil
	}
	f.Targets.Store(&map[forward.Route]forward.Target{acmeRoute: target})
	ev := acme()
	ev.Type = "orders/100%\r\né"
	require.NoError(t, peers.RunActivity(t, f.ForwardEvent, ev, raw("json/plain", []byte("{}"))))

	req, _ := in.Only(t)
	for name, want := range map[string]string{
		"Webhook-Id":          "acme:msg_1",
		"Webhook-Timestamp":   "2026-03-01T12:00:00Z",
		"Webhook-Signature":   "of {}",
		"Idempotency-Key":     "acme:msg_1:Forward",
		"Hookyard-Source":     "acme",
		"Hookyard-Event-Type": "orders/100%25%0D%0A%C3%A9",
		"Hookyard-Attempt":    "1",
		"User-Agent":          "Hookyard",
	} {
		require.Empty(t, cmp.Diff([]string{want}, req.Header[name]), name)
	}
	user, password, _ := req.BasicAuth()
	require.Equal(t, "me:word", user+":"+password)

	ev = acme()
	ev.Type = ""
	plain := peers.NewInbox(t, peers.Accept)
	require.NoError(t, peers.RunActivity(t, forwardTo(plain.URL).ForwardEvent, ev, raw("json/plain", []byte("{}"))))
	req, _ = plain.Only(t)
	require.NotContains(t, req.Header, "Hookyard-Event-Type")
}

// TestForwardID has ids with a dot signed without one, each under its own.
func TestForwardID(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, id := range []string{"a.b", "a..b", "a%2Eb", "ab", "a.1700000000.{}", "sha256-x"} {
		got := forward.MessageID(event.Event{Source: "acme.eu", ID: id})
		require.NotContains(t, got, ".")
		require.Empty(t, seen[got], "two events under one id")
		seen[got] = id
	}
	require.Equal(t, "acme:msg_1", forward.MessageID(event.Event{Source: "acme", ID: "msg_1"}), "an id without a dot stays as it is")
}

// TestForwardsHeaders passes on what the source lists, and nothing that a
// request says of itself.
func TestForwardsHeaders(t *testing.T) {
	t.Parallel()
	ev := acme()
	ev.Type = ""
	ev.Headers = event.Headers{
		"X-Shopify-Shop-Domain": {"shop.example.com"}, "X-Shopify-Topic": {"a", "b"}, "X-Other": {"o"}, "X-Evil": {"a\r\nX: 1"},
		"Hookyard-Event-Type": {"forged"}, "Webhook-Signature": {"forged"}, "Webhook-Id": {"forged"}, "Idempotency-Key": {"forged"},
		"Content-Type": {"forged"}, "Content-Encoding": {"gzip"}, "User-Agent": {"forged"}, "Authorization": {"forged"},
	}
	for name, tt := range map[string]struct {
		patterns []string
		sent     []string
	}{
		"none":    {nil, nil},
		"a few":   {[]string{"X-Shopify-*"}, []string{"X-Shopify-Shop-Domain", "X-Shopify-Topic"}},
		"all":     {[]string{"*"}, []string{"X-Shopify-Shop-Domain", "X-Shopify-Topic", "X-Other"}},
		"by case": {[]string{"x-OTHER"}, []string{"X-Other"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := peers.NewInbox(t, peers.Accept)
			f := &forward.Activities{}
			f.Targets.Store(&map[forward.Route]forward.Target{acmeRoute: {URL: in.URL, Headers: tt.patterns}})
			require.NoError(t, peers.RunActivity(t, f.ForwardEvent, ev, raw("json/plain", []byte("{}"))))
			req, _ := in.Only(t)
			for header, values := range ev.Headers {
				if slices.Contains(tt.sent, header) {
					require.Empty(t, cmp.Diff(values, req.Header[header]))
					continue
				}
				require.NotContains(t, strings.Join(req.Header[header], " "), "forged", header)
				require.NotContains(t, req.Header[header], values[0], header)
			}
		})
	}
}

func TestForwardOutcomes(t *testing.T) {
	t.Parallel()
	const (
		ok          = ""
		unavailable = failure.TypeUnavailable
		refused     = failure.TypeRefused
	)
	for _, tt := range []struct {
		name       string
		status     int
		retryAfter string
		want       string
		delay      time.Duration
	}{
		{"200", 200, "", ok, 0},
		{"204", 204, "", ok, 0},
		{"299", 299, "60", ok, 0},
		{"301", 301, "", refused, 0},
		{"304", 304, "", refused, 0},
		{"307", 307, "60", refused, 0},
		{"400", 400, "", refused, 0},
		{"401", 401, "60", refused, 0},
		{"404", 404, "", refused, 0},
		{"408", 408, "", unavailable, 0},
		{"410", 410, "", refused, 0},
		{"422", 422, "", refused, 0},
		{"425", 425, "", unavailable, 0},
		{"429", 429, "", unavailable, 0},
		{"500", 500, "", unavailable, 0},
		{"503", 503, "", unavailable, 0},
		{"599", 599, "", unavailable, 0},
		{"seconds", 429, "7", unavailable, 7 * time.Second},
		{"seconds with spaces", 503, "  120 ", unavailable, 2 * time.Minute},
		{"no seconds", 503, "0", unavailable, 0},
		{"seconds ago", 503, "-5", unavailable, 0},
		{"too many seconds", 503, "86400", unavailable, time.Hour},
		{"seconds past every number", 503, "99999999999999999999", unavailable, time.Hour},
		{"a date", 503, "Sun, 01 Mar 2026 12:05:00 GMT", unavailable, 5 * time.Minute},
		{"a date in another form", 503, "Sunday, 01-Mar-26 12:05:00 GMT", unavailable, 5 * time.Minute},
		{"a date that is past", 503, "Sun, 01 Mar 2026 11:00:00 GMT", unavailable, 0},
		{"a date far away", 503, "Sun, 01 Mar 2099 12:00:00 GMT", unavailable, time.Hour},
		{"nonsense", 503, "soon", unavailable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := peers.NewInbox(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.Header().Set("Location", "/elsewhere?token=secret")
				w.WriteHeader(tt.status)
			})
			secret := strings.Replace(in.URL, "http://", "http://user:secret@", 1) + "/secret?token=secret#secret"
			err := peers.RunActivity(t, forwardTo(secret).ForwardEvent, acme(), raw("json/plain", []byte("{}")))
			in.Only(t) // a redirect is not followed
			if tt.want == ok {
				require.NoError(t, err)
				return
			}
			failure := peers.RequireFailure(t, err, tt.want)
			require.Equal(t, tt.delay, failure.NextRetryDelay())
			require.Contains(t, failure.Message(), "POST "+in.URL+": ")
			require.NotContains(t, failure.Message(), "secret")
		})
	}
}

func TestForwardQuotesTheAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, want string }{
		{"text", "no such user\n", "404 Not Found: no such user"},
		{"nothing", "", "404 Not Found"},
		{"what does not print", "\x1b[31mred\x00\u202e \r\n\xff end", "404 Not Found: [31mred end"},
		{"cut", strings.Repeat("x", 511) + "é" + strings.Repeat("y", 1<<20), "404 Not Found: " + strings.Repeat("x", 511)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := peers.NewInbox(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, tt.body)
			})
			failure := peers.RequireFailure(t, peers.RunActivity(t, forwardTo(in.URL).ForwardEvent, acme(), raw("json/plain", nil)), failure.TypeRefused)
			require.Equal(t, "POST "+in.URL+": "+tt.want, failure.Message())
		})
	}
}

func TestForwardWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	hangs := peers.NewInbox(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-released:
		}
	})
	t.Cleanup(func() { close(released) }) // before the server closes
	gone := httptest.NewServer(nil)
	gone.Close()
	drops := peers.NewInbox(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })

	for _, tt := range []struct{ name, url, says string }{
		{"too late", hangs.URL + "/secret", "no answer in time"},
		{"nobody there", gone.URL + "/secret", "connection refused"},
		{"dropped", drops.URL + "/secret", "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := forwardTo(tt.url)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			failure := peers.RequireFailure(t, f.ForwardEvent(ctx, acme(), raw("json/plain", nil)), failure.TypeUnavailable)
			require.Contains(t, failure.Message(), tt.says)
			require.NotContains(t, failure.Message(), "secret")
		})
	}

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, forwardTo(hangs.URL).ForwardEvent(canceled, acme(), raw("json/plain", nil)), context.Canceled)
}

// The status says that the event was taken, so what follows cannot undo it.
func TestForwardDoesNotWaitForTheWholeBody(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	in := peers.NewInbox(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-released:
		}
	})
	t.Cleanup(func() { close(released) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, forwardTo(in.URL).ForwardEvent(ctx, acme(), raw("json/plain", nil)))
	require.NoError(t, ctx.Err())
}

func TestForwardRefusesBeforeSending(t *testing.T) {
	t.Parallel()
	target := func(x forward.Target) *forward.Activities {
		f := &forward.Activities{}
		f.Targets.Store(&map[forward.Route]forward.Target{acmeRoute: x, {Source: "other", Name: "*"}: {}})
		return f
	}
	in := peers.NewInbox(t, peers.Accept)
	signs := func(http.Header, string, time.Time, []byte) error { return errors.New("the key is too short") }
	json := raw("json/plain", []byte("{}"))
	stranger := acme()
	stranger.Source = "stranger"
	for _, tt := range []struct {
		name    string
		forward *forward.Activities
		ev      event.Event
		payload converter.RawValue
		kind    string
		says    string
	}{
		{"nil", nil, acme(), json, failure.TypeNotConfigured, `the config has no route "user.*" of source "acme" that forwards, as it had when the event came: give a route this name; routes that forward: []`},
		{"an unknown source", target(forward.Target{URL: in.URL}), stranger, json, failure.TypeNotConfigured, `the config has no route "user.*" of source "stranger" that forwards, as it had when the event came: give a route this name; routes that forward: ["*" of source "other", "user.*" of source "acme"]`},
		{"no URL", target(forward.Target{}), acme(), json, failure.TypeNotConfigured, `forward.url of the route "user.*" of source "acme" is not an http or https URL`},
		{"a URL that does not parse", target(forward.Target{URL: "http://secret\x00"}), acme(), json, failure.TypeNotConfigured, `forward.url of the route "user.*" of source "acme" is not an http or https URL`},
		{"another scheme", target(forward.Target{URL: "ftp://secret/"}), acme(), json, failure.TypeNotConfigured, `forward.url of the route "user.*" of source "acme" is not an http or https URL`},
		{"cannot sign", target(forward.Target{URL: in.URL, Sign: signs}), acme(), json, failure.TypeNotConfigured, `cannot sign for the route "user.*" of source "acme": the key is too short`},
		{"encrypted", target(forward.Target{URL: in.URL}), acme(), raw("binary/encrypted", []byte("?")), failure.TypeBadPayload, `the payload has encoding "binary/encrypted"; only "json/plain" and "binary/plain" can be forwarded`},
		{"no payload", target(forward.Target{URL: in.URL}), acme(), raw("binary/null", nil), failure.TypeBadPayload, `the payload has encoding "binary/null"; only "json/plain" and "binary/plain" can be forwarded`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			failure := peers.RequireFailure(t, peers.RunActivity(t, tt.forward.ForwardEvent, tt.ev, tt.payload), tt.kind)
			require.Equal(t, tt.says, failure.Message())
		})
	}
	requests, _ := in.Requests()
	require.Empty(t, requests)
	peers.RequireFailure(t, forwardTo(in.URL).ForwardEvent(t.Context(), acme(), converter.RawValue{}), failure.TypeBadPayload)
}

func TestForwardLeavesTheClientAlone(t *testing.T) {
	t.Parallel()
	in := peers.NewInbox(t, peers.Accept)
	f := forwardTo(in.URL)
	var used bool
	f.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		used = true
		return http.DefaultTransport.RoundTrip(r)
	})}
	require.NoError(t, peers.RunActivity(t, f.ForwardEvent, acme(), raw("json/plain", nil)))
	require.True(t, used)
	require.Nil(t, f.HTTP.CheckRedirect)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
