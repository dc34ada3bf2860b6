package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrepareFile(t *testing.T) {
	t.Parallel()
	temporal := func(t *testing.T, path string) { require.NoError(t, prepareFile(t.Context(), path)) }
	exec := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db, err := open("file:" + escape(path))
			require.NoError(t, err)
			for _, statement := range statements {
				_, err := db.ExecContext(t.Context(), statement)
				require.NoError(t, err)
			}
			require.NoError(t, db.Close())
		}
	}
	for _, tt := range []struct {
		name, file string
		before     []func(*testing.T, string)
		want       string // in the error; empty: none
	}{
		{name: "new"},
		{name: "already set up", before: []func(*testing.T, string){temporal}},
		{name: "empty", before: []func(*testing.T, string){func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}}},
		{name: "characters of a URI in its name", file: "a?b#c%20d é.db", before: []func(*testing.T, string){temporal}},
		{name: "no folder", file: "missing/t.db", want: "create it first"},
		{name: "not a database", before: []func(*testing.T, string){func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("a text that is surely not a SQLite database"), 0o600))
		}}, want: "is not a SQLite database"},
		{name: "another program's", before: []func(*testing.T, string){exec("CREATE TABLE songs (title TEXT)")}, want: "not one of Temporal's"},
		{name: "another version's", before: []func(*testing.T, string){temporal, exec("ALTER TABLE current_executions DROP COLUMN data")},
			want: `its table "current_executions" has no column "data"`},
		{name: "a folder", before: []func(*testing.T, string){func(t *testing.T, path string) {
			require.NoError(t, os.Mkdir(path, 0o700))
		}}, want: "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := tt.file
			if file == "" {
				file = "t.db"
			}
			path := filepath.Join(t.TempDir(), file)
			for _, before := range tt.before {
				before(t, path)
			}
			err := prepareFile(t.Context(), path)
			if tt.want != "" {
				require.ErrorContains(t, err, tt.want)
				require.ErrorContains(t, err, "--db-filename")
				return
			}
			require.NoError(t, err)
			require.FileExists(t, path)
		})
	}
}
