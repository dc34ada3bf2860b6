//go:build !race

// Package chaos runs `hookyard chaos` as a user does: a short run each time,
// and the seeds that have found something before.
package chaos

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// A seed that was once answered with a broken law is added here, with what it
// found, and stays.
var (
	onSQLite = []run{
		{7, 300, "a short run of everything"},
		{101, 500, "redeliveries without bound kept Temporal from getting well, and steps parked long after their fault"},
	}
	onPostgres = []run{
		{8, 300, "a short run of everything; lists that are behind showed resumed runs as parked"},
	}
)

// run is one run of the command.
type run struct {
	seed   uint64
	events int
	why    string
}

// TestSQLite is not parallel to TestPostgres: each has a machine full of
// processes.
func TestSQLite(t *testing.T) { //nolint:paralleltest // as above
	play(t, onSQLite)
}

func TestPostgres(t *testing.T) { //nolint:paralleltest // as above
	url := os.Getenv("HOOKYARD_TEST_POSTGRES")
	if url == "" {
		require.Empty(t, os.Getenv("CI"), "HOOKYARD_TEST_POSTGRES is not set; .ci/run sets it")
		t.Skip("HOOKYARD_TEST_POSTGRES is not set; .ci/run sets it")
	}
	play(t, onPostgres, "--temporal-postgres", url)
}

func play(t *testing.T, runs []run, args ...string) {
	for _, r := range runs {
		t.Run(strconv.FormatUint(r.seed, 10), func(t *testing.T) {
			t.Log(r.why)
			found := r.chaos(t, args...)
			require.Zero(t, found.Missing)
			require.Equal(t, r.events, found.Acknowledged)
			require.Equal(t, between{1, 1}, found.Workflows)
			require.Equal(t, between{1, 1}, found.Effects)
			require.Equal(t, r.events, found.Rows+found.Forwards+found.Builds)
			kills := 0
			for _, n := range found.Kills {
				kills += n
			}
			require.GreaterOrEqual(t, kills, 3)
			for _, f := range found.Faults {
				require.Empty(t, f.Err, "%s %s could not be had", f.Kind, f.Target)
			}
		})
	}
}

// report is what the command prints, in the fields that the tests look at.
type report struct {
	Acknowledged int            `json:"acknowledged"`
	Missing      int            `json:"acknowledged_but_missing"`
	Workflows    between        `json:"workflows_per_event"`
	Effects      between        `json:"effects_per_event"`
	Rows         int            `json:"ledger_rows"`
	Forwards     int            `json:"forwards"`
	Builds       int            `json:"builds"`
	Kills        map[string]int `json:"kills"`
	Faults       []struct{ Kind, Target, Err string }
}

type between struct{ Least, Most int }

// chaos runs the command, which has to find nothing.
func (r run) chaos(t *testing.T, args ...string) report {
	cmd := exec.CommandContext(t.Context(), hookyard, append([]string{
		"chaos", "--json", "--events", strconv.Itoa(r.events), "--seed", strconv.FormatUint(r.seed, 10),
	}, args...)...)
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	require.NoError(t, cmd.Run(), "%s%s", &progress, &out)
	var found report
	require.NoError(t, json.Unmarshal(out.Bytes(), &found), "%s", &out)
	return found
}
