package provider_test

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/ingest/provider"
)

// vector is one signed request with a known answer, made by a provider's own
// library, test suite or documentation.
type vector struct {
	ID, Provider, Scheme, Kind, Method, URL string
	Headers                                 map[string]string
	Body, Secret                            string
	PublicKey                               string `json:"public_key"`
	NowUnix                                 int64  `json:"now_unix"`
	ToleranceS                              int64  `json:"tolerance_s"`
	Expect                                  string
	StrictExpect                            string  `json:"strict_expect"`
	EventID                                 *string `json:"event_id"`
	EventType                               *string `json:"event_type"`
	Options                                 struct {
		Hash, Encoding string
		Advanced       bool
	}
}

func (v vector) provider() string {
	if v.Scheme != "" {
		return v.Scheme
	}
	return v.Provider
}

func (v vector) accept() bool {
	if v.StrictExpect != "" {
		return v.StrictExpect == "accept"
	}
	return v.Expect == "accept"
}

func (v vector) delivery() *provider.Delivery {
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	return &provider.Delivery{Method: v.Method, URL: v.URL, Header: h, Body: []byte(v.Body), ReceivedAt: time.Unix(v.NowUnix, 0)}
}

// generic configures the hmac provider as convoy's own options do.
func (v vector) generic(t *testing.T, hmac *provider.Provider) *provider.Provider {
	signature := "{header: X-Convoy-Signature, algorithm: hmac-" + map[string]string{"SHA256": "sha256", "SHA512": "sha512"}[v.Options.Hash] +
		", encoding: " + v.Options.Encoding
	if v.Options.Advanced {
		signature += `, content: "{timestamp},{body}", list: {separator: ",", key: "=", want: [v1]}, timestamp: {from: signature, key: t, tolerance: 5m}`
	}
	var node yaml.Node
	require.NoError(t, yaml.Load([]byte(signature+"}"), &node))
	p, problems := hmac.Configured("source.yaml", map[string]*yaml.Node{"signature": node.Content[0]})
	require.Empty(t, problems)
	return p
}

func TestVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(data, &vectors))
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	hmac, _ := catalog.Lookup("hmac")

	tried := map[string]int{}
	for _, v := range vectors {
		p, known := catalog.Lookup(v.provider())
		if v.Provider == "convoy" {
			p, known = v.generic(t, hmac), true
		}
		if !known || v.Kind != "signature" {
			continue
		}
		tried[v.provider()]++
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			secret := v.Secret
			if v.PublicKey != "" {
				secret = v.PublicKey
			}
			r, err := p.Bind([]string{secret}, time.Duration(v.ToleranceS)*time.Second)
			require.NoError(t, err)
			d := v.delivery()
			err = r.Verify(t.Context(), d)
			if !v.accept() {
				require.Error(t, err)
				require.NotEmpty(t, provider.Reason(err), "%v", err)
				require.NotContains(t, err.Error(), secret)
				return
			}
			require.NoError(t, err)
			require.Equal(t, v.Body, string(d.Body), "verifying must not touch the body")
			identify(t, r, d, v)
		})
	}
	for _, name := range []string{"stripe", "github", "github-legacy", "shopify", "slack", "standard-webhooks", "standard-webhooks-v1a", "svix", "convoy"} {
		require.GreaterOrEqual(t, tried[name], 2, "vectors tried for %s", name)
	}
}

func identify(t *testing.T, r *provider.Receiver, d *provider.Delivery, v vector) {
	events, err := r.Identify(d)
	if v.EventID == nil {
		return
	}
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, *v.EventID, events[0].ID)
	if v.EventType != nil {
		require.Equal(t, *v.EventType, events[0].Type)
	}
	require.Equal(t, d.Body, events[0].Payload)
}
