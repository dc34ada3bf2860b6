package config_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/config"
)

var update = flag.Bool("update", false, "write what came out into testdata")

// TestGolden parses every testdata/*/*.txtar. The files of an archive are
//
//	hookyard.yaml  the config
//	env            NAME=value lines, the only environment there is
//	want           the mistakes, or in testdata/good every field of the Config
//
// and any other file is one that the config can refer to.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			content := contents(archive)
			opts := options(content)

			c, err := config.Parse("hookyard.yaml", []byte(content["hookyard.yaml"]), opts)
			if filepath.Base(filepath.Dir(file)) == "good" {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
				requireInRange(t, err, []byte(content["hookyard.yaml"]))
			}
			got := dump(t, c)
			if err != nil {
				got = err.Error() + "\n"
			}
			if *update {
				setWant(archive, got)
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
				return
			}
			require.Equal(t, content["want"], got)
		})
	}
}

func contents(a *txtar.Archive) map[string]string {
	content := map[string]string{}
	for _, f := range a.Files {
		content[f.Name] = string(f.Data)
	}
	return content
}

func setWant(a *txtar.Archive, got string) {
	for i, f := range a.Files {
		if f.Name == "want" {
			a.Files[i].Data = []byte(got)
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: "want", Data: []byte(got)})
}

// options answer from an archive, and from nothing else.
func options(content map[string]string) config.Options {
	env := map[string]string{}
	for line := range strings.Lines(content["env"]) {
		name, val, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = val
	}
	return config.Options{
		App:       program{},
		LookupEnv: func(name string) (string, bool) { val, ok := env[name]; return val, ok },
		ReadFile: func(path string) ([]byte, error) {
			data, ok := content[path]
			switch {
			case !ok:
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			case data == "permission denied\n":
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			case data == "is a directory\n":
				return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a directory")}
			}
			return []byte(data), nil
		},
	}
}

// requireInRange fails unless the mistakes are sorted and stand in the file.
func requireInRange(t *testing.T, err error, data []byte) {
	t.Helper()
	var mistakes config.Mistakes
	require.ErrorAs(t, err, &mistakes)
	require.NotEmpty(t, mistakes)
	last := 1
	for _, m := range mistakes {
		require.NotContains(t, m.Text, "\n")
		require.GreaterOrEqual(t, m.Line, last, "mistakes are sorted by line")
		require.LessOrEqual(t, m.Line, 1+bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")))
		last = m.Line
	}
}

// dump prints every field that is set, one a line.
func dump(t *testing.T, c *config.Config) string {
	t.Helper()
	var b strings.Builder
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		switch x := v.Interface().(type) {
		case config.Secret:
			if !x.IsZero() {
				fmt.Fprintf(&b, "%s = %s is %q\n", name, x.Ref(), x.Reveal())
			}
			return
		case *yaml.Node:
			if x != nil {
				text, err := yaml.Dump(x)
				require.NoError(t, err)
				fmt.Fprintf(&b, "%s = %s\n", name, strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "; "))
			}
			return
		case time.Duration:
			if x != 0 {
				fmt.Fprintf(&b, "%s = %s\n", name, x)
			}
			return
		case fmt.Stringer:
			fmt.Fprintf(&b, "%s = %s\n", name, x)
			return
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(name, v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				switch f := v.Type().Field(i); {
				case f.Anonymous:
					walk(name, v.Field(i))
				case f.IsExported():
					walk(strings.TrimPrefix(name+"."+f.Name, "."), v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", name, i), v.Index(i))
			}
		case reflect.Map:
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			for _, key := range keys {
				walk(fmt.Sprintf("%s[%s]", name, key), v.MapIndex(key))
			}
		default:
			if !v.IsZero() {
				fmt.Fprintf(&b, "%s = %v\n", name, v)
			}
		}
	}
	walk("", reflect.ValueOf(c))
	return b.String()
}
