package provider_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// FuzzVerify looks for a delivery that passes without being the signed one.
func FuzzVerify(f *testing.F) {
	names := []string{"stripe", "github", "shopify", "slack", "standard-webhooks", "standard-webhooks-v1a"}
	receivers := make([]*provider.Receiver, len(names))
	for i, name := range names {
		receivers[i] = bind(f, name, secret(name))
		d := signed(f, receivers[i], now)
		for header, values := range d.Header {
			f.Add(uint8(i), header, values[0], "X-Other", "", d.Body)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, name1, value1, name2, value2 string, body []byte) {
		r := receivers[int(which)%len(receivers)]
		d := &provider.Delivery{Method: "POST", Header: http.Header{}, Body: bytes.Clone(body), ReceivedAt: now}
		d.Header.Add(name1, value1)
		d.Header.Add(name2, value2)
		err := r.Verify(t.Context(), d)
		require.Equal(t, body, d.Body)
		if err == nil {
			genuine := signed(t, r, now)
			require.Equal(t, string(genuine.Body), string(body), "only the signed body may pass")
			return
		}
		require.NotEmpty(t, provider.Reason(err))
		require.NotContains(t, err.Error(), secret(r.Name()))
	})
}

// FuzzIdentify looks for a panic, and for an id or type that Temporal would
// not take.
func FuzzIdentify(f *testing.F) {
	var receivers []*provider.Receiver
	catalog, err := provider.Builtin()
	require.NoError(f, err)
	for i, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		r, err := p.Bind(binding(p, keys(f, p, "one")))
		require.NoError(f, err)
		receivers = append(receivers, r)
		body, _, _ := r.Sample("")
		f.Add(uint8(i), "application/json", body)
	}
	f.Add(uint8(5), "application/x-www-form-urlencoded", []byte("payload=%7B%22type%22%3A1%7D&trigger_id=%zz"))
	f.Fuzz(func(t *testing.T, which uint8, contentType string, body []byte) {
		r := receivers[int(which)%len(receivers)]
		if r.Spec().Signature.Scheme == "aws-sns" {
			return // its handshake asks the network
		}
		d := &provider.Delivery{Method: "POST", URL: "https://h.example/?a=b", Header: http.Header{"Content-Type": {contentType}}, Body: body}
		for _, verified := range []bool{false, true} {
			_, err := r.Greet(t.Context(), d, verified)
			require.NoError(t, err)
		}
		events, err := r.Identify(d)
		if err != nil {
			require.ErrorIs(t, err, provider.ErrNoEvent)
			return
		}
		for _, e := range events {
			require.NotEmpty(t, e.ID)
			require.LessOrEqual(t, len(e.ID), 1024)
			require.LessOrEqual(t, len(e.Type), 200)
		}
	})
}

// FuzzFile looks for a provider file that panics, or that loads and then
// takes an unsigned delivery.
func FuzzFile(f *testing.F) {
	f.Add([]byte("name: a\nsignature: {header: X, algorithm: hmac-sha256, encoding: hex, content: \"{body}\"}\nevent: {id: [json:id], unique: {json:id: a test}}\n"))
	files, err := filepath.Glob("catalog/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte("name: a\nsignature: {header: [X, Y], list: {separator: \",\", key: \"=\", want: [v1]}, algorithm: token}\nevent: {id: [\"{json:a}{form:b|c}\"]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var catalog provider.Catalog
		problems := catalog.Add(fstest.MapFS{"a.yaml": {Data: data}})
		if len(problems) > 0 {
			require.Empty(t, catalog.Names())
			return
		}
		for _, name := range catalog.Names() {
			p, _ := catalog.Lookup(name)
			r, err := p.Bind(provider.Binding{Secrets: []string{"00"}})
			if err != nil {
				continue
			}
			require.Error(t, r.Verify(t.Context(), &provider.Delivery{Method: "POST", Header: http.Header{}, Body: []byte("{}"), ReceivedAt: now}))
		}
	})
}
