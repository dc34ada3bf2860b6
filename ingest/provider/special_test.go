package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness/vectors"
)

// document is a Fetcher that has one answer for every URL.
type document string

func (d document) Fetch(context.Context, string) ([]byte, error) {
	if d == "" {
		return nil, errors.New("nothing to fetch")
	}
	return []byte(d), nil
}

var specialNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func bindSpecial(t testing.TB, name string, b Binding) Verifier {
	scheme, known := builtinSchemes()[name]
	require.True(t, known, name)
	v, err := scheme.Bind(b)
	require.NoError(t, err)
	return v
}

// TestSpecialVectors holds every scheme against requests that the providers'
// own libraries signed.
func TestSpecialVectors(t *testing.T) {
	t.Parallel()
	tried := map[string]int{}
	for _, v := range vectors.Read(t) {
		name := v.Name()
		if builtinSchemes()[name] == nil || (v.Body == "" || name == "monday") && v.Kind != "signature" {
			continue
		}
		tried[name]++
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			b := Binding{Secrets: []string{v.Secret}, Tolerance: time.Duration(v.ToleranceS) * time.Second, Options: map[string]string{}, Fetch: document(v.CertPEM)}
			for option, value := range v.Options {
				b.Options[option] = fmt.Sprint(value)
			}
			d := &Delivery{Method: v.Method, URL: v.URL, Header: http.Header{}, Body: []byte(v.Body), ReceivedAt: time.Unix(v.NowUnix, 0)}
			for header, value := range v.Headers {
				d.Header.Set(header, value)
			}
			accept := v.Accept()
			verifier, err := builtinSchemes()[name].Bind(b)
			if _, greets := verifier.(Greeter); v.Kind == "handshake" && !greets {
				return // the provider's file answers it, without a signature
			}
			if err == nil {
				err = verifier.Verify(t.Context(), d)
				require.True(t, accept || Reason(err) != "", "no reason in %v", err)
			} else {
				require.ErrorContains(t, err, "it is empty", "only the secret of jwt_42_none_alg may not bind")
			}
			if accept {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
			if v.Kind == "handshake" {
				answer, err := verifier.(Greeter).Greet(t.Context(), d, true)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, answer.Status)
			}
			require.Equal(t, v.Body, string(d.Body), "verifying must not touch the body")
		})
	}
	for name, least := range map[string]int{
		"adyen-payments": 2, "aws-sns": 11, "contentful": 5, "hook0": 7, "hubspot-v3": 3, "livekit": 3, "mailgun": 4, "mandrill": 2,
		"messagebird-hmac": 4, "messagebird-jwt": 13, "microsoft-graph": 2, "paypal": 4, "twilio": 13,
		"apple-app-store": 6, "braintree": 8, "google-pubsub": 6, "mercadopago": 11, "monday": 6, "recurly": 6,
	} {
		require.GreaterOrEqual(t, tried[name], least, "vectors tried for %s", name)
	}
}

const formSample = "CallSid=CA1&Digits=12%2B34&Digits=12%2B34&From=%2B18005551212"

// specialCase is a scheme that can sign, and what its signature is worth.
type specialCase struct {
	name, body    string
	header        http.Header
	secret, other string
	options       map[string]string
	signature     string        // the header; "" where it stands in the body
	unsignedBody  bool          // the body as a whole is not covered
	tolerance     time.Duration // past and future; 0 where no time is signed
	urlSigned     bool
}

