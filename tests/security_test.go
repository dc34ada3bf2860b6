package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSecurityClaims holds docs/security.md to tests that there are: each claim
// names at least one, and each that it names is a test in that folder.
func TestSecurityClaims(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	declared := map[string]bool{} // "folder.TestName"
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	require.NoError(t, filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, found := range function.FindAllStringSubmatch(string(code), -1) {
			declared[strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")+"."+found[1]] = true
		}
		return err
	}))
	named := regexp.MustCompile("`([a-z/]+\\.(?:Test|Fuzz)\\w+)`")
	claims := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| claim") {
			continue
		}
		claims++
		tests := named.FindAllStringSubmatch(line, -1)
		require.NotEmpty(t, tests, "this claim names no test: %s", line)
		for _, name := range tests {
			require.True(t, declared[name[1]], "there is no test %s; correct docs/security.md, or the test's name there", name[1])
		}
	}
	require.Greater(t, claims, 10)
}
