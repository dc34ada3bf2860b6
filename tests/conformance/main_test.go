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
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hookyard/hookyard/tests/harness"
)

// The programs under test, built once.
var hookyard, flawed, devServer string

func TestMain(m *testing.M) {
	// Most scenarios wait until Temporal gives up on a worker that was killed.
	os.Exit(harness.Main(m, 8, func(ctx context.Context, built harness.Programs) error {
		hookyard, devServer = built.Hookyard, built.DevServer
		flawed = filepath.Join(built.Folder, "flawed")
		return harness.Build(ctx, flawed, "-tags=flawed", "./flawed")
	}))
}