func specialCases() []specialCase {
	form := http.Header{"Content-Type": {formType}}
	plain := http.Header{"Content-Type": {"application/json"}}
	const (
		order = `{"id":"1","type":"order.paid","amount":12}`
		hex1  = "44782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056"
		hex2  = "54782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056"
	)
	return []specialCase{
		{name: "twilio", body: formSample, header: form, signature: twilioHeader, urlSigned: true},
		{name: "twilio", body: order, header: plain, signature: twilioHeader, urlSigned: true},
		{name: "mandrill", body: formSample, header: form, signature: mandrillHeader, urlSigned: true},
		{name: "plivo-v3", body: formSample, header: form, signature: "X-Plivo-Signature-V3", urlSigned: true},
		{name: "plivo-v2", body: formSample, header: form, signature: "X-Plivo-Signature-V2", unsignedBody: true},
		{name: "mailgun", body: `{"event-data":{"id":"1"}}`, header: plain, unsignedBody: true, tolerance: mailgunTolerance},
		{name: "mailgun", body: formSample, header: form, unsignedBody: true, tolerance: mailgunTolerance},
		{name: "adyen-payments", body: adyenSample, header: plain, secret: hex1, other: hex2, unsignedBody: true},
		{name: "unisender-go", body: `{"auth":"","events":[{"name":"sent"}]}`, header: plain},
		{name: "contentful", body: order, header: plain, signature: contentfulSignature, urlSigned: true, tolerance: contentfulTolerance},
		{name: "hook0", body: order, header: plain, signature: hook0Header, tolerance: hook0Tolerance},
		{name: "hubspot-v3", body: order, header: plain, signature: "X-HubSpot-Signature-v3", urlSigned: true, tolerance: 5 * time.Minute},
		{name: "messagebird-hmac", body: order, header: plain, signature: "MessageBird-Signature", urlSigned: true, tolerance: messagebirdTolerance},
		{name: "messagebird-jwt", body: order, header: plain, signature: messagebirdJWT, urlSigned: true},
		{name: "livekit", body: order, header: plain, signature: livekitHeader, options: map[string]string{"api_key": "APIkey"}},
		{name: "microsoft-graph", body: `{"value":[{"id":"1"},{"id":"2"}]}`, header: plain, unsignedBody: true},
		{name: "lark", body: `{"encrypt":"AAAA"}`, header: plain, signature: larkSignature},
		{name: "recurly", body: order, header: plain, signature: recurlyHeader, tolerance: recurlyTolerance},
		{name: "mercadopago", body: `{"data":{"id":"7"},"type":"payment"}`, header: plain, signature: mercadopagoHeader, unsignedBody: true},
		{name: "monday", body: order, header: plain, signature: mondayHeader, unsignedBody: true},
		{name: "braintree", body: "bt_payload=PG5vdGlmaWNhdGlvbj48a2luZD5jaGVjazwva2luZD48L25vdGlmaWNhdGlvbj4K", header: form, options: map[string]string{braintreeKey: "public"}},
	}
}

const adyenSample = `{"live":"false","notificationItems":[` +
	`{"NotificationRequestItem":{"additionalData":{"hmacSignature":""},"amount":{"currency":"EUR","value":1000},"eventCode":"AUTHORISATION","pspReference":"7914073381342284","success":"true"}},` +
	`{"NotificationRequestItem":{"amount":{"currency":"EUR","value":5},"eventCode":"REFUND","pspReference":"8814073381342284","success":"false"}}]}`

func (c specialCase) bind(t *testing.T, secrets ...string) Verifier {
	return bindSpecial(t, c.name, Binding{Secrets: secrets, Options: c.options})
}

func (c specialCase) secrets() (own, other string) {
	if c.secret != "" {
		return c.secret, c.other
	}
	return "a test secret", "another test secret"
}

func (c specialCase) signed(t *testing.T, v Verifier) *Delivery {
	d := &Delivery{
		Method: http.MethodPost, URL: "https://hooks.example.com/webhooks/x?a=1&b=2",
		Header: c.header.Clone(), Body: []byte(c.body), ReceivedAt: specialNow,
	}
	signer, ok := v.(Signer)
	require.True(t, ok)
	require.NoError(t, signer.Sign(d))
	return d
}

// TestSpecialLaws signs as each provider does, and sees the delivery accepted
// as it is and refused in every other form.
func TestSpecialLaws(t *testing.T) {
	t.Parallel()
	for _, c := range specialCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own, other := c.secrets()
			v := c.bind(t, own)
			d := c.signed(t, v)
			require.NoError(t, v.Verify(t.Context(), d))
			require.NoError(t, c.bind(t, other, own).Verify(t.Context(), d), "the second of two secrets")

			err := c.bind(t, other).Verify(t.Context(), d)
			require.ErrorIs(t, err, ErrMismatch)
			require.NotContains(t, err.Error(), other)
			if e, ok := v.(Explainer); ok {
				content, err := e.SignedContent(d)
				require.NoError(t, err)
				require.NotEmpty(t, content)
				require.NotContains(t, string(content), own)
			}
			c.tamper(t, v)
			c.breakHeader(t, v)
			c.age(t, v)
		})
	}
}

// tamper changes one byte after another, and then the URL.
func (c specialCase) tamper(t *testing.T, v Verifier) {
	d := c.signed(t, v)
	for i := range d.Body {
		if c.unsignedBody {
			break
		}
		d.Body[i] ^= 1
		err := v.Verify(t.Context(), d)
		require.Error(t, err, "byte %d changed: %s", i, d.Body)
		require.NotEmpty(t, Reason(err), "%v", err)
		d.Body[i] ^= 1
	}
	require.NoError(t, v.Verify(t.Context(), d))
	if c.urlSigned {
		d.URL = strings.Replace(d.URL, "a=1", "a=2", 1)
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrMismatch)
	}
}

