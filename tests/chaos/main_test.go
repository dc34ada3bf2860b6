package main

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// hookyard is the program under test, built once.
var hookyard string

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, 1, func(_ context.Context, built harness.Programs) error {
		hookyard = built.Hookyard
		return nil
	}))
}

// plan returns what the command prints with --plan.
func plan(t *testing.T, args ...string) string {
	t.Helper()
	var out, progress bytes.Buffer
	require.NoError(t, run(t.Context(), append([]string{"--plan"}, args...), &out, &progress), &progress)
	return out.String()
}

func TestPlan(t *testing.T) {
	t.Parallel()
	first := plan(t, "--seed", "7")
	for _, fault := range []string{
		`(?m)^ +[0-9.]+s  kill -9 temporal for `, `  kill -9 edge-[12] for `, `  kill -9 worker-[12] for `, `  disk full ledger for `,
	} {
		require.Regexp(t, fault, first)
	}
	require.NotContains(t, first, "database", "SQLite has no connections")
	require.Equal(t, first, plan(t, "--seed", "7"), "the same seed gives the same plan")
	require.NotEqual(t, first, plan(t, "--seed", "8"))
	require.Regexp(t, `(?m)^[0-9]{4}\.`, plan(t, "--seed", "7", "--events", "100000"), "more events take longer")

	onPostgres := plan(t, "--seed", "7", "--events", "10000", "--temporal-postgres", "postgres://u:hidden@h/d")
	require.Contains(t, onPostgres, "->database", "the connections of PostgreSQL are cut, too; the plan connects to nothing")
	require.NotContains(t, onPostgres, "hidden")
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--events", "0"}, "--events 0: want 1 to 1000000"},
		{[]string{"--duration", "1s"}, "--duration 1s: want 10s to 24h0m0s"},
		{[]string{"--seed", "seven"}, `invalid argument "seven" for "--seed"`},
		{[]string{"stripe"}, `unknown command "stripe"`},
	} {
		var out bytes.Buffer
		err := run(t.Context(), tt.args, &out, &out)
		require.ErrorContains(t, err, tt.want)
		require.Empty(t, out.String(), "nothing is started")
	}
}
