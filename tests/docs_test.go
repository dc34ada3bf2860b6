package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
	"github.com/hookyard/hookyard/tests/peers"
)

// blocks returns the code blocks of a language in a Markdown file.
func blocks(t *testing.T, file, language string) []string {
	text, err := os.ReadFile(filepath.Join("..", file))
	require.NoError(t, err)
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	require.NotEmpty(t, found, "%s has no block of %s", file, language)
	return found
}

// TestDocumentedConfigs checks each config that the docs show.
func TestDocumentedConfigs(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"README.md", "docs/config.md", "docs/design.md", "docs/any-sdk.md"} {
		for i, text := range blocks(t, file, "yaml") {
			dir := t.TempDir()
			config := filepath.Join(dir, "hookyard.yaml")
			require.NoError(t, os.Mkdir(filepath.Join(dir, "providers"), 0o755))
			require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
			p := harness.Run(t, nil, programs.Hookyard, "check", "--skip-secrets", config)
			require.NoError(t, p.Wait(), "%s, block %d: %s", file, i+1, p.Output)
		}
	}
}

// TestContributing builds what CONTRIBUTING.md says that a Workflow on a new
// outside system costs: two files, one line in main.go and a config. It runs.
func TestContributing(t *testing.T) {
	t.Parallel()
	code := blocks(t, "CONTRIBUTING.md", "go")
	require.Len(t, code, 3, "two files and one line")
	line := strings.TrimSpace(code[2])
	require.NotContains(t, line, "\n")
	dir := teamModule(t, "example.com/hooks", map[string]string{
		"main.go": `package main

import (
	"example.com/hooks/activities"
	"example.com/hooks/workflows"

	"github.com/hookyard/hookyard"
)

func main() {
	hookyard.Main(hookyard.App{Workflows: []hookyard.Handler{
		` + line + `
	}})
}
`,
		fileName(t, code[0]): code[0],
		fileName(t, code[1]): code[1],
	})
	program := filepath.Join(t.TempDir(), "hooks")
	require.NoError(t, harness.BuildIn(t.Context(), dir, program, "-mod=mod", "."))

	shop := peers.NewInbox(t, peers.Accept)
	settings := strings.Replace(blocks(t, "CONTRIBUTING.md", "yaml")[0], "http://127.0.0.1:9100", shop.URL, 1)
	s := newSystem(t, startTemporal(t, ""), "sources: {stripe: {provider: stripe, secrets: [env:SECRET]}}\n"+
		strings.Replace(settings, "env:SHOP_TOKEN", "env:SECRET", 1))
	s.program = program
	s.serve()
	s.accept("stripe", "stripe", "evt_r", "charge.refunded", `{"id":"evt_r","type":"charge.refunded","data":{"object":{"id":"ch_1","amount_refunded":4900}}}`)
	s.completed("stripe:evt_r")
	requests, bodies := shop.Requests()
	require.Len(t, requests, 2)
	require.Equal(t, "/restock", requests[0].URL.Path)
	require.Equal(t, "stripe:evt_r:TellBuyer", requests[1].Header.Get("Idempotency-Key"))
	require.JSONEq(t, `{"charge":"ch_1","amount":4900}`, string(bodies[1]))
}

// fileName returns the file that the first line of a block names.
func fileName(t *testing.T, block string) string {
	name := regexp.MustCompile(`^// (\S+\.go)\n`).FindStringSubmatch(block)
	require.NotNil(t, name, "the block starts with its file's name: %s", block)
	return name[1]
}

// teamModule writes a module that requires this repository as it is here, and
// whatever this repository requires.
func teamModule(t *testing.T, name string, files map[string]string) string {
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	ours := "module github.com/hookyard/hookyard\n"
	require.True(t, strings.HasPrefix(string(mod), ours))
	files["go.mod"] = "module " + name + "\n" + strings.TrimPrefix(string(mod), ours) +
		"\nrequire github.com/hookyard/hookyard v0.0.0\n\nreplace github.com/hookyard/hookyard => " + root + "\n"
	files["go.sum"] = string(sum)
	for file, text := range files {
		file = filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return dir
}

// overlay writes files for `go build -overlay`, which builds as if they were
// in the repository.
func overlay(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	replace := map[string]string{}
	for name, text := range files {
		stands, err := filepath.Abs(filepath.Join("..", name))
		require.NoError(t, err)
		file := filepath.Join(dir, filepath.Base(name))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		replace[stands] = file
	}
	spec, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, spec, 0o600))
	return file
}
