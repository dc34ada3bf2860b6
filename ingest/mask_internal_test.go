package ingest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
)

// shown is what a debug log says of a delivery to a source of this provider.
func shown(t *testing.T, r *provider.Receiver, secrets []string, paths []string, d *provider.Delivery) string {
	source := &Source{Provider: r, name: "s", headers: headerFilter{provider: r.SensitiveHeaders(), operator: []string{"X-Internal-*"}}, maskPaths: paths}
	for _, s := range secrets {
		source.secrets = append(source.secrets, config.NewSecret("env:S", s))
	}
	var log bytes.Buffer
	s := &Server{logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}))}
	s.logDelivery(t.Context(), source, d)
	return log.String()
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// likeSecret writes 32 bytes as the provider hands a secret out.
func likeSecret(p *provider.Provider, raw string) string {
	spec := p.Spec().Secret
	prefix := strings.Join(spec.Prefix[:min(1, len(spec.Prefix))], "")
	switch spec.Encoding {
	case "hex":
		return prefix + hex.EncodeToString([]byte(raw))
	case "base64":
		return prefix + base64.StdEncoding.EncodeToString([]byte(raw))
	default:
		return prefix + raw
	}
}

// TestNoSignatureIsShown holds every provider to it: wherever its signature
// stands, the log of a delivery is the same whatever secret signed it.
func TestNoSignatureIsShown(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	tried := 0
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		options := map[string]string{}
		for name, o := range p.Spec().Options {
			if o.Required {
				options[name] = "some-" + name
			}
		}
		var logs []string
		for _, raw := range []string{"one-secret-of-thirty-two-bytes-1", "two-secret-of-thirty-two-bytes-2"} {
			secret := likeSecret(p, raw)
			r, err := p.Bind(provider.Binding{Secrets: []string{secret}, Options: options})
			if err != nil {
				break // a key pair, and not a secret
			}
			body, _, _ := p.Sample("")
			d := provider.SampleDelivery("https://hooks.example.com/webhooks/s", bytes.Clone(body))
			d.ReceivedAt = time.Unix(1767225600, 0)
			if r.Stamp(d, "evt_1", "") != nil || r.Sign(d) != nil {
				break
			}
			for header := range d.Header {
				if strings.Contains(header, "Nonce") {
					d.Header.Set(header, "n") // it is random
				}
			}
			d.Header.Set("Authorization", "Bearer "+raw)
			d.Header.Set("Cookie", "session="+raw)
			log := shown(t, r, []string{secret}, nil, d)
			require.NotContains(t, log, raw, name)
			require.Contains(t, log, "Authorization", "the names of headers are shown")
			logs = append(logs, log)
		}
		if len(logs) == 2 {
			tried++
			require.Equal(t, logs[0], logs[1], name)
		}
	}
	require.Greater(t, tried, len(catalog.Names())*3/4, "most providers can be signed for here")
}

func TestMask(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-of-the-source"
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	p, _ := catalog.Lookup("stripe")
	r, err := p.Bind(provider.Binding{Secrets: []string{secret}})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		contentType, body string
		paths             []string
		want              string // in the log's JSON
	}{
		"as it came": {"application/json", `{"b":1.50,"a":"<x>"}`, nil, `"payload":"{\"a\":\"<x>\",\"b\":1.50}"`},
		"a path": {
			"application/json", `{"customer":{"email":"ada@example.com","id":7}}`, []string{"customer.email"},
			`"payload":"{\"customer\":{\"email\":\"<masked>\",\"id\":7}}"`,
		},
		"a path through a list": {
			"application/json", `{"items":[{"card":"ada@example.com"},{"card":"ada@example.com"}]}`, []string{"items.#.card"},
			`"payload":"{\"items\":[{\"card\":\"<masked>\"},{\"card\":\"<masked>\"}]}"`,
		},
		"an index, a star, and a whole mapping": {
			"application/json", `[{"x":{"y":"ada@example.com"}},{"x":{"y":2}}]`, []string{"0.*"}, `"payload":"[{\"x\":\"<masked>\"},{\"x\":{\"y\":2}}]"`,
		},
		"a name that is there twice": {
			"application/json", `{"email":"eve","email":"ada@example.com"}`, []string{"email"}, `"payload":"{\"email\":\"<masked>\"}"`,
		},
		"a name in other letters": {
			"application/json", `{"\u0065mail":"ada@example.com"}`, []string{"email"}, `"payload":"{\"email\":\"<masked>\"}"`,
		},
		"JSON in a form": {
			"application/x-www-form-urlencoded", `payload=%7B%22email%22%3A%22ada%40example.com%22%7D&token=t0ken`, []string{"email"},
			`"payload":"payload=%7B%22email%22%3A%22<masked>%22%7D&token=<masked>"`,
		},
		"what is no JSON, with something to mask": {"text/plain", "ada@example.com", []string{"email"}, `"payload":"<15 bytes, not shown`},
		"what is no JSON, with nothing to mask":   {"text/plain", "hello", nil, `"payload":"hello"`},
		"what is no text":                         {"", "\xff\xfe", nil, `"payload":"<2 bytes, not shown`},
		"a secret in the payload":                 {"application/json", `{"note":"it is ` + secret + `"}`, nil, `it is <masked>`},
		"a secret by its name":                    {"application/json", `{"client_secret":"pi_1_secret_2","author":{"name":"x"}}`, nil, `{\"author\":{\"name\":\"x\"},\"client_secret\":\"<masked>\"}`},
		"a card number":                           {"application/json", `{"pan":"4242 4242-4242.4242","n":4242424242424242,"at":1767225600000}`, nil, `"payload":"{\"at\":1767225600000,\"n\":<masked>,\"pan\":\"<masked>\"}"`},
		"a card number in a form":                 {"application/x-www-form-urlencoded", `card=4242+4242+4242+4242&page=2`, nil, `"payload":"card=<masked>&page=2"`},
		"a card number in text":                   {"text/plain", "paid with 4242-4242-4242-4242.", nil, `"payload":"paid with <masked>."`},
		"a number by its name":                    {"application/json", `{"cvc":123}`, nil, `{\"cvc\":\"<masked>\"}`},
		"two values":                              {"application/json", `{"email":1} {"email":"ada@example.com"}`, []string{"email"}, `"payload":"<`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &provider.Delivery{
				Method: http.MethodPost, URL: "https://h.example/webhooks/s?verify_token=" + secret + "x&page=2&q=an0ther&q=ano7her",
				Header: http.Header{
					"Content-Type": {tt.contentType}, "X-Note": {secret}, "X-Custom-Key": {"an0ther"}, "X-Session": {"an0ther"},
					"X-Pay": {"4242424242424242"}, "X-Internal-Id": {"an0ther"},
				}, Body: []byte(tt.body),
			}
			log := shown(t, r, []string{secret}, tt.paths, d)
			require.Contains(t, strings.ReplaceAll(strings.ReplaceAll(log, `\u003c`, "<"), `\u003e`, ">"), tt.want)
			require.Contains(t, log, "page=2")
			for _, hidden := range []string{secret, "ada@example.com", "ada%40example.com", "t0ken", "pi_1_secret_2", "an0ther", "ano7her", "4242"} {
				require.NotContains(t, log, hidden)
			}
		})
	}
}

// TestNothingIsShownAtInfo sees that payloads stay out of logs that are kept.
func TestNothingIsShownAtInfo(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &Server{logger: slog.New(slog.NewJSONHandler(&log, nil))}
	s.logDelivery(t.Context(), nil, nil)
	require.Empty(t, log.String())
}
