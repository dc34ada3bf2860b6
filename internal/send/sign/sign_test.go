package sign_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/send/sign"
)

func newKey(t *testing.T, s sign.Scheme) sign.Key {
	t.Helper()
	k, err := sign.NewKey(s)
	require.NoError(t, err)
	return k
}

// verify has our own edge verify a delivery.
func verify(t *testing.T, name, secret string, h http.Header, body []byte) error {
	t.Helper()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	p, ok := catalog.Lookup(name)
	require.True(t, ok)
	r, err := p.Bind(provider.Binding{Secrets: []string{secret}})
	require.NoError(t, err)
	return r.Verify(t.Context(), &provider.Delivery{Method: http.MethodPost, Header: h, Body: body, ReceivedAt: time.Now()})
}

// TestSignedForAll has one delivery, signed with the new and the old key of both
// schemes, verified by each receiver with whichever key it has.
func TestSignedForAll(t *testing.T) {
	t.Parallel()
	v1, old, v1a, oldA := newKey(t, sign.V1), newKey(t, sign.V1), newKey(t, sign.V1a), newKey(t, sign.V1a)
	for _, body := range []string{`{"type":"user.created"}`, "", "a.b.c", "\x00\xff", `{"é":1}`} {
		h := http.Header{}
		require.NoError(t, sign.Sign(h, "msg_1", time.Now(), []byte(body), []sign.Key{v1, v1a, old, oldA}))
		for _, k := range []sign.Key{v1, old} {
			require.NoError(t, verify(t, "standard-webhooks", k.Verifier(), h, []byte(body)))
			library, err := standardwebhooks.NewWebhook(k.Verifier())
			require.NoError(t, err)
			require.NoError(t, library.Verify([]byte(body), h))
		}
		for _, k := range []sign.Key{v1a, oldA} {
			require.NoError(t, verify(t, "standard-webhooks-v1a", k.Verifier(), h, []byte(body)))
		}
		require.Error(t, verify(t, "standard-webhooks", newKey(t, sign.V1).Verifier(), h, []byte(body)))
		require.Error(t, verify(t, "standard-webhooks-v1a", newKey(t, sign.V1a).Verifier(), h, []byte(body)))
		require.Error(t, verify(t, "standard-webhooks", v1.Verifier(), h, []byte(body+" ")))

		later := http.Header{}
		require.NoError(t, sign.Sign(later, "msg_1", time.Now().Add(-10*time.Minute), []byte(body), []sign.Key{v1}))
		require.Error(t, verify(t, "standard-webhooks", v1.Verifier(), later, []byte(body)), "the time is signed")
	}
}

// TestNode has Node verify with nothing but what the specification says, by the
// crypto module that comes with it.
func TestNode(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	v1, v1a := newKey(t, sign.V1), newKey(t, sign.V1a)
	body := `{"type":"order.created","data":{"name":"Bücher"}}`
	h := http.Header{}
	require.NoError(t, sign.Sign(h, "msg_1", time.Now(), []byte(body), []sign.Key{v1, v1a}))
	signatures := strings.Fields(h.Get(sign.HeaderSignature))
	script, err := filepath.Abs("testdata/verify.mjs")
	require.NoError(t, err)
	for i, k := range []sign.Key{v1, v1a} {
		for given, want := range map[string]string{body: "true", body + " ": "false"} {
			out, err := exec.CommandContext(t.Context(), node, script, k.Verifier(), "msg_1", h.Get(sign.HeaderTimestamp), signatures[i], given).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, want, strings.TrimSpace(string(out)), "%s", k.Scheme())
		}
	}
}

// TestNodeLibrary has the Node library of Standard Webhooks verify, which is not
// part of Node:
//
//	npm install --prefix DIR standardwebhooks
//	HOOKYARD_TEST_NODE_MODULES=DIR/node_modules go test ./internal/send/sign
func TestNodeLibrary(t *testing.T) {
	t.Parallel()
	modules := os.Getenv("HOOKYARD_TEST_NODE_MODULES")
	if modules == "" {
		t.Skip("HOOKYARD_TEST_NODE_MODULES is not set")
	}
	v1, old, v1a := newKey(t, sign.V1), newKey(t, sign.V1), newKey(t, sign.V1a)
	body := `{"type":"order.created","data":{"name":"Bücher"}}`
	h := http.Header{}
	require.NoError(t, sign.Sign(h, "msg_1", time.Now(), []byte(body), []sign.Key{v1, v1a, old}))
	const script = `
const { Webhook } = require(process.argv[1] + "/standardwebhooks");
const [, , key, id, timestamp, signature, body] = process.argv;
try {
  new Webhook(key).verify(body, { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature });
  console.log(true);
} catch (e) {
  console.log(e.constructor.name);
}`
	for _, tt := range []struct{ key, body, want string }{
		{v1.Verifier(), body, "true"},
		{old.Verifier(), body, "true"},
		{v1.Verifier(), body + " ", "WebhookVerificationError"},
		{newKey(t, sign.V1).Verifier(), body, "WebhookVerificationError"},
	} {
		out, err := exec.CommandContext(t.Context(), "node", "-e", script, modules, tt.key, "msg_1",
			h.Get(sign.HeaderTimestamp), h.Get(sign.HeaderSignature), tt.body).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, tt.want, strings.TrimSpace(string(out)))
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, s := range []sign.Scheme{sign.V1, sign.V1a} {
		k := newKey(t, s)
		again, err := sign.ParseKey(k.Secret())
		require.NoError(t, err)
		require.Equal(t, k.Secret(), again.Secret())
		require.Equal(t, k.Verifier(), again.Verifier())
		require.Equal(t, s, again.Scheme())
		require.NotEqual(t, k.Secret(), newKey(t, s).Secret())
		for _, shown := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v", k, k, k)} {
			require.NotContains(t, shown, k.Secret()[6:])
		}
	}
	require.True(t, strings.HasPrefix(newKey(t, sign.V1a).Verifier(), "whpk_"))
	_, err := sign.NewKey("v2")
	require.ErrorContains(t, err, `there is no scheme "v2"`)
	for _, text := range []string{"", "whsec_", "hunter2", "whsec_c2hvcnQ=", "whsec_" + strings.Repeat("A", 88), "whsk_AAAA", "whpk_AAAA", "whsec_!!"} {
		_, err := sign.ParseKey(text)
		require.Error(t, err, text)
		require.False(t, len(text) > 6 && strings.Contains(err.Error(), text))
	}
}

func TestCannotSign(t *testing.T) {
	t.Parallel()
	k := newKey(t, sign.V1)
	require.ErrorContains(t, sign.Sign(http.Header{}, "a.b", time.Now(), nil, []sign.Key{k}), "without a dot")
	require.Error(t, sign.Sign(http.Header{}, "", time.Now(), nil, []sign.Key{k}))
	require.Error(t, sign.Sign(http.Header{}, "msg_1", time.Now(), nil, nil))
}
