package harness

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
)

// Programs are what Main has built.
type Programs struct {
	// Hookyard is the path of the hookyard program, built as the tests are:
	// with the race detector or without.
	Hookyard string
	// DevServer is the path of the dev server.
	DevServer string
	// Folder is removed after the tests. It is for what they build themselves.
	Folder string
}

// Main is the TestMain of a package whose tests run programs. It builds them
// before the tests' own clock starts, as a cold build of the dev server takes
// minutes, hands them to use, runs the tests and returns the exit code.
//
// parallel is how many tests run at once, unless -parallel says it. Tests of
// programs mostly wait, so that more of them than there are cores can.
func Main(m *testing.M, parallel int, use func(context.Context, Programs) error) int {
	flag.Parse() //nolint:revive // this is TestMain's own work
	if !given("test.parallel") {
		if err := flag.Set("test.parallel", strconv.Itoa(parallel)); err != nil {
			return failed(err)
		}
	}
	folder, err := os.MkdirTemp("", "hookyard-tests-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(folder)
	ctx := context.Background()
	programs := Programs{Folder: folder}
	if programs.Hookyard, err = Hookyard(ctx, folder); err != nil {
		return failed(err)
	}
	if programs.DevServer, err = DevServerProgram(ctx, programs.Hookyard, os.Stderr); err != nil {
		return failed(err)
	}
	if err := use(ctx, programs); err != nil {
		return failed(err)
	}
	return m.Run()
}

// given reports whether a flag is on the command line.
func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
