package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// vague lists folder names that say nothing of what is inside, and so become
// the place for everything.
var vague = []string{"common", "helpers", "lib", "misc", "models", "pkg", "shared", "types", "util", "utils"}

// machinePath finds a path on the machine of whoever wrote a text.
var machinePath = regexp.MustCompile(`(^|[^\w.~/-])(/(home|Users|work)/\w[^\s"'` + "`" + `]*|[A-Z]:\\Users\\\w+)`)

// tree calls file with each file of the repository and the folder that it is
// in, both relative to the root. It leaves out what git and builds put there,
// and testdata, which holds what outside systems and users write.
func tree(t *testing.T, file func(folder, name string)) {
	t.Helper()
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", "bin", "testdata"}, entry.Name()) {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() {
			file(filepath.Dir(path), entry.Name())
		}
		return nil
	})
	require.NoError(t, err)
}

func TestFolderNames(t *testing.T) {
	t.Parallel()
	tree(t, func(folder, name string) {
		for part := range strings.SplitSeq(folder, "/") {
			require.NotContains(t, vague, part,
				"%s/%s: a folder is named for a stage or a system, so that the tree reads as a sentence", folder, name)
		}
	})
}

func TestNoPathsOfAMachine(t *testing.T) {
	t.Parallel()
	tree(t, func(folder, name string) {
		text, err := os.ReadFile(filepath.Join("..", folder, name))
		require.NoError(t, err)
		if utf8.Valid(text) {
			require.Empty(t, machinePath.FindString(string(text)),
				"%s/%s names a path that only its writer's machine has; write it relative to the root of the repository", folder, name)
		}
	})
}

func TestMachinePath(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"/" + "home/ann/hookyard", "in `/" + "Users/ann`", `"/` + `work/main"`, "dir=/" + "home/ann", `C:\` + `Users\ann`, "file:/" + "home/ann",
	} {
		require.NotEmpty(t, machinePath.FindString(text), text)
	}
	for _, text := range []string{
		"https://example.com/home/ann", "../home/ann", "~/work/main", "/homework/x", "/run/secrets/stripe", "config/work/x", "/root/.cache/go-build",
	} {
		require.Empty(t, machinePath.FindString(text), text)
	}
}
