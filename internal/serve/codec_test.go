package serve

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/payload"
)

// TestCodecServer refuses whoever is not to read payloads.
func TestCodecServer(t *testing.T) {
	t.Parallel()
	k, err := payload.ParseKey(payload.NewKey())
	require.NoError(t, err)
	codec := payload.NewCodec([]payload.Key{k})
	handler, err := payload.CodecHandler(codec, nil)
	require.NoError(t, err)
	sealed, err := codec.Encode([]*commonpb.Payload{{Data: []byte("4242424242424242")}})
	require.NoError(t, err)
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: sealed})
	require.NoError(t, err)
	const origin = "https://temporal.example.com"
	for name, tt := range map[string]struct {
		token, origin, sent, method, body string
		code                              int
	}{
		"the Web UI":         {"", origin, "", http.MethodPost, string(body), http.StatusOK},
		"a program":          {"", "", "", http.MethodPost, string(body), http.StatusOK},
		"another origin":     {"", "https://evil.example.com", "", http.MethodPost, string(body), http.StatusForbidden},
		"origin null":        {"", "null", "", http.MethodPost, string(body), http.StatusForbidden},
		"asks first":         {"token", origin, "", http.MethodOptions, "", http.StatusNoContent},
		"no token":           {"token", origin, "", http.MethodPost, string(body), http.StatusUnauthorized},
		"wrong token":        {"token", origin, "Bearer tokem", http.MethodPost, string(body), http.StatusUnauthorized},
		"the token":          {"token", origin, "Bearer token", http.MethodPost, string(body), http.StatusOK},
		"no payloads":        {"", origin, "", http.MethodPost, "{", http.StatusBadRequest},
		"more than it takes": {"", origin, "", http.MethodPost, strings.Repeat(" ", maxCoded+1), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, "/decode", strings.NewReader(tt.body))
			r.Header.Set("Authorization", tt.sent)
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			w := httptest.NewRecorder()
			guardCodec(handler, []string{origin}, tt.token).ServeHTTP(w, r)
			require.Equal(t, tt.code, w.Code)
			said, err := io.ReadAll(w.Body)
			require.NoError(t, err)
			require.Equal(t, tt.code == http.StatusOK, strings.Contains(string(said), "NDI0MjQyNDI0MjQyNDI0Mg=="), "decrypted for it")
			if tt.origin == origin {
				require.Equal(t, origin, w.Header().Get("Access-Control-Allow-Origin"))
			} else {
				require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
			}
		})
	}
}

func TestCodecOptions(t *testing.T) {
	t.Parallel()
	env := command.Env{Vars: []string{"TOKEN=t"}}
	for name, tt := range map[string]struct {
		o    codecOptions
		want string
	}{
		"this machine":     {codecOptions{listen: "127.0.0.1:8083"}, ""},
		"IPv6":             {codecOptions{listen: "[::1]:8083"}, ""},
		"everybody":        {codecOptions{listen: ":8083"}, "add --token"},
		"a name":           {codecOptions{listen: "codec.example.com:8083"}, "add --token"},
		"token":            {codecOptions{listen: ":8083", token: "env:TOKEN"}, ""},
		"token in clear":   {codecOptions{listen: ":8083", token: "hunter2"}, "want a reference"},
		"token not set":    {codecOptions{listen: ":8083", token: "env:NONE"}, "env:NONE is not set"},
		"half of TLS":      {codecOptions{listen: "127.0.0.1:1", cert: "c.pem"}, "belong together"},
		"origin with path": {codecOptions{listen: "127.0.0.1:1", origins: []string{"https://a.example.com/"}}, "no path"},
		"any origin":       {codecOptions{listen: "127.0.0.1:1", origins: []string{"*"}}, "no path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.o.check(env)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}