func (c specialCase) breakHeader(t *testing.T, v Verifier) {
	if c.signature == "" {
		d := c.signed(t, v)
		d.Body = []byte(c.body)
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrUnsigned, "a body that nobody signed")
		d.Body = nil
		require.NotEmpty(t, Reason(v.Verify(t.Context(), d)), "an empty body")
		return
	}
	for _, tt := range []struct {
		name   string
		change func(h http.Header, signature string)
		want   []error
	}{
		{"none", func(h http.Header, _ string) { h.Del(c.signature) }, []error{ErrUnsigned}},
		{"empty", func(h http.Header, _ string) { h.Set(c.signature, "") }, []error{ErrUnsigned}},
		{"twice", func(h http.Header, s string) { h.Add(c.signature, s) }, []error{ErrMalformed}},
		{"truncated", func(h http.Header, s string) { h.Set(c.signature, s[:len(s)-4]) }, []error{ErrMismatch, ErrMalformed}},
		{"longer", func(h http.Header, s string) { h.Set(c.signature, s+"AAAA") }, []error{ErrMismatch, ErrMalformed}},
		{"nonsense", func(h http.Header, _ string) { h.Set(c.signature, "\x00~") }, []error{ErrMalformed, ErrUnsigned}},
		{"another case", func(h http.Header, s string) { h.Set(c.signature, swapCase(s)) }, []error{ErrMismatch, ErrMalformed, ErrUnsigned, nil}},
	} {
		d := c.signed(t, v)
		tt.change(d.Header, d.Header.Get(c.signature))
		err := v.Verify(t.Context(), d)
		if err == nil && tt.name == "another case" {
			require.Contains(t, []string{"contentful", "hook0", "lark", "recurly"}, c.name, "only hex may be of either case")
			continue
		}
		require.NotEmpty(t, Reason(err), "%s: %v", tt.name, err)
		matched := false
		for _, want := range tt.want {
			matched = matched || errors.Is(err, want)
		}
		require.True(t, matched, "%s: %v", tt.name, err)
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ToLower(string(r)) == string(r) {
			return []rune(strings.ToUpper(string(r)))[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, s)
}

// age moves the clock to the edges of the tolerance and past them.
func (c specialCase) age(t *testing.T, v Verifier) {
	if c.tolerance == 0 {
		return
	}
	d := c.signed(t, v)
	for _, tt := range []struct {
		age  time.Duration
		want error
	}{
		{c.tolerance, nil},
		{c.tolerance + time.Second, ErrStale},
		{-c.tolerance, nil},
		{-c.tolerance - time.Second, ErrStale},
	} {
		d.ReceivedAt = specialNow.Add(tt.age)
		require.ErrorIs(t, v.Verify(t.Context(), d), tt.want, "%s old", tt.age)
	}
	own, _ := c.secrets()
	wide := bindSpecial(t, c.name, Binding{Secrets: []string{own}, Options: c.options, Tolerance: 48 * time.Hour})
	d.ReceivedAt = specialNow.Add(48 * time.Hour)
	require.NoError(t, wide.Verify(t.Context(), d), "a tolerance of the source's own")
	none := bindSpecial(t, c.name, Binding{Secrets: []string{own}, Options: c.options, Tolerance: -1})
	d.ReceivedAt = specialNow.Add(1000 * time.Hour)
	require.NoError(t, none.Verify(t.Context(), d), "no tolerance at all")
}

func TestSpecialBindRefuses(t *testing.T) {
	t.Parallel()
	for name, scheme := range builtinSchemes() {
		switch name {
		case "aws-sns":
			continue // it needs nothing
		case "apple-app-store":
			_, err := scheme.Bind(Binding{})
			require.ErrorContains(t, err, "bundle_id")
			continue
		case "google-pubsub":
			_, err := scheme.Bind(Binding{})
			require.ErrorContains(t, err, "audience")
			continue
		case "convoy":
			_, err := scheme.Bind(Binding{})
			require.ErrorContains(t, err, "option advanced")
			continue
		case "paypal":
			_, err := scheme.Bind(Binding{})
			require.ErrorContains(t, err, "webhook_id")
			continue
		}
		options := map[string]string{"advanced": "false", "hash": "SHA256", "encoding": "hex"} // convoy's
		_, err := scheme.Bind(Binding{Options: options})
		require.ErrorContains(t, err, "no secret", name)
		_, err = scheme.Bind(Binding{Secrets: []string{"00", ""}, Options: options})
		require.ErrorContains(t, err, "secret 2: it is empty", name)
	}
	for _, tt := range []struct {
		name, want string
		b          Binding
	}{
		{"adyen-payments", "secret 1: it is not hex", Binding{Secrets: []string{"not hex"}}},
		{"livekit", "api_key", Binding{Secrets: []string{"s"}}},
		{"plaid", "client_id", Binding{Secrets: []string{"s"}}},
		{"plaid", `"staging"; known: production, sandbox`, Binding{Secrets: []string{"s"}, Options: map[string]string{"environment": "staging"}}},
	} {
		_, err := builtinSchemes()[tt.name].Bind(tt.b)
		require.ErrorContains(t, err, tt.want)
	}
}
