package hookyard_test

import (
	"flag"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/workflows"
)

var update = flag.Bool("update", false, "write what is seen into the scripts")

// TestMain lets the scripts run the program with the examples as "hookyard".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hookyard": func() {
		hookyard.Main(hookyard.App{
			Workflows: []hookyard.Handler{
				hookyard.On("stripe.invoice.paid", workflows.InvoicePaid, (*activities.Ledger)(nil), (*activities.Mail)(nil), (*activities.Build)(nil)),
			},
			Open:   activities.Open,
			Config: activities.Config{},
			Demo:   activities.Demo,
		})
	}})
}

// TestScripts plays the stories of testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: *update})
}
