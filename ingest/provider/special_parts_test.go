package provider

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, err string }{
		{`{}`, ""},
		{` {"a":1,"b":{"a":2,"A":3},"c":[{}]} `, ""},
		{`{"a":1,"a":1}`, `"a" twice`},
		{`{"a":1,"A":1}`, `"A" twice`},
		{`{"a":1,"\u0061":1}`, `"a" twice`},
		{`{"k":1,"` + "\u212a" + `":1}`, "twice"}, // the sign for Kelvin, which encoding/json takes for k
		{`{"s":1,"` + "\u017f" + `":1}`, "twice"}, // the long s, which it takes for s
		{`{"a":1}{}`, "more after"},
		{`{"a":1} x`, "more after"},
		{`{"a":1`, "not JSON"},
		{`{"a" 1}`, "not JSON"},
		{`{"a":}`, "not JSON"},
		{`{a:1}`, "not JSON"},
		{`[]`, "not a JSON object"},
		{`null`, "not a JSON object"},
		{``, "not a JSON object"},
	} {
		found, err := members([]byte(tt.text))
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err, tt.text)
			continue
		}
		require.NoError(t, err)
		for name, m := range found {
			require.Equal(t, string(m.raw), tt.text[m.start:m.start+len(m.raw)], name)
		}
	}
	found, err := members([]byte(`{"text":"aé\"","number":-1.50,"true":true,"null":null,"list":[1],"object":{}}`))
	require.NoError(t, err)
	for name, want := range map[string]string{"text": `aé"`, "number": "-1.50", "true": "true", "null": "", "list": "", "object": "", "other": ""} {
		require.Equal(t, want, found[name].scalar(), name)
		_, isText := found[name].text()
		require.Equal(t, name == "text", isText, name)
	}
	require.Len(t, found["list"].list(), 1)
	require.Empty(t, found["object"].list())
	require.Empty(t, found["other"].list())
}

func TestJoinSorted(t *testing.T) {
	t.Parallel()
	form := url.Values{"b": {"2", "1"}, "a": {"x"}, "ab": {""}, "B": {"0"}}
	require.Equal(t, "B0axabb1b2", joinSorted(form, "", ""))
	require.Equal(t, "B=0&a=x&ab=&b=1&b=2", joinSorted(form, "=", "&"))
	require.Empty(t, joinSorted(nil, "", ""))
}

func TestPortForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url  string
		want []string
	}{
		{"https://h.example/a?b=c:d", []string{"https://h.example/a?b=c:d", "https://h.example:443/a?b=c:d"}},
		{"http://h.example", []string{"http://h.example", "http://h.example:80"}},
		{"https://h.example:8443?x", []string{"https://h.example:8443?x", "https://h.example?x", "https://h.example:443?x"}},
		{"https://h.example:443/", []string{"https://h.example:443/", "https://h.example/"}},
		{"https://u:p@h.example/@:", []string{"https://u:p@h.example/@:", "https://u:p@h.example:443/@:"}},
		{"https://[::1]:9/", []string{"https://[::1]:9/", "https://[::1]/", "https://[::1]:443/"}},
		{"https://[::1]/", []string{"https://[::1]/", "https://[::1]:443/"}},
		{"/a", []string{"/a"}},
	} {
		require.Empty(t, cmp.Diff(tt.want, portForms(tt.url)))
	}
}

// TestUserinfo signs the URL with the user in it, as it was given to Twilio
// and Mandrill, and delivers the user as a header.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"twilio", "mandrill"} {
		v := bindSpecial(t, name, Binding{Secrets: []string{"s"}})
		d := &Delivery{Method: http.MethodPost, URL: "https://user:p%40ss@h.example/x?a=1", Header: http.Header{"Content-Type": {formType}}, Body: []byte("a=b"), ReceivedAt: specialNow}
		require.NoError(t, v.(Signer).Sign(d))
		d.URL = "https://h.example/x?a=1"
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrMismatch, "without the user")
		request := http.Request{Header: d.Header}
		request.SetBasicAuth("user", "p@ss")
		require.NoError(t, v.Verify(t.Context(), d))
		request.SetBasicAuth("user", "other")
		require.ErrorIs(t, v.Verify(t.Context(), d), ErrMismatch, "another user")
	}
}

