package ingest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
)

// TestSourceMistakes holds what a source says against what its provider can
// do.
func TestSourceMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, source, want string }{
		{"no such option", "{provider: paypal, options: {webhookid: x}}", `hookyard.yaml:2: source "a": provider "paypal" has no option "webhookid"; it has `},
		{"no options at all", "{provider: stripe, secrets: [env:S], options: {x: y}}", `provider "stripe" has no options; remove "x"`},
		{"an option is missing", "{provider: paypal}", `provider "paypal" needs the option "webhook_id": `},
		{"a list in place of a value", "{provider: paypal, options: {webhook_id: [a, b]}}", `option "webhook_id" is one value`},
		{"nothing to split", "{provider: stripe, secrets: [env:S], split: false}", `provider "stripe" sends one event at a time; remove split`},
		{"nothing to guard", "{provider: stripe, secrets: [env:S], replay_guard: body}", `remove replay_guard`},
		{"no secret", "{provider: stripe}", "no secret"},
		{"a secret comes later", "{provider: asana}", ""},
		{"good options", "{provider: cloudevents, secrets: [env:S], options: {allowed_origins: [a, b]}}", ""},
		{"a guard where it helps", "{provider: shopify, secrets: [env:S], replay_guard: body}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Parse("hookyard.yaml", []byte("sources:\n  a: "+tt.source+"\n"), config.Options{
				LookupEnv: func(string) (string, bool) { return testSecret, true },
			})
			require.NoError(t, err)
			builtin, err := provider.Builtin()
			require.NoError(t, err)
			catalog, mistakes := ingest.Providers(cfg, builtin)
			require.Empty(t, mistakes)
			sources, mistakes := ingest.Sources(cfg, catalog)
			if tt.want == "" {
				require.Empty(t, mistakes)
				require.Contains(t, sources, "a")
				return
			}
			require.NotEmpty(t, mistakes)
			require.Contains(t, mistakes[0].Error(), tt.want)
			require.Empty(t, sources)
		})
	}
}
