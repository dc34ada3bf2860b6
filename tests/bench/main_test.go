package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--only", "disk"}, `--only "disk": want edge, cost, end-to-end or memory`},
		{[]string{"--events", "0"}, "--events 0: want 1 to 1000000"},
		{[]string{"--rounds", "101"}, "--rounds 101: want 1 to 100"},
		{[]string{"--concurrency", "1,0"}, "--concurrency 0: want 1 to 1024"},
		{[]string{"--soak", "-1"}, "--soak -1: want 0 to 1000000"},
		{[]string{"--metrics", "http://127.0.0.1:9090/metrics"}, "--metrics needs --temporal"},
		{[]string{"journal"}, "--database is missing"},
		{[]string{"journal", "--database", "postgres://a@127.0.0.1/b", "--events", "0"}, "--events 0: want 1 to 1000000"},
		{[]string{"journal", "--database", "postgres://a@127.0.0.1/b", "--rounds", "0"}, "--rounds 0: want 1 to 100"},
		{[]string{"journal", "--database", "postgres://a@127.0.0.1/b", "--concurrency", "0"}, "--concurrency 0: want 1 to 1024"},
		{[]string{"stripe"}, `unknown command "stripe"`},
	} {
		var out bytes.Buffer
		require.ErrorContains(t, run(t.Context(), tt.args, &out, &out), tt.want)
		require.Empty(t, out.String(), "nothing is started")
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"--help"}, &out, &out))
	require.Contains(t, out.String(), "--temporal string")
	require.NotContains(t, out.String(), "\n  peer", "the benchmark starts it by itself")
}