func TestTwilioBodies(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "twilio", Binding{Secrets: []string{"s"}})
	get := &Delivery{Method: http.MethodGet, URL: "https://h.example/x?CallSid=CA1", Header: http.Header{}, ReceivedAt: specialNow}
	require.NoError(t, v.(Signer).Sign(get))
	require.NoError(t, v.Verify(t.Context(), get))
	require.ErrorIs(t, twilioCheckBody(nil, []string{hexSHA256(nil), "x"}), ErrMismatch, "a hash and another")
	for _, tt := range []struct {
		name, contentType, query, body string
		want                           error
	}{
		{"JSON put under a signed URL", "application/json", "", `{"a":1}`, ErrMalformed},
		{"text put under a signed URL", "", "", "a=b", ErrMalformed},
		{"a form put under a signed URL", formType, "", "a=b", ErrMismatch},
		{"a form that is none", formType, "", "a=%zz", ErrMalformed},
		{"a form with a semicolon", formType, "", "a=b;c=d", ErrMalformed},
		{"another body's hash", "application/json", "&bodySHA256=" + hexSHA256(nil), `{"a":1}`, ErrMismatch},
		{"two hashes", "application/json", "&bodySHA256=" + hexSHA256(nil) + "&bodySHA256=" + hexSHA256([]byte("{}")), "{}", ErrMismatch},
		{"an empty hash", "application/json", "&bodySHA256=", "{}", ErrMismatch},
	} {
		d := *get
		d.Header = get.Header.Clone()
		d.Header.Set("Content-Type", tt.contentType)
		d.URL, d.Body = d.URL+tt.query, []byte(tt.body)
		require.ErrorIs(t, v.Verify(t.Context(), &d), tt.want, tt.name)
	}
}

// TestPlivoContent holds the four shapes of a V3 request against how Plivo's
// own libraries put them together.
func TestPlivoContent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, body, want string }{
		{"https://h.example/x", "", "https://h.example/x.n"},
		{"https://h.example/x?b=2&a=1", "", "https://h.example/x?a=1&b=2.n"},
		{"https://h.example/x", "To=2&From=%2B1", "https://h.example/x?From+1To2.n"},
		{"https://h.example/x?b=2&a=%20", "To=2&To=1", "https://h.example/x?a= &b=2.To1To2.n"},
	} {
		d := &Delivery{URL: tt.url, Body: []byte(tt.body), Header: http.Header{"Content-Type": {formType}}}
		got, err := plivoV3Content(d, "n")
		require.NoError(t, err)
		require.Equal(t, tt.want, string(got))
	}
	got, err := plivoV2Content(&Delivery{URL: "https://h.example/x?b=2"}, "n")
	require.NoError(t, err)
	require.Equal(t, "https://h.example/xn", string(got))
	_, err = plivoV3Content(&Delivery{URL: "https://h.example/x", Body: []byte("{}"), Header: http.Header{}}, "n")
	require.ErrorIs(t, err, ErrMalformed)
}

func TestPlivoSignatures(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "plivo-v3", Binding{Secrets: []string{"the main account's"}})
	d := &Delivery{Method: http.MethodPost, URL: "https://h.example/x", Header: http.Header{"Content-Type": {formType}}, Body: []byte("a=b"), ReceivedAt: specialNow}
	require.NoError(t, v.(Signer).Sign(d))
	signature := d.Header.Get("X-Plivo-Signature-V3")
	d.Header.Set("X-Plivo-Signature-V3", "AAAA, "+signature+",BBBB")
	require.NoError(t, v.Verify(t.Context(), d), "one of a list")
	d.Header.Set("X-Plivo-Signature-V3", "AAAA")
	d.Header.Set("X-Plivo-Signature-Ma-V3", signature)
	require.NoError(t, v.Verify(t.Context(), d), "the main account's header")
	d.Header.Set("X-Plivo-Signature-Ma-V3", strings.Repeat("AAAA,", 20)+signature)
	require.ErrorIs(t, v.Verify(t.Context(), d), ErrMalformed, "too many")
	d.Header.Del("X-Plivo-Signature-V3-Nonce")
	d.Header.Set("X-Plivo-Signature-Ma-V3", signature)
	require.ErrorIs(t, v.Verify(t.Context(), d), ErrUnsigned, "no nonce")
}

