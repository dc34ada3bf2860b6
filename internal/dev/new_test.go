package dev

import (
	"bytes"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/command"
)

// runNew runs `hookyard new` and returns what it prints.
func runNew(t *testing.T, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := newCommand(command.Env{Vars: os.Environ(), Stdout: &out, Stderr: &out})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "mine.txt"), []byte("mine"), 0o600))
	for want, args := range map[string][]string{
		`is not empty: it has "mine.txt"`: {full, "--module", "hooks"},
		"mine.txt":                        {filepath.Join(full, "mine.txt")},
		`malformed import path "a b": invalid char ' '`:                 {filepath.Join(full, "a b")},
		`malformed import path "-x": leading dash`:                      {filepath.Join(full, "y"), "--module", "-x"},
		`"github.com/hookyard/hookyard" is Hookyard's own module`:       {filepath.Join(full, "y"), "--module", command.Module},
		`"github.com/hookyard/hookyard/hooks" is Hookyard's own module`: {filepath.Join(full, "y"), "--module", command.Module + "/hooks"},
	} {
		_, err := runNew(t, args...)
		require.ErrorContains(t, err, want)
		entries, err := os.ReadDir(full)
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing is written where it refuses: %v", args)
	}
	empty := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(empty, ".git"), 0o700))
	require.NoError(t, mustBeEmpty(empty), "what `git init` has just made is empty")
}

// TestNewWithoutGo sees that the files are written and that the error says what
// is left to do.
func TestNewWithoutGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := filepath.Join(t.TempDir(), "hooks")
	said, err := runNew(t, dir)
	require.ErrorContains(t, err, "there is no `go` on PATH")
	require.ErrorContains(t, err, "run `cd "+dir+" && go mod tidy`")
	require.Contains(t, said, "  main.go\n")
	require.NotContains(t, said, "It is ready")
}

// TestTemplate fills the files with a module whose name has parts.
func TestTemplate(t *testing.T) {
	t.Parallel()
	repo := repository{Module: "example.com/shop/hooks/v2", Name: "hooks", Version: "v1.2.3"}
	root, err := fs.Sub(newFiles, "template")
	require.NoError(t, err)
	require.NoError(t, fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		require.True(t, strings.HasSuffix(name, ".tmpl"), name)
		text, err := repo.fill(root, name)
		require.NoError(t, err)
		require.NotContains(t, string(text), "<no value>")
		if strings.HasSuffix(name, ".go.tmpl") {
			formatted, err := format.Source(text)
			require.NoError(t, err, name)
			require.Equal(t, string(formatted), string(text), name)
		}
		return nil
	}))
	mod, err := repo.fill(root, "go.mod.tmpl")
	require.NoError(t, err)
	require.Equal(t, "module example.com/shop/hooks/v2\n\ngo 1.26.0\n\nrequire github.com/hookyard/hookyard v1.2.3\n", string(mod))
	readme, err := repo.fill(root, "README.md.tmpl")
	require.NoError(t, err)
	require.Less(t, strings.Count(string(readme), "\n"), 40, "it fits one screen")

	described, err := describeRepository(filepath.Join(t.TempDir(), "x"), "example.com/shop/hooks/v2")
	require.NoError(t, err)
	require.Equal(t, "hooks", described.Name)
	require.DirExists(t, filepath.Join(described.Checkout, "internal", "dev"), "this program is of a checkout")
}

// TestNewBuilds runs what is written through the go command: its own tests too.
func TestNewBuilds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "hooks")
	said, err := runNew(t, dir, "--module", "example.com/shop/hooks")
	require.NoError(t, err, said)
	require.Contains(t, said, "  cd "+dir+"\n  go run . dev\n  go run . send acme order.created\n")
	for _, line := range []string{"vet ./...", "test ./...", "run . check"} {
		cmd := exec.CommandContext(t.Context(), "go", strings.Fields(line)...)
		cmd.Dir = dir
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s: %s", line, said)
	}
}
