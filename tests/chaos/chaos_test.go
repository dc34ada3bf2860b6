package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// A seed that once found a broken law is added here, with what it found, and
// stays.
var (
	onSQLite = []seeded{
		{7, 300, "a short run of everything"},
		{101, 500, "redeliveries without bound kept Temporal from getting well, and steps parked long after their fault"},
	}
	onPostgres = []seeded{
		{8, 300, "a short run of everything; lists that are behind showed resumed runs as parked"},
	}
)

// seeded is one run of the command.
type seeded struct {
	seed   uint64
	events int
	why    string
}

// TestSQLite is not parallel to TestPostgres: each fills the machine with processes.
func TestSQLite(t *testing.T) { //nolint:paralleltest // as above
	play(t, onSQLite)
}

func TestPostgres(t *testing.T) { //nolint:paralleltest // as above
	play(t, onPostgres, "--temporal-postgres", harness.PostgresURL(t))
}

func play(t *testing.T, runs []seeded, args ...string) {
	for _, r := range runs {
		t.Run(strconv.FormatUint(r.seed, 10), func(t *testing.T) {
			t.Log(r.why)
			found := r.chaos(t, args...)
			require.Zero(t, found.Missing)
			require.Equal(t, r.events, found.Acknowledged)
			require.Empty(t, cmp.Diff(between{1, 1}, found.Workflows))
			require.Empty(t, cmp.Diff(between{1, 1}, found.Effects))
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

// chaos runs the command, which must find nothing.
func (r seeded) chaos(t *testing.T, args ...string) report {
	var out, progress bytes.Buffer
	err := run(t.Context(), append([]string{
		"--json", "--program", hookyard, "--events", strconv.Itoa(r.events), "--seed", strconv.FormatUint(r.seed, 10),
	}, args...), &out, &progress)
	require.NoError(t, err, "%s%s", &progress, &out)
	var found report
	require.NoError(t, json.Unmarshal(out.Bytes(), &found), "%s", &out)
	return found
}