func TestHook0(t *testing.T) {
	t.Parallel()
	// The cases of Hook0's own conformance file that the vectors leave out.
	const code0 = "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"
	const code1 = "19a6fb8f6581715b241a93af02a58611c3b0ac7b747a8d2a5b120ee418d0c347"
	for _, tt := range []struct {
		name, header string
		want         error
	}{
		{"v0", "t=1800000000,v0=" + code0, nil},
		{"v0 among others", "t=1800000000,v0=00,v0=" + code0, nil},
		{"v1", "t=1800000000,h=x-event-id x-delivery-id,v1=" + code1, nil},
		{"the names in another order", "t=1800000000,h=x-delivery-id x-event-id,v1=" + code1, ErrMismatch},
		{"not hex", "t=1800000000,v0=" + code0[:63] + "z", ErrMalformed},
		{"too old", "t=1799999699,v0=4168cc6c683357e103055b48584715f12e2baa4e679b8e076254247f11edf34d", ErrStale},
		{"at the edge", "t=1799999700,v0=f9689580483e051113d28de23c1658c509da2b00e7bc15a5aaa83b8bdf83ff81", nil},
		{"a good v0 beside names", "t=1800000000,h=x-event-id,v0=" + code0, ErrUnsigned},
		{"a good v0 beside an empty v1", "t=1800000000,v0=" + code0 + ",v1=", ErrMalformed},
		{"v1 without names", "t=1800000000,v1=" + code1, ErrMalformed},
		{"v1 with empty names", "t=1800000000,h=,v1=" + code1, ErrMalformed},
		{"no time", "v0=" + code0, ErrUnsigned},
		{"two times", "t=1800000000,t=1800000000,v0=" + code0, ErrMalformed},
		{"two lists of names", "t=1800000000,h=x-event-id x-delivery-id,h=x,v1=" + code1, ErrMalformed},
		{"no code", "t=1800000000", ErrUnsigned},
		{"too many items", "t=1800000000" + strings.Repeat(",v0=00", 50), ErrMalformed},
	} {
		v := bindSpecial(t, "hook0", Binding{Secrets: []string{"a-subscription-secret"}})
		d := &Delivery{Header: http.Header{}, Body: []byte(`{"event":"user.created"}`)}
		d.ReceivedAt = time.Unix(1800000000, 0)
		d.Header.Set("x-event-id", "evt-1")
		d.Header.Set("x-delivery-id", "dlv-1")
		d.Header.Set(hook0Header, tt.header)
		require.ErrorIs(t, v.Verify(t.Context(), d), tt.want, tt.name)
		if strings.Contains(tt.header, "h=x-event-id x-delivery-id,v1") {
			d.Header.Add("x-event-id", "evt-2")
			require.ErrorIs(t, v.Verify(t.Context(), d), ErrMalformed, "a covered header twice")
		}
	}
}

func TestContentfulPath(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"https://h.example":              "/",
		"https://h.example/webhook":      "/webhook",
		"https://h.example/w?a=1&b=2":    "/w?a%253D1%2526b%253D2",
		"https://h.example/w?":           "/w",
		"https://h.example/w?a=%20":      "/w?a%253D%252520",
		"https://h.example/a%20b;c/é":    "/a%2520b;c/%C3%A9",
		"https://u:p@h.example:8443/w#x": "/w#x",
	} {
		require.Equal(t, want, contentfulPath(from), from)
	}
}

func TestContentfulHeaders(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "contentful", Binding{Secrets: []string{"s"}})
	for _, tt := range []struct {
		names string
		want  error
	}{
		{"x-contentful-signed-headers,x-contentful-timestamp,content-type", ErrMismatch},
		{"x-contentful-signed-headers", ErrMalformed}, // the time could be changed
		{"x-contentful-timestamp", ErrMalformed},
		{"x-contentful-signed-headers,x-contentful-timestamp,x-missing", ErrUnsigned},
		{"x-contentful-signed-headers,x-contentful-timestamp,", ErrUnsigned},
		{"", ErrUnsigned},
		{strings.Repeat("x-contentful-signed-headers,", 51), ErrMalformed},
	} {
		d := &Delivery{Method: http.MethodPost, URL: "https://h.example/w", Header: http.Header{"Content-Type": {"application/json"}}, ReceivedAt: specialNow}
		d.Header.Set(contentfulTopic, "ContentManagement.Entry.publish")
		require.NoError(t, v.(Signer).Sign(d))
		require.NoError(t, v.Verify(t.Context(), d))
		d.Header.Set(contentfulNames, tt.names)
		require.ErrorIs(t, v.Verify(t.Context(), d), tt.want, tt.names)
	}
}

