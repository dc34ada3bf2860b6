package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
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

	everything := []string{
		"activities", "config", "event",
		"ingest", "ingest/provider", "telemetry", "workflows", "workflows/parking",
	}
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
			folder: "ingest/provider",
			why:    "how a provider signs is a fact about the provider, whatever this program makes of its events",
		}, {
			folder: "activities",
			ours:   []string{"event"},
			why:    "a step knows its outside system and the event, not who calls it; cmd fills in its clients from the config",
		}, {
			folder: "workflows",
			ours:   []string{"activities", "event", "workflows/parking"},
			why:    "what a Workflow needs of the config or the edge comes in its Event or from an Activity, so that a replay cannot differ",
			never:  impure, neverWhy: putElsewhere,
		}, {
			folder: "workflows/parking",
			ours:   []string{"event"},
			why:    "any Workflow can be parked, so parking knows none of them and no step of theirs",
			never:  impure, neverWhy: putElsewhere,
		}, {
			folder: "telemetry",
			why:    "what is measured is said where it happens, in terms of OpenTelemetry; this only carries it out of the program",
		}, {
			folder: "cmd",
			ours:   everything,
			why:    "cmd puts the program together and stands above everything",
		}, {
			folder: "tests",
			ours:   append([]string{"tests/bench/measure", "tests/chaos/trial", "tests/harness"}, everything...),
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

// within reports whether path is the folder or below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// ruleFor returns the rule of the folder that is nearest above the package.
func ruleFor(folder string) (rule, bool) {
	var nearest rule
	for _, r := range rules() {
		if within(folder, r.folder) && len(r.folder) > len(nearest.folder) {
			nearest = r
		}
	}
	return nearest, nearest.folder != ""
}

// mistakes returns a sentence for each import that a rule forbids.
func mistakes(packages []goPackage) []string {
	var found []string
	for _, p := range packages {
		folder := strings.TrimPrefix(p.ImportPath, module+"/")
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
	ours, ok := strings.CutPrefix(imported, module+"/")
	switch {
	case !ok || slices.Contains(r.ours, ours):
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
	const all = "activities config event ingest ingest/provider workflows workflows/parking"
	impure := []string{"net/http", "net/http/httptest", "os", "os/exec", "database/sql", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog"}
	for _, tt := range []struct {
		from   string
		ours   string   // what it may import, of everything of ours
		never  []string // what it must not import, of others
		reason string   // a part of the message about ours
	}{
		{from: "event", reason: "event imports nothing of ours, because it is a wire format"},
		{from: "config", ours: "event", reason: "of ours, config imports only event, because what an operator declares"},
		{from: "ingest/provider", reason: "ingest/provider imports nothing of ours"},
		{from: "ingest/provider/discord", reason: "ingest/provider imports nothing of ours"},
		{from: "ingest", ours: "config event ingest/provider", reason: "the edge starts Workflows by name"},
		{from: "activities", ours: "event", reason: "cmd fills in its clients"},
		{from: "workflows/parking", ours: "event", never: impure, reason: "any Workflow can be parked"},
		{from: "workflows", ours: "activities event workflows/parking", never: impure, reason: "a replay cannot differ"},
		{from: "workflows/billing", ours: "activities event workflows/parking", never: impure, reason: "a replay cannot differ"},
		{from: "cmd/hookyard", ours: all},
		{from: "tests/browser", ours: all},
	} {
		t.Run(tt.from, func(t *testing.T) {
			t.Parallel()
			check := func(imported string) []string {
				return mistakes([]goPackage{{ImportPath: module + "/" + tt.from, Imports: []string{imported}}})
			}
			for folder := range strings.FieldsSeq(all) {
				got := check(module + "/" + folder)
				if slices.Contains(strings.Fields(tt.ours), folder) {
					require.Empty(t, got)
					continue
				}
				require.Len(t, got, 1, "%s imports %s", tt.from, folder)
				require.Contains(t, got[0], tt.from+" imports "+folder+": ")
				require.Contains(t, got[0], tt.reason)
			}
			for _, top := range []string{"cmd/hookyard", "tests", "tests/browser"} {
				require.Contains(t, strings.Join(check(module+"/"+top), ""), "nobody imports cmd or tests")
			}
			for _, path := range impure {
				got := check(path)
				if !slices.Contains(tt.never, path) {
					require.Empty(t, got)
					continue
				}
				require.Len(t, got, 1, path)
				require.Contains(t, got[0], tt.from+" imports "+path+": ")
				require.Contains(t, got[0], "put that work in an Activity")
			}
			require.Empty(t, check("go.temporal.io/sdk/workflow"))
			require.Empty(t, check("logistics"), "log is not every name that starts like it")
		})
	}

	t.Run("a package without a rule", func(t *testing.T) {
		t.Parallel()
		got := mistakes([]goPackage{{ImportPath: module + "/metrics"}, {ImportPath: module + "/eventual"}, {ImportPath: module}})
		require.Len(t, got, 3)
		require.Contains(t, got[0], "metrics: no rule says what it may import")
	})
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

	made := []goPackage{
		{ImportPath: "direct", Imports: []string{"go.temporal.io/server/temporal"}},
		{ImportPath: "root", Imports: []string{server}},
		{ImportPath: "other", Imports: []string{"go.temporal.io/sdk/client", "go.temporal.io/serverless"}},
	}
	require.Len(t, dependents(made, server), 2)
}
