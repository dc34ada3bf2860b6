package provider_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// What is peculiar to a scheme that is written in Go, with the reason. All
// others are held to all of the laws.
var (
	// keyless schemes sign with a key that only the provider holds; their
	// laws are run by the tests of the schemes.
	keyless = map[string]string{
		"apple-app-store": "a certificate of Apple",
		"aws-sns":         "a certificate of AWS",
		"google-pubsub":   "a key of Google",
		"paypal":          "a certificate of PayPal",
		"plaid":           "a key of Plaid",
	}
	// openBody schemes leave the body, or a part of it, unsigned.
	openBody = map[string]string{
		"adyen-payments":  "eight fields are signed",
		"mailgun":         "a token is signed",
		"mercadopago":     "an id in the URL is signed",
		"monday":          "the URL is signed",
		"plivo-v2":        "the URL is signed",
		"microsoft-graph": "a token in the body",
	}
	// untimed schemes sign something new each time that is no time.
	untimed = map[string]string{
		"plivo-v3": "a nonce",
		"plivo-v2": "a nonce",
	}
	// expiring schemes sign how long the signature is good for, besides the
	// tolerance.
	expiring = map[string]time.Duration{
		"livekit":         5 * time.Minute,
		"messagebird-jwt": 5 * time.Minute,
		"monday":          5 * time.Minute,
	}
)

// keys makes secrets of the form that a provider hands out, which differ by
// seed.
func keys(t testing.TB, p *provider.Provider, seed string) string {
	spec := p.Spec()
	raw := []byte(seed + strings.Repeat("0", 32-len(seed)))
	prefix := strings.Join(spec.Secret.Prefix[:min(1, len(spec.Secret.Prefix))], "")
	switch spec.Signature.Algorithm {
	case "ed25519":
		raw = ed25519.NewKeyFromSeed(raw)
		prefix = strings.Join(spec.Secret.Prefix[max(0, len(spec.Secret.Prefix)-1):], "")
	case "ecdsa-p256":
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		raw, err = x509.MarshalPKCS8PrivateKey(private)
		require.NoError(t, err)
	case "rsa-sha256":
		_, private, err := p.GenerateKey()
		require.NoError(t, err)
		return private
	}
	switch spec.Secret.Encoding {
	case "hex":
		return prefix + hex.EncodeToString(raw)
	case "base64":
		return prefix + base64.StdEncoding.EncodeToString(raw)
	default:
		return prefix + string(raw)
	}
}

// binding gives a provider what it needs.
func binding(p *provider.Provider, secrets ...string) provider.Binding {
	options := map[string]string{}
	for name, o := range p.Spec().Options {
		if o.Required {
			options[name] = "some-" + name
		}
	}
	return provider.Binding{Secrets: secrets, Options: options, Tolerance: 5 * time.Minute}
}

// law is one provider under test.
type law struct {
	provider      *provider.Provider
	secret, other string
	receiver      *provider.Receiver
}

func (l law) scheme() string { return l.provider.Spec().Signature.Scheme }

func (l law) bind(t *testing.T, secrets ...string) *provider.Receiver {
	r, err := l.provider.Bind(binding(l.provider, secrets...))
	require.NoError(t, err)
	return r
}

// stamped returns an event that is not signed yet.
func (l law) stamped(t *testing.T, id string, at time.Time) *provider.Delivery {
	body, eventType, _ := l.provider.Sample("")
	require.NotEmpty(t, body, "a provider has a sample")
	d := provider.SampleDelivery("https://hooks.example.com/webhooks/x", bytes.Clone(body))
	d.ReceivedAt = at
	require.NoError(t, l.receiver.Stamp(d, id, eventType))
	return d
}

func (l law) signed(t *testing.T, r *provider.Receiver, id string, at time.Time) *provider.Delivery {
	d := l.stamped(t, id, at)
	require.NoError(t, r.Sign(d))
	return d
}

func clone(d *provider.Delivery) *provider.Delivery {
	c := *d
	c.Header, c.Body = d.Header.Clone(), bytes.Clone(d.Body)
	return &c
}

func sameHeader(a, b http.Header) bool {
	return maps.EqualFunc(a, b, slices.Equal[[]string])
}