func TestHubSpotURL(t *testing.T) {
	t.Parallel()
	require.Equal(t, "https://h.example/:/?@!$'()*,;", hubspotURL("https://h.example/%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B"))
	require.Equal(t, "https://h.example/%20%253A%3a", hubspotURL("https://h.example/%20%253A%3a"), "no other escapes, and none twice")
}

// TestSignedInTheBody adds, to genuine bodies, a second name for what is
// signed, and leaves out what has to be.
func TestSignedInTheBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, secret, body, old, new string }{
		{"mailgun", "s", `{"event-data":{"id":"1"}}`, `"signature":{`, `"SIGNATURE":{},"signature":{`},
		{"mailgun", "s", `{"event-data":{"id":"1"}}`, `"token":`, `"TOKEN":"x","token":`},
		{"mailgun", "s", `{"event-data":{"id":"1"}}`, `"signature":{`, `"signature":[],"x":{`},
		{"adyen-payments", "00", adyenSample, `"success":"true"`, `"success":"true","Success":"false"`},
		{"adyen-payments", "00", adyenSample, `"value":1000`, `"value":1000,"value":1`},
		{"adyen-payments", "00", adyenSample, `"value":1000`, `"value":1001`},
		{"adyen-payments", "00", adyenSample, `"eventCode":"REFUND"`, `"eventCode":"CAPTURE"`},
		{"adyen-payments", "00", adyenSample, `,{"Notification`, `,{},{"Notification`},
		{"adyen-payments", "00", adyenSample, `"notificationItems":[`, `"notificationItems":[],"x":[`},
		{"unisender-go", "s", `{"auth":"","x":1}`, `{`, `{"AUTH":"x",`},
		{"unisender-go", "s", `{"auth":"","x":1}`, `"x":1`, `"x":2`},
		{"unisender-go", "s", `{"auth":"","x":1}`, `"auth":`, `"auth" :`},
		{"microsoft-graph", "s", `{"value":[{"id":"1"},{"id":"2"}]}`, `"id":"2",`, `"id":"2","ClientState":"x",`},
		{"microsoft-graph", "s", `{"value":[{"id":"1"},{"id":"2"}]}`, `]`, `,{"id":"3"}]`},
		{"microsoft-graph", "s", `{"value":[{"id":"1"},{"id":"2"}]}`, `{"value":[`, `{"value":[],"Value":[`},
		{"microsoft-graph", "s", `{"value":[{"id":"1"}]}`, `"clientState":"s"`, `"clientState":["s"]`},
	} {
		v := bindSpecial(t, tt.name, Binding{Secrets: []string{tt.secret}})
		d := &Delivery{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(tt.body), ReceivedAt: specialNow}
		require.NoError(t, v.(Signer).Sign(d))
		require.NoError(t, v.Verify(t.Context(), d))
		require.Contains(t, string(d.Body), tt.old)
		d.Body = []byte(strings.Replace(string(d.Body), tt.old, tt.new, 1))
		err := v.Verify(t.Context(), d)
		require.NotEmpty(t, Reason(err), "%s: %s: %v", tt.name, d.Body, err)
	}
}

func TestMailgunForm(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "mailgun", Binding{Secrets: []string{"s"}})
	d := &Delivery{Header: http.Header{"Content-Type": {formType}}, Body: []byte("event=opened"), ReceivedAt: specialNow}
	require.ErrorIs(t, v.Verify(t.Context(), d), ErrUnsigned)
	require.NoError(t, v.(Signer).Sign(d))
	require.NoError(t, v.Verify(t.Context(), d))
	d.Body = append(d.Body, "&token=x"...)
	require.ErrorIs(t, v.Verify(t.Context(), d), ErrMalformed)
}

