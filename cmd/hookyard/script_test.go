package main

import (
	"flag"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what is seen into the scripts")

// TestMain lets the scripts run this program as "hookyard".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hookyard": main})
}

// TestScripts plays the stories of testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: *update})
}