// TestLaws holds every provider that can be signed for to the same laws.
func TestLaws(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		if keyless[p.Spec().Signature.Scheme] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := law{provider: p, secret: keys(t, p, "one"), other: keys(t, p, "other")}
			l.receiver = l.bind(t, l.secret)
			for name, holds := range map[string]func(*testing.T){
				"genuine": l.genuine, "body": l.body, "secrets": l.secrets, "signature": l.signature,
				"time": l.time, "identity": l.identity, "sensitive": l.sensitive,
			} {
				t.Run(name, holds)
			}
		})
	}
}

func (l law) genuine(t *testing.T) {
	d := l.signed(t, l.receiver, "evt_1", now)
	before := bytes.Clone(d.Body)
	require.NoError(t, l.receiver.Verify(t.Context(), d))
	require.Equal(t, before, d.Body, "verifying leaves the body as it is")
	require.True(t, strings.HasPrefix(l.provider.Docs(), "https://"))
	require.Positive(t, l.provider.AcknowledgeWithin())
	if content, err := l.receiver.SignedContent(d); err == nil {
		require.NotContains(t, string(content), l.secret)
	}
}

// body changes one byte after the other.
func (l law) body(t *testing.T) {
	if l.provider.Spec().Signature.Algorithm == "token" || openBody[l.scheme()] != "" {
		t.Skip("the body is not signed")
	}
	d := l.signed(t, l.receiver, "evt_1", now)
	for i := range d.Body {
		d.Body[i] ^= 1
		require.Error(t, l.receiver.Verify(t.Context(), d), "byte %d changed", i)
		d.Body[i] ^= 1
	}
	d.Body = append(d.Body, '\n')
	require.Error(t, l.receiver.Verify(t.Context(), d), "a byte more")
	d.Body = d.Body[:len(d.Body)-2]
	require.Error(t, l.receiver.Verify(t.Context(), d), "a byte less")
}

func (l law) secrets(t *testing.T) {
	d := l.signed(t, l.receiver, "evt_1", now)
	require.ErrorIs(t, l.bind(t, l.other).Verify(t.Context(), d), provider.ErrMismatch)
	require.NoError(t, l.bind(t, l.other, l.secret).Verify(t.Context(), d), "the old one of two")
	require.NoError(t, l.bind(t, l.secret, l.other).Verify(t.Context(), d), "the new one of two")
	err := l.bind(t, l.other).Verify(t.Context(), d)
	require.NotContains(t, err.Error(), l.secret)
	require.NotContains(t, err.Error(), l.other)
}

// signature takes apart what signing adds to a delivery, one thing at a time.
func (l law) signature(t *testing.T) {
	bare, d := l.stamped(t, "evt_1", now), l.signed(t, l.receiver, "evt_1", now)
	l.refused(t, bare, "not signed at all")
	if d.URL != bare.URL {
		cut := clone(d)
		cut.URL = d.URL[:len(d.URL)-1]
		l.refused(t, cut, "the URL cut short")
	}
	for name, values := range d.Header {
		if slices.Equal(bare.Header[name], values) {
			continue
		}
		for what, change := range map[string]func(h http.Header){
			"missing":         func(h http.Header) { h.Del(name) },
			"empty":           func(h http.Header) { h.Set(name, "") },
			"a byte short":    func(h http.Header) { h.Set(name, values[0][:len(values[0])-1]) },
			"cut in half":     func(h http.Header) { h.Set(name, values[0][:len(values[0])/2]) },
			"there twice":     func(h http.Header) { h.Add(name, values[0]) },
			"in another case": func(h http.Header) { h.Set(name, l.otherCase(values[0])) },
			"something else":  func(h http.Header) { h.Set(name, "nonsense") },
		} {
			changed := clone(d)
			change(changed.Header)
			if !sameHeader(changed.Header, d.Header) {
				l.refused(t, changed, name+" "+what)
			}
		}
	}
}

// otherCase leaves hex as it is: its case does not matter.
func (l law) otherCase(text string) string {
	if l.provider.Spec().Signature.Encoding == "hex" || l.scheme() != "" {
		return text
	}
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, text)
}