func TestGraphDummy(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "microsoft-graph", Binding{Secrets: []string{"s"}}).(Greeter)
	for _, tt := range []struct {
		body     string
		verified bool
		greeted  bool
	}{
		{`{"value":[{"subscriptionId":"NA","clientState":"NA","changeType":"Validation: Testing"}]}`, false, true},
		{`{"value":[{"subscriptionId":"NA","clientState":"NA"}]}`, true, false},
		{`{"value":[{"subscriptionId":"NA","clientState":"NA"},{"subscriptionId":"1","clientState":"x"}]}`, false, false},
		{`{"value":[{"subscriptionId":"1","clientState":"NA"}]}`, false, false},
		{`{"value":[{"subscriptionId":"NA","clientState":"nope"}]}`, false, false},
		{`{"value":[]}`, false, false},
		{``, false, false},
	} {
		d := &Delivery{Method: http.MethodPost, Header: http.Header{}, Body: []byte(tt.body)}
		answer, err := v.Greet(t.Context(), d, tt.verified)
		require.NoError(t, err)
		require.Equal(t, tt.greeted, answer != nil, tt.body)
		if answer != nil {
			require.Equal(t, http.StatusAccepted, answer.Status)
		}
	}
}

// encrypt does to a text what Lark does.
func encrypt(t testing.TB, key, plain string) []byte {
	sum := sha256.Sum256([]byte(key))
	block, err := aes.NewCipher(sum[:])
	require.NoError(t, err)
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	padded := []byte(plain + strings.Repeat(string(rune(padding)), padding))
	data := make([]byte, aes.BlockSize+len(padded))
	copy(data, "sixteen bytes iv")
	cipher.NewCBCEncrypter(block, data[:aes.BlockSize]).CryptBlocks(data[aes.BlockSize:], padded)
	body, err := json.Marshal(map[string]string{"encrypt": base64.StdEncoding.EncodeToString(data)})
	require.NoError(t, err)
	return body
}

func TestLark(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "lark", Binding{Secrets: []string{"an old key", "key"}}).(larkVerifier)
	for _, tt := range []struct{ plain, id, eventType string }{
		{`{"schema":"2.0","header":{"event_id":"e-1","event_type":"im.message.receive_v1"}}`, "e-1", "im.message.receive_v1"},
		{`{"uuid":"u-1","event":{"type":"message"}}`, "u-1", "message"},
		{`{"uuid":"u-2"}`, "u-2", ""},
		{`{"event":{"type":"message"}}`, hexSHA256([]byte(`{"event":{"type":"message"}}`)), "message"},
	} {
		d := &Delivery{Method: http.MethodPost, Header: http.Header{}, Body: encrypt(t, "key", tt.plain), ReceivedAt: specialNow}
		require.NoError(t, v.Sign(d))
		require.NoError(t, v.Verify(t.Context(), d))
		events, err := v.Identify(d)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]Identity{{ID: tt.id, Type: tt.eventType, Payload: []byte(tt.plain), JSON: true}}, events))
	}
	for _, body := range [][]byte{
		encrypt(t, "another key", `{"uuid":"u-1"}`), []byte(`{"encrypt":"AAAA"}`), []byte(`{"encrypt":"!"}`), []byte(`[]`), nil,
		[]byte(`{"encrypt":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`),
	} {
		_, err := v.Identify(&Delivery{Body: body})
		require.ErrorIs(t, err, ErrNoEvent, "%s", body)
	}
}

func TestLarkChallenge(t *testing.T) {
	t.Parallel()
	v := bindSpecial(t, "lark", Binding{Secrets: []string{"key"}}).(Greeter)
	challenge := `{"type":"url_verification","token":"t","challenge":"<ajls\"384>"}`
	for _, tt := range []struct {
		name     string
		body     []byte
		verified bool
		greeted  bool
	}{
		{"encrypted", encrypt(t, "key", challenge), false, true},
		{"in clear", []byte(challenge), false, false},
		{"under another key", encrypt(t, "another key", challenge), false, false},
		{"an event", encrypt(t, "key", `{"type":"event_callback","challenge":"x"}`), false, false},
	} {
		d := &Delivery{Method: http.MethodPost, Header: http.Header{}, Body: tt.body}
		answer, err := v.Greet(t.Context(), d, tt.verified)
		require.NoError(t, err)
		require.Equal(t, tt.greeted, answer != nil, tt.name)
		if answer != nil {
			require.JSONEq(t, `{"challenge":"<ajls\"384>"}`, string(answer.Body))
		}
	}
}
