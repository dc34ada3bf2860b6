// Package tests runs the whole system: the hookyard program and the dev server
// as processes, which the tests talk to as providers and operators do.
package tests

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/hookyard/hookyard/tests/harness"
)

// programs are what is tested, built once.
var programs harness.Programs

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, 3*runtime.GOMAXPROCS(0), func(_ context.Context, built harness.Programs) error {
		programs = built
		return nil
	}))
}
