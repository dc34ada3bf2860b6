// Package tests runs the whole system: the hookyard program and the dev server
// as processes of their own, spoken to as providers and operators do.
package tests

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hookyard and devServer are the programs under test, built once.
var hookyard, devServer string

func TestMain(m *testing.M) {
	// Most of what these tests do is wait, for lists that are behind and for
	// waits between attempts. More of them than there are cores can do that
	// at once.
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(buildAndRun(m))
}

// buildAndRun builds before the tests' own clock starts. A cold build of the
// dev server takes minutes; it says so on standard error.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookyard-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	hookyard = filepath.Join(dir, "hookyard")
	if err := build(hookyard); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var path bytes.Buffer
	prepare := exec.CommandContext(context.Background(), hookyard, "dev", "--prepare")
	prepare.Stdout, prepare.Stderr = &path, os.Stderr
	if err := prepare.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "hookyard dev --prepare:", err)
		return 1
	}
	devServer = strings.TrimSpace(path.String())
	return m.Run()
}

// build builds the hookyard command, with flags that `go build` takes.
func build(to string, flags ...string) error {
	args := slices.Concat([]string{"build", "-o", to}, raceFlags, flags, []string{"../cmd/hookyard"})
	out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
