package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestInvocation(t *testing.T) {
	t.Parallel()
	for started, want := range map[string]string{
		"hooks":                           "hooks",
		"./bin/hooks":                     "hooks",
		"/opt/hooks.exe":                  "hooks",
		"/tmp/go-build123/b001/exe/hooks": "go run " + MainPackage(),
		"/cache/9f/" + strings.Repeat("9f", 32) + "-d/hooks": "go run " + MainPackage(),
	} {
		require.Equal(t, want, invocation(started), started)
	}
}

// TestTextsNameTheProgram sees that no help text and no error tells a team to
// type the name of another program.
func TestTextsNameTheProgram(t *testing.T) {
	t.Parallel()
	var out, said bytes.Buffer
	outer := &cobra.Command{Use: "outer", Long: "See `hookyard inner` and \"hookyard other\".", Example: "  hookyard outer && next", Run: func(*cobra.Command, []string) {}}
	outer.AddCommand(&cobra.Command{Use: "inner", Example: "  hookyard outer inner", Run: func(*cobra.Command, []string) {}})
	for _, args := range [][]string{{"--help"}, {"outer", "--help"}, {"outer", "inner", "--help"}} {
		err := Execute(t.Context(), Env{Stdout: &out, Stderr: &said}, args, outer)
		require.Zero(t, ExitCode(err, &said))
	}
	name := Invocation()
	require.NotEqual(t, "hookyard", name)
	for _, want := range []string{"Start with \"" + name + " dev\"", "See `" + name + " inner` and \"" + name + " other\"", "  " + name + " outer && next", "  " + name + " outer inner"} {
		require.Contains(t, out.String(), want)
	}
	require.NotContains(t, out.String(), "hookyard ")

	for _, err := range []error{errors.New("run `hookyard setup`"), Usage(errors.New("see `hookyard setup --help`"))} {
		said.Reset()
		require.NotZero(t, ExitCode(err, &said))
		require.Contains(t, said.String(), "`"+name+" setup")
	}
}
