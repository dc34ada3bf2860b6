package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/tests/harness/vectors"
)

// vector is one request with a known answer.
type vector struct{ vectors.Vector }

func (v vector) delivery() *provider.Delivery {
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	return &provider.Delivery{Method: v.Method, URL: v.URL, Header: h, Body: []byte(v.Body), ReceivedAt: time.Unix(v.NowUnix, 0)}
}

func (v vector) secret() string {
	if v.PublicKey != "" {
		return v.PublicKey
	}
	return v.Secret
}

// Fetch implements provider.Fetcher.
func (v vector) Fetch(context.Context, string) ([]byte, error) { return []byte(v.CertPEM), nil }

// receiver is what an operator would have configured.
func (v vector) receiver(t *testing.T, p *provider.Provider) *provider.Receiver {
	b := provider.Binding{Tolerance: time.Duration(v.ToleranceS) * time.Second, Fetch: v, Options: map[string]string{}}
	if secret := v.secret(); secret != "" {
		b.Secrets = []string{secret}
	}
	for name, value := range v.Options {
		switch value := value.(type) {
		case nil:
		case []any:
			b.Options[name] = strings.Trim(fmt.Sprint(value), "[]")
		default:
			b.Options[name] = fmt.Sprint(value)
		}
	}
	if len(b.Secrets) == 0 && p.NeedsSecret() {
		return p.BindHandshakes(b)
	}
	r, err := p.Bind(b)
	require.NoError(t, err)
	return r
}

// readVectors reads all vectors.
func readVectors(t testing.TB) (all []vector) {
	for _, v := range vectors.Read(t) {
		all = append(all, vector{v})
	}
	return all
}

func TestVectors(t *testing.T) {
	t.Parallel()
	all := readVectors(t)
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, v := range all {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			p, known := catalog.Lookup(v.Name())
			require.True(t, known, "there is no provider %q", v.Name())
			v.play(t, v.receiver(t, p))
		})
	}
}

// play goes the way of a delivery.
func (v vector) play(t *testing.T, r *provider.Receiver) {
	d := v.delivery()
	greeting, err := r.Greet(t.Context(), d, false)
	require.NoError(t, err)
	if greeting == nil {
		if err = r.Verify(t.Context(), d); err == nil {
			greeting, err = r.Greet(t.Context(), d, true)
			require.NoError(t, err)
		}
	}
	require.Equal(t, v.Body, string(d.Body), "the body is as it was")
	if greeting == nil {
		greeting = v.outcome(r, d, err)
	}
	if v.Response != nil {
		v.answered(t, greeting)
	}
	if !v.Accept() {
		if err == nil {
			require.NotNil(t, greeting)
			require.True(t, greeting.Refused)
			return
		}
		require.NotEmpty(t, provider.Reason(err), "%v", err)
		if secret := v.secret(); secret != "" {
			require.NotContains(t, err.Error(), secret)
		}
		return
	}
	require.NoError(t, err)
	v.identified(t, r, d)
}

// outcome is the answer to what is no handshake.
func (v vector) outcome(r *provider.Receiver, d *provider.Delivery, err error) *provider.Answer {
	if err != nil {
		if refused := r.Refused(); refused != nil {
			return refused
		}
		return &provider.Answer{Status: http.StatusUnauthorized, Refused: true}
	}
	if events, err := r.Identify(d); err == nil && len(events) == 0 {
		return r.Success(d)
	}
	return nil
}

func (v vector) answered(t *testing.T, got *provider.Answer) {
	require.NotNil(t, got, "no answer")
	require.Equal(t, v.Response.Status, got.Status)
	for name, value := range v.Response.Headers {
		require.Contains(t, got.Header.Get(name), value)
	}
	if v.Response.Body != nil {
		require.Equal(t, *v.Response.Body, string(got.Body))
	}
	if v.Response.BodyJSON != nil {
		require.JSONEq(t, string(v.Response.BodyJSON), string(got.Body))
	}
}

func (v vector) identified(t *testing.T, r *provider.Receiver, d *provider.Delivery) {
	events, err := r.Identify(d)
	if v.EventID != nil {
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, *v.EventID, events[0].ID)
	}
	if v.EventType != nil && v.Kind == "signature" {
		require.NoError(t, err)
		require.Equal(t, *v.EventType, events[0].Type)
	}
}
