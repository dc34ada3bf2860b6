package config_test

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
)

// FuzzParse checks that no text makes Parse panic, that mistakes stand on
// lines that the text has, and that no secret's value is in them.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	require.NoError(f, err)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		require.NoError(f, err)
		f.Add([]byte(contents(archive)["hookyard.yaml"]))
	}
	const value = "5e1f-hunter2-9c3a"
	opts := config.Options{
		App:       program{},
		LookupEnv: func(name string) (string, bool) { return value, len(name)%2 == 0 },
		ReadFile:  func(string) ([]byte, error) { return []byte(value + "\n"), nil },
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f", data, opts)
		if err == nil {
			require.NotEmpty(t, c.Sources)
			return
		}
		requireInRange(t, err, data)
		require.NotContains(t, err.Error(), value)
	})
}
