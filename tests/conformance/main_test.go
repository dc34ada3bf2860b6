//go:build !race

// Package conformance says what a receiver of webhooks has to do, as scenarios
// that need nothing of it but its address: they act as the sender, as the
// network, as the services behind it and as the crash, and look at what it
// answers, what Temporal holds, what the services got and what it logs.
//
// The scenarios are run against hookyard, which has to pass them all, and
// against receivers that are each flawed in one way that people write (see
// flawed/), which shows that the scenarios can fail, and why they would.
package conformance

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The programs under test, built once.
var hookyard, flawed, devServer string

func TestMain(m *testing.M) {
	// Most of what these tests do is wait: for time-outs of Temporal after a
	// crash. More of them than there are cores can do that at once.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(buildAndRun(m))
}

// buildAndRun builds before the tests' own clock starts. A cold build of the
// dev server takes minutes; it says so on standard error.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hookyard-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	hookyard, flawed = filepath.Join(dir, "hookyard"), filepath.Join(dir, "flawed")
	if err := build(hookyard, "../../cmd/hookyard"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := build(flawed, "./flawed", "-tags=flawed"); err != nil {
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

func build(to, folder string, flags ...string) error {
	args := append([]string{"build", "-o", to}, flags...)
	out, err := exec.CommandContext(context.Background(), "go", append(args, folder)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", folder, err, out)
	}
	return nil
}
