package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// module is the path that the import paths of our packages start with.
const module = "github.com/hookyard/hookyard"

// rule says what a folder, and each folder below it that has no rule of its
// own, may import.
type rule struct {
	folder string
	ours   []string // the only packages of ours; their subfolders are not meant
	why    string   // the reason for ours

	never    []string // packages of others, with all that is below them
	neverWhy string   // the reason for never
}

// rules is the agreement on who may import whom. Only imports of code that
// ships are meant: a test may import what it likes.
func rules() []rule {
	// What gives another answer in a replay, or asks the world outside.
	impure := []string{"net/http", "os", "database/sql", "math/rand", "crypto/rand", "log"}
	const putElsewhere = "a Workflow is replayed from its history and must do the same each time: put that work in an Activity, and log with workflow.GetLogger"

	// The product: what is not a command, not the examples and not a test.
	product := []string{
		"config", "event", "ingest", "ingest/journal", "ingest/provider", "internal/command", "internal/eventrun", "internal/payload", "internal/reconcile", "internal/reconcile/sweep", "internal/store", "internal/telemetry",
		"internal/send/api", "internal/send/attempt", "internal/send/delivery", "internal/send/egress", "internal/send/endpoint", "internal/send/sign",
		"internal/worker", "internal/worker/alert", "internal/worker/forward", "internal/worker/parking", "internal/worker/waiting", "send",
	}
	const putApart = "serve, operate, dev and tools are for different people; what two of them need belongs to the package it is about"
	testing := slices.Concat(product, []string{
		"", "activities", "hookyardtest", "internal/dev", "internal/eventrun/runstest", "internal/operate", "internal/serve", "internal/tools", "workflows",
		"tests/bench/measure", "tests/chaos/trial", "tests/conformance/flawed", "tests/harness", "tests/peers",
	})
	return []rule{
		{
			folder: "event",
			why:    "it is a wire format that both the edge and the Workflows hold to, so nothing may come along with it",
		}, {
			folder: "config",
			ours:   []string{"event"},
			why:    "what an operator declares stands below the program; the packages that use it take its values",
		}, {
			folder: "ingest",
			ours:   []string{"config", "event", "ingest/provider"},
			why:    "the edge starts Workflows by name, so that adding one needs no redeploy of the edge",
		}, {
			folder: "ingest/journal",
			ours:   []string{"event", "ingest", "internal/store"},
			why:    "it stands in front of a start, whatever the config and Temporal are",
		}, {
			folder: "ingest/provider",
			why:    "how a provider signs is a fact about the provider, whatever this program makes of its events",
		}, {
			folder: "internal/worker",
			ours:   []string{"event", "internal/worker/alert", "internal/worker/failure", "internal/worker/forward", "internal/worker/parking", "internal/worker/waiting"},
			why:    "what a Workflow needs of the config or the edge comes in its Event or from an Activity, so that a replay cannot differ",
			never:  impure, neverWhy: putElsewhere,
		}, {
			folder: "internal/worker/parking",
			ours:   []string{"event"},
			why:    "any Workflow can be parked, so parking knows none of them and no step of theirs",
			never:  impure, neverWhy: putElsewhere,
		}, {
			folder: "internal/worker/failure",
			why:    "it makes errors, of whatever Activity",
		}, {
			folder: "internal/worker/waiting",
			ours:   []string{"event", "internal/worker/failure"},
			why:    "an Activity knows its outside system and the event, not who calls it",
		}, {
			folder: "internal/worker/forward",
			ours:   []string{"event", "internal/worker/failure"},
			why:    "an Activity knows its outside system and the event, not who calls it",
		}, {
			folder: "internal/worker/alert",
			ours:   []string{"event", "internal/worker/failure"},
			why:    "an Activity knows its outside system and the event, not who calls it",
		}, {
			folder: "internal/payload",
			why:    "how payloads leave the process does not depend on what is in them",
		}, {
			folder: "internal/store",
			why:    "it opens a database for whoever brings tables, and knows none of them",
		}, {
			folder: "internal/send",
			ours: []string{
				"event", "internal/send/attempt", "internal/send/delivery", "internal/send/egress", "internal/send/endpoint", "internal/send/sign",
				"internal/store", "internal/worker/failure",
			},
			why: "the sending side stands beside the edge: what both need is in event and in the store",
		}, {
			folder: "send",
			ours:   []string{"internal/send/endpoint"},
			why:    "teams import it into programs of their own: it publishes, and brings nothing of what delivers",
		}, {
			folder: "internal/send/delivery",
			ours:   []string{"event"},
			why:    "Workflows know the wire format alone, and have the rest from Activities, so that a replay cannot differ",
			never:  impure, neverWhy: putElsewhere,
		}, {
			folder: "internal/reconcile",
			ours:   []string{"event", "ingest/provider", "internal/reconcile/sweep", "internal/send/egress", "internal/worker/failure"},
			why:    "it asks providers; how what is missing becomes a run is for whoever runs it to say",
		}, {
			folder: "internal/reconcile/sweep",
			ours:   []string{"event"},
			why:    "Workflows know the wire format alone, and have the rest from Activities, so that a replay cannot differ",
			never:  impure, neverWhy: putElsewhere,
		}, {
			folder: "internal/telemetry",
			why:    "what is measured is said where it happens, in terms of OpenTelemetry; this only carries it out of the program",
		}, {
			folder: "internal/eventrun",
			ours:   []string{"event", "internal/payload", "internal/worker/parking"},
			why:    "it reads what Temporal says about a run, for whichever command asks",
		}, {
			folder: "internal/eventrun/runstest",
			ours:   []string{"event", "internal/eventrun", "internal/worker/parking"},
			why:    "it stands in for Temporal where commands are tested",
		}, {
			folder: "internal/command",
			ours:   []string{"config", "event", "ingest", "ingest/journal", "ingest/provider", "internal/payload", "internal/reconcile/sweep", "internal/send/egress", "internal/store", "internal/worker", "internal/worker/alert", "internal/worker/forward", "internal/worker/waiting"},
			why:    "every command stands on it, so it knows none of them",
		}, {
			folder: "internal/serve",
			ours:   product,
			why:    putApart,
		}, {
			folder: "internal/operate",
			ours:   product,
			why:    putApart,
		}, {
			folder: "internal/tools",
			ours:   product,
			why:    putApart,
		}, {
			folder: "internal/dev",
			ours:   append(slices.Clone(product), "internal/serve"),
			why:    "dev runs the service on a developer's machine, and knows no other command",
		}, {
			folder: "",
			ours:   append(slices.Clone(product), "internal/dev", "internal/operate", "internal/serve", "internal/tools"),
			why:    "the examples import it, as a team does",
		}, {
			folder: "hookyardtest",
			ours:   append(slices.Clone(product), ""),
			why:    "a team's tests import it, and it knows nothing of the examples",
		}, {
			folder: "activities",
			ours:   []string{"", "config", "event"},
			why:    "it is what a team would write, with what a team can import",
		}, {
			folder: "workflows",
			ours:   []string{"activities", "event"},
			why:    "it is what a team would write; what a Workflow needs comes in its Event or from an Activity, so that a replay cannot differ",
			never:  impure, neverWhy: putElsewhere,
		}, {
			folder: "cmd",
			ours:   []string{"", "activities", "workflows"},
			why:    "it is the main that a team would write",
		}, {
			folder: "tests",
			ours:   testing,
			why:    "tests run the program as a user does",
		},
	}
}

