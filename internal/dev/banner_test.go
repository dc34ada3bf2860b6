package dev

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
)

// TestBannerSaysTheJournal shows where the journal is, where a source has one.
func TestBannerSaysTheJournal(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	folder := t.TempDir()
	says := func(source string) string {
		cfg, err := config.Parse(filepath.Join(folder, command.DefaultConfig), []byte("sources: {github: {provider: github, secrets: [env:S]"+source+"}}"),
			config.Options{LookupEnv: func(string) (string, bool) { return "secret", true }})
		require.NoError(t, err)
		catalog, err := command.App{}.Catalog()
		require.NoError(t, err)
		return banner(&command.Setting{Config: cfg, Catalog: catalog}, l, client.Options{}, devOptions{}, command.Folders{}, false, "")
	}
	require.Regexp(t, `  journal      .*/hookyard-journal\.db; .* journal.* says what waits\n`, says(", journal: true"))
	require.NotContains(t, says(""), "hookyard-journal.db")
}
