package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
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
	for _, file := range []string{"README.md", "docs/config.md", "docs/design.md"} {
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

// TestContributing walks the steps of CONTRIBUTING.md for a new Workflow: one
// file, one line, and it runs.
func TestContributing(t *testing.T) {
	t.Parallel()
	steps := blocks(t, "CONTRIBUTING.md", "go")
	require.Len(t, steps, 2, "one file and one line")
	name := regexp.MustCompile(`^// (workflows/\S+\.go)\n`).FindStringSubmatch(steps[0])
	require.NotNil(t, name, "the first block starts with its file's name")
	require.Len(t, strings.Split(strings.TrimSpace(steps[1]), "\n"), 1)

	registry, err := os.ReadFile("../workflows/registry.go")
	require.NoError(t, err)
	head, tail, found := strings.Cut(string(registry), "return []Handler{\n")
	require.True(t, found)
	program := filepath.Join(t.TempDir(), "hookyard")
	require.NoError(t, harness.Build(t.Context(), program, "-overlay", overlay(t, map[string]string{
		name[1]:                 steps[0],
		"workflows/registry.go": head + "return []Handler{\n" + steps[1] + tail,
	}), "../cmd/hookyard"))

	s := newSystem(t, startTemporal(t, ""), `
sources:
  stripe: {provider: stripe, secrets: [env:SECRET]}
`)
	s.program = program
	s.serve()
	p := harness.Run(t, s.vars(), programs.Hookyard, "send", "stripe", "charge.dispute.created", "--id", "evt_d", "--config", s.config())
	require.NoError(t, p.Wait(), p.Output)
	s.completed("stripe:evt_d")
	require.Empty(t, cmp.Diff([]string{"evt_d"}, s.payments()))
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