// goPackage is what `go list -json` says about a package, in the fields that
// the rules need.
type goPackage struct {
	ImportPath string
	Imports    []string // of the files that are not tests
}

// goList returns what `go list` says in the root of the repository.
func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...)
	cmd.Dir = ".."
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)

	var found []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(stdout)); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		found = append(found, p)
	}
}

// folderOf returns the folder of a package of ours, "" for the root.
func folderOf(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// within reports whether path is the folder or below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// ruleFor returns the rule of the folder that is nearest above the package.
func ruleFor(folder string) (rule, bool) {
	var (
		nearest rule
		found   bool
	)
	for _, r := range rules() {
		if (folder == r.folder || r.folder != "" && within(folder, r.folder)) && len(r.folder) >= len(nearest.folder) {
			nearest, found = r, true
		}
	}
	return nearest, found
}

// mistakes returns a sentence for each import that a rule forbids.
func mistakes(packages []goPackage) []string {
	var found []string
	for _, p := range packages {
		folder := folderOf(p.ImportPath)
		r, ok := ruleFor(folder)
		if !ok {
			found = append(found, fmt.Sprintf("%s: no rule says what it may import; decide it, and write it into rules in tests/imports_test.go", folder))
			continue
		}
		for _, imported := range p.Imports {
			if mistake := r.mistake(imported); mistake != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", folder, strings.TrimPrefix(imported, module+"/"), mistake))
			}
		}
	}
	return found
}

