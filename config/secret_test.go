package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/config"
)

// value is what no print may hold.
const value = "hunter2"

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	secret := config.NewSecret("env:A", value)
	require.Equal(t, value, secret.Reveal())
	require.Equal(t, "env:A", secret.Ref())
	type exported struct {
		S config.Secret   `json:"s" yaml:"s"`
		P *config.Secret  `json:"p" yaml:"p"`
		L []config.Secret `json:"l" yaml:"l"`
		M map[string]any  `json:"m" yaml:"m"`
	}
	holder := exported{secret, &secret, []config.Secret{secret}, map[string]any{"k": secret}}

	prints := map[string]string{
		"print":       fmt.Sprint(secret),
		"println":     fmt.Sprintln(&secret),
		"String":      secret.String(),
		"GoString":    secret.GoString(),
		"LogValue":    secret.LogValue().String(),
		"error":       fmt.Errorf("verify with %v: %w", secret, errors.New("x")).Error(),
		"json":        jsonOf(t, secret),
		"yaml":        yamlOf(t, secret),
		"slog text":   logged(secret, func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }),
		"slog json":   logged(secret, func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }),
		"json pretty": jsonOf(t, map[string]config.Secret{"k": secret}),
	}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s", "%-5.1s"}
	marshalled, err := secret.MarshalJSON()
	require.NoError(t, err)
	prints["MarshalJSON"] = string(marshalled)
	for _, verb := range verbs {
		prints[verb] = fmt.Sprintf(verb, secret)
	}
	for name, got := range prints {
		require.NotContains(t, got, value, name)
		require.Equal(t, 1, strings.Count(got, "<secret>"), "%s: %s", name, got)
	}

	holders := map[string]string{
		"json":      jsonOf(t, holder),
		"yaml":      yamlOf(t, holder),
		"slog text": logged(holder, func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }),
		"slog json": logged(holder, func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }),
	}
	for _, verb := range verbs {
		// fmt asks no methods of what an unexported field holds.
		holders["unexported "+verb] = fmt.Sprintf(verb, hides{secret})
	}
	for name, got := range holders {
		require.NotContains(t, got, value, name)
		require.NotContains(t, got, fmt.Sprintf("%x", value), name)
		if name == "json" || name == "yaml" || name == "slog json" {
			require.Equal(t, 4, strings.Count(strings.ReplaceAll(got, `\u003c`, "<"), "<secret"), "%s: %s", name, got)
		}
	}
}

type hides struct{ secret config.Secret }

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(v))
	return b.String()
}

func yamlOf(t *testing.T, v any) string {
	t.Helper()
	data, err := yaml.Dump(v)
	require.NoError(t, err)
	return string(data)
}

func logged(v any, handler func(*bytes.Buffer) slog.Handler) string {
	var b bytes.Buffer
	slog.New(handler(&b)).Info("x", "v", v)
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(b.String())
}

// A whole Config, logged by accident, says "<secret>" once for each secret.
func TestConfigPrintsNoSecret(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("hookyard.yaml", []byte(`
sources:
  a: {provider: x, secrets: [env:A, env:A], routes: [{type: "*", forward: {url: http://x, secret: env:A}}]}
  b: {provider: x, secrets: [env:A]}
store: {postgres: env:A, key: env:A}
alerts: {to: [env:A, env:A]}
app: {ledger: {postgres: env:A}, mail: {smtp: env:A, from: a@example.com}, build: {url: http://x, token: env:A}}
`), options(map[string]string{"env": "A=" + value + "\n"}))
	require.NoError(t, err)
	got := jsonOf(t, c)
	require.NotContains(t, got, value)
	require.Equal(t, 13, strings.Count(got, "<secret>"), got)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, c), value)
		require.NotContains(t, fmt.Sprintf(verb, *c), value)
	}
	require.NotContains(t, yamlOf(t, c), value)
}
