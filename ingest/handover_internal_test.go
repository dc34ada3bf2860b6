package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

func TestKeepHandedOver(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	asana, _ := catalog.Lookup("asana")
	r, err := asana.Bind(provider.Binding{})
	require.NoError(t, err)
	source := &Source{name: "asana", Provider: r}

	var log bytes.Buffer
	folder := filepath.Join(t.TempDir(), "made", "when needed")
	s := New(Options{HandedOver: folder, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const secret = "handed-over-secret"
	require.NoError(t, s.keepHandedOver(source, secret))
	require.NoError(t, s.keepHandedOver(source, secret), "handed over again")
	require.NotContains(t, log.String(), secret)

	files, err := filepath.Glob(filepath.Join(folder, "asana", "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	kept, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.Equal(t, secret, string(kept))
	require.Contains(t, log.String(), "file:"+files[0])
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	for i := range maxHanded - 1 {
		require.NoError(t, s.keepHandedOver(source, fmt.Sprint("another ", i)))
	}
	require.ErrorContains(t, s.keepHandedOver(source, "one too many"), "wait in "+filepath.Join(folder, "asana"))
	require.NoError(t, s.keepHandedOver(source, secret), "what is kept already needs no room")
	require.ErrorContains(t, s.keepHandedOver(source, strings.Repeat("x", maxHandedSecret+1)), "at most")
	require.ErrorContains(t, New(Options{}).keepHandedOver(source, secret), "no folder")
}