// mistake returns the rule that the import breaks and its reason, or "".
func (r rule) mistake(imported string) string {
	for _, path := range r.never {
		if within(imported, path) {
			return fmt.Sprintf("%s and what is below it never import %s, because %s", r.folder, path, r.neverWhy)
		}
	}
	ours := folderOf(imported)
	switch {
	case !within(imported, module) || slices.Contains(r.ours, ours):
		return ""
	case within(ours, "cmd"), within(ours, "tests"):
		return "nobody imports cmd or tests, because they stand above everything: move what is shared to the package that it is about"
	case len(r.ours) == 0:
		return fmt.Sprintf("%s imports nothing of ours, because %s", r.folder, r.why)
	default:
		return fmt.Sprintf("of ours, %s imports only %s, because %s", r.folder, strings.Join(r.ours, ", "), r.why)
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	packages := goList(t, "./...")
	require.NotEmpty(t, packages)
	for _, mistake := range mistakes(packages) {
		t.Error(mistake)
	}
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ from, imported, says string }{
		{"event", "config", "event imports nothing of ours, because it is a wire format"},
		{"config", "ingest", "of ours, config imports only event, because what an operator declares"},
		{"ingest/provider/discord", "event", "ingest/provider imports nothing of ours"},
		{"ingest", "internal/worker", "the edge starts Workflows by name"},
		{"activities", "internal/worker/forward", "with what a team can import"},
		{"workflows", "internal/worker", "it is what a team would write"},
		{"internal/operate", "internal/serve", "serve, operate, dev and tools are for different people"},
		{"internal/serve", "workflows", "serve, operate, dev and tools are for different people"},
		{"internal/dev", "activities", "dev runs the service"},
		{"", "activities", "the examples import it, as a team does"},
		{"internal/worker", "config", "so that a replay cannot differ"},
		{"internal/worker/parking", "internal/worker", "any Workflow can be parked"},
		{"ingest", "tests/harness", "nobody imports cmd or tests"},
		{"tests", "cmd/hookyard", "nobody imports cmd or tests"},
		{"metrics", "event", "metrics: no rule says what it may import"},
	} {
		got := mistakes([]goPackage{{ImportPath: path.Join(module, tt.from), Imports: []string{module + "/" + tt.imported}}})
		require.Len(t, got, 1, "%s imports %s", tt.from, tt.imported)
		require.Contains(t, got[0], tt.says)
	}
	for from, pure := range map[string]bool{"workflows": true, "workflows/billing": true, "internal/worker": true, "internal/worker/parking": true, "activities": false, "cmd/hookyard": false} {
		for _, impure := range []string{"net/http", "net/http/httptest", "os", "os/exec", "database/sql", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog"} {
			got := mistakes([]goPackage{{ImportPath: path.Join(module, from), Imports: []string{impure}}})
			require.Equal(t, pure, len(got) == 1, "%s imports %s", from, impure)
		}
		require.Empty(t, mistakes([]goPackage{{ImportPath: path.Join(module, from), Imports: []string{"go.temporal.io/sdk/workflow", "logistics"}}}))
	}
}

// TestMinimalProgram sees that a team's program gets nothing of the examples
// and of the tests along with Hookyard. It gets the two SQL drivers: they are of
// internal/store, which every edge may need (docs/design.md says what they cost).
func TestMinimalProgram(t *testing.T) {
	t.Parallel()
	var paths []string
	for _, p := range goList(t, "-deps", ".") {
		paths = append(paths, p.ImportPath)
	}
	require.Contains(t, paths, module)
	for _, unwanted := range []string{
		module + "/activities", module + "/workflows", module + "/tests", "github.com/XSAM/otelsql",
		"github.com/wneessen/go-mail", "github.com/Shopify/toxiproxy", "github.com/chromedp",
		"go.temporal.io/sdk/testsuite", // testify comes with the SDK itself
	} {
		for _, p := range paths {
			require.False(t, within(p, unwanted), "a program that imports %s gets %s along", module, p)
		}
	}
}

// dependents returns a sentence for each package that imports the one at path
// or one below it.
func dependents(packages []goPackage, path string) []string {
	var found []string
	for _, p := range packages {
		for _, imported := range p.Imports {
			if within(imported, path) {
				found = append(found, fmt.Sprintf("%s imports %s", p.ImportPath, imported))
			}
		}
	}
	return found
}

func TestServerStaysInDevserver(t *testing.T) {
	t.Parallel()
	const server = "go.temporal.io/server"
	const rule = "only devserver/, a module of its own, may depend on the server: it brings some 1800 packages, " +
		"which nobody who builds Hookyard or imports its packages should have to download; tests run it as a program"
	require.Empty(t, dependents(goList(t, "-deps", "-test", "./..."), server), rule)

	require.Empty(t, dependents(goList(t, "-deps", "-test", "./..."), "github.com/versity/versitygw"),
		"only tests/s3server/, a module of its own, may depend on the S3 server; tests run it as a program")

	made := []goPackage{
		{ImportPath: "direct", Imports: []string{"go.temporal.io/server/temporal"}},
		{ImportPath: "root", Imports: []string{server}},
		{ImportPath: "other", Imports: []string{"go.temporal.io/sdk/client", "go.temporal.io/serverless"}},
	}
	require.Len(t, dependents(made, server), 2)
}
