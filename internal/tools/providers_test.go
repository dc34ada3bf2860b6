package tools

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

// providersPage is what docs/providers.md is made of.
type providersPage struct {
	Providers, Aliases []pageRow
	// The rest are names of providers.
	Unsigned, Tokens, Random, Batching, Handing, Pairs, Unsendable, URLs []string
}

type pageRow struct{ providerFacts }

// SendNote marks what `send` does not sign by itself.
func (r pageRow) SendNote() string {
	return map[string]string{sendPair: "³", sendNo: "⁴"}[r.Send]
}

func readPage(t *testing.T) providersPage {
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	var p providersPage
	for _, f := range listProviders(catalog) {
		if f.AliasOf != "" {
			p.Aliases = append(p.Aliases, pageRow{f})
			continue
		}
		p.Providers = append(p.Providers, pageRow{f})
		known, _ := catalog.Lookup(f.Name)
		for _, list := range []struct {
			names *[]string
			is    bool
		}{
			{&p.Unsigned, f.UnsignedID},
			{&p.Tokens, f.Scheme == "token"},
			{&p.Batching, f.Batches},
			{&p.Random, slices.ContainsFunc(f.ID, func(id string) bool { return strings.Contains(id, "delivery:random") })},
			{&p.Handing, slices.ContainsFunc(known.Spec().Handshakes, func(h provider.HandshakeSpec) bool { return h.Secret != "" })},
			{&p.Pairs, f.Send == sendPair},
			{&p.Unsendable, f.Send == sendNo},
			{&p.URLs, known.SignsURL()},
		} {
			if list.is {
				*list.names = append(*list.names, f.Name)
			}
		}
	}
	return p
}

// TestProvidersPage keeps docs/providers.md what the catalog's files say.
var update = flag.Bool("update", false, "write docs/providers.md and what is seen")

func TestProvidersPage(t *testing.T) {
	t.Parallel()
	const source, file = "testdata/providers.md.tmpl", "../../docs/providers.md"
	functions := template.FuncMap{
		"join":  func(texts []string) string { return strings.Join(texts, ", ") },
		"names": func(texts []string) string { return strings.Join(texts, ", ") },
		"dash":  command.OrDash,
		"code": func(sources []string) string {
			if len(sources) == 0 {
				return "none"
			}
			return "`" + strings.ReplaceAll(sources[0], "|", `\|`) + "`"
		},
	}
	made, err := template.New(filepath.Base(source)).Funcs(functions).ParseFiles(source)
	require.NoError(t, err)
	var want strings.Builder
	require.NoError(t, made.Execute(&want, readPage(t)))
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want.String()), 0o600))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "run `go test ./internal/tools -run TestProvidersPage -update`")
}

// TestSourceBlocks pastes the source that `providers show` prints of each
// provider into one config, which `check` takes.
func TestSourceBlocks(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	text := "public_url: https://hooks.example.com\nsources:\n"
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		_, source, ok := strings.Cut(sourceBlock(p), "sources:\n")
		require.True(t, ok)
		text += source
	}
	file := filepath.Join(t.TempDir(), "hookyard.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	set, err := command.Load(file, command.Env{}, true)
	require.NoError(t, err, text)
	require.Len(t, set.Sources, len(catalog.Names()))
}

// TestBuiltinFiles sees that a provider's file has its name, by which it is
// found.
func TestBuiltinFiles(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, name := range catalog.Names() {
		text, ok := provider.BuiltinFile(name)
		require.Equal(t, catalog.AliasOf(name) == "", ok, name)
		if ok {
			require.Contains(t, string(text), "name: "+name+"\n")
		}
	}
}