func (l law) refused(t *testing.T, d *provider.Delivery, what string) {
	err := l.receiver.Verify(t.Context(), d)
	require.Error(t, err, what)
	require.NotEmpty(t, provider.Reason(err), "%s: %v", what, err)
	require.NotContains(t, err.Error(), l.secret)
}

// time holds the clock against the tolerance, where a time is signed: the same
// event signed at another time is then another delivery.
func (l law) time(t *testing.T) {
	timestamp := l.provider.Spec().Signature.Timestamp
	special := l.scheme() != ""
	d, later := l.signed(t, l.receiver, "evt_1", now), l.signed(t, l.receiver, "evt_1", now.Add(time.Hour))
	if timestamp == nil && (!special || sameHeader(d.Header, later.Header) && d.URL == later.URL && bytes.Equal(d.Body, later.Body)) {
		t.Skip("no time is signed")
	}
	if untimed[l.scheme()] != "" {
		t.Skip("what differs is no time")
	}
	const tolerance = 5 * time.Minute
	future := provider.ErrStale
	if timestamp != nil && timestamp.PastOnly {
		future = nil
	}
	for _, tt := range []struct {
		age  time.Duration
		want error
	}{
		{0, nil},
		{tolerance - time.Second, nil},
		{expiring[l.scheme()] + tolerance + 2*time.Second, provider.ErrStale},
		{-tolerance + 2*time.Second, nil},
		{-tolerance - 2*time.Second, future},
		{100 * 365 * 24 * time.Hour, provider.ErrStale},
	} {
		d.ReceivedAt = now.Add(tt.age)
		require.ErrorIs(t, l.receiver.Verify(t.Context(), d), tt.want, "%s old", tt.age)
	}
}

// identity sees the same id in every redelivery, whatever it is signed with
// and whenever, and another one in another event.
func (l law) identity(t *testing.T) {
	first := l.identify(t, l.receiver, "evt_1", now)
	again := l.identify(t, l.bind(t, l.other), "evt_1", now.Add(time.Minute))
	another := l.identify(t, l.receiver, "evt_2", now)
	random := !slices.Equal(first, l.identify(t, l.receiver, "evt_1", now))
	if random {
		require.Contains(t, fmt.Sprint(l.provider.Spec().Event.ID), "delivery:random")
		require.NotEqual(t, first, again, "every delivery is an event")
	} else if timestamp := l.provider.Spec().Signature.Timestamp; timestamp == nil || !strings.HasPrefix(timestamp.From[0], "json:") {
		require.Empty(t, cmp.Diff(first, again), "redelivered")
	}
	require.NotEqual(t, first, another, "another event")

	_, eventType, _ := l.provider.Sample("")
	events, err := l.receiver.Identify(l.signed(t, l.receiver, "evt_1", now))
	require.NoError(t, err)
	if len(l.provider.Spec().Event.Type) > 0 && events[0].Type != "" {
		require.Equal(t, eventType, events[0].Type, "a sample goes by its type")
	}

	none := provider.SampleDelivery("https://hooks.example.com/", nil)
	events, err = l.receiver.Identify(none)
	if err == nil && len(events) > 0 {
		require.True(t, random, "nothing was sent, and it was named %v", events)
	}
}

func (l law) identify(t *testing.T, r *provider.Receiver, id string, at time.Time) []string {
	events, err := r.Identify(l.signed(t, r, id, at))
	require.NoError(t, err)
	require.NotEmpty(t, events)
	var ids []string
	for _, e := range events {
		require.NotEmpty(t, e.ID)
		require.NotEmpty(t, e.Payload)
		ids = append(ids, e.ID)
	}
	return ids
}

// TestPeculiar keeps the exceptions from outliving what they excuse.
func TestPeculiar(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	byScheme := map[string]*provider.Provider{}
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		byScheme[p.Spec().Signature.Scheme] = p
	}
	named := slices.Concat(slices.Collect(maps.Keys(keyless)), slices.Collect(maps.Keys(openBody)),
		slices.Collect(maps.Keys(untimed)), slices.Collect(maps.Keys(expiring)))
	for _, scheme := range named {
		require.Contains(t, byScheme, scheme, "no provider has the scheme %q", scheme)
	}
	for scheme := range keyless {
		require.False(t, byScheme[scheme].CanSign(), "%s can be signed for: hold it to the laws", scheme)
	}
}
