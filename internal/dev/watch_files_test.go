package dev

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// TestChanges changes files one after another. Each that counts is awaited
// together with one that never does, which stands before it.
func TestChanges(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, folder := range []string{"workflows", "providers/samples", ".git", "node_modules/x", "testdata", "_old"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, folder), 0o700))
	}
	outside := filepath.Join(t.TempDir(), "prod.config")
	c, err := watchFiles(root, outside)
	require.NoError(t, err)
	defer c.close()
	c.embedded = map[string]bool{filepath.Join(root, "providers", "samples"): true}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	for _, step := range []struct {
		write []string
		want  string
	}{
		{[]string{"workflows/a_test.go", "workflows/a.go"}, "workflows/a.go"},
		{[]string{".git/index.go", "node_modules/x/x.go", "testdata/x.go", "_old/x.go", "go.mod"}, "go.mod"},
		{[]string{"README.md", "ledger.db", "workflows/.a.go.swp", "workflows/.hidden.go", "hookyard.yaml"}, "hookyard.yaml"},
		{[]string{"workflows/notes.json", "providers/samples/acme.json"}, "providers/samples/acme.json"},
		{[]string{"activities/deep/new.go"}, "activities/deep/new.go"}, // of folders that are new
		{[]string{"activities/deep/new.go"}, "activities/deep/new.go"}, // and are watched from then on
		{[]string{filepath.Join(filepath.Dir(outside), "other.yaml"), outside}, outside},
	} {
		for _, name := range step.write {
			path := name
			if !filepath.IsAbs(name) {
				path = filepath.Join(root, name)
			}
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte(time.Now().String()), 0o600))
		}
		files, err := c.next(ctx, nil)
		require.NoError(t, err, step.want)
		require.Empty(t, cmp.Diff([]string{step.want}, files))
	}

	require.NoError(t, os.Remove(filepath.Join(root, "go.mod")))
	files, err := c.next(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]string{"go.mod"}, files))

	ended := make(chan struct{})
	close(ended)
	files, err = c.next(ctx, ended)
	require.NoError(t, err)
	require.Nil(t, files)
	cancel()
	_, err = c.next(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestChangesSettle sees that many writes are one change, and that files that do
// not count do not put it off.
func TestChangesSettle(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	c, err := watchFiles(root, "")
	require.NoError(t, err)
	defer c.close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, name := range []string{"a.go", "b.go", "a.go", "c.go"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), nil, 0o600))
	}
	noise, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(settle / 10)
		defer ticker.Stop()
		for {
			select {
			case <-noise:
				return
			case <-ticker.C:
				_ = os.WriteFile(filepath.Join(root, "ledger.db"), []byte("x"), 0o600)
			}
		}
	}()
	files, err := c.next(ctx, nil)
	close(noise)
	<-stopped
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]string{"a.go", "b.go", "c.go"}, files))
}
