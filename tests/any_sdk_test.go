package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/hookyard/hookyard/tests/harness"
)

// TestTypeScript has a worker in TypeScript run what a signed event of Shopify
// starts. The worker is the one that docs/any-sdk.md shows.
func TestTypeScript(t *testing.T) {
	t.Parallel()
	main := buildTypeScript(t)
	stock := startBroken(t)
	s := startSystem(t, startTemporal(t, ""), `
queues: {orders: {external: true}}
sources:
  shopify:
    provider: shopify
    secrets: [env:SECRET]
    routes:
      - {type: orders/create, workflow: orderCreated, task_queue: orders}
      - {type: orders/cancelled, workflow: orderCancelled, task_queue: orders}
`)
	worker := harness.Run(t, []string{"TEMPORAL_ADDRESS=" + s.temporal.Address, "STOCK_URL=" + stock.URL, "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, nodeProgram(t, "node"), main)
	const order = `{"id":450789469,"email":"ada@example.com","line_items":[{"sku":"lamp","quantity":2},{"sku":"desk","quantity":1}]}`
	s.accept("shopify", "shopify", "order-1", "orders/create", order)
	s.accept("shopify", "shopify", "order-2", "orders/cancelled", order)

	harness.Eventually(t, "the step has failed for good, and the run parks by hand", func() bool {
		require.False(t, worker.Gone(), "the worker ended: %s", worker.Output)
		return strings.Contains(s.run("parked"), "reserveStock")
	})
	table := s.run("parked", "--source", "shopify", "--reason", "exhausted")
	require.Contains(t, table, "shopify:order-1")
	require.Contains(t, table, "the stock service answers 410")
	stock.mend()
	s.run("resume", "shopify:order-1", "--by", "ada", "--why", "the stock service is back")
	s.completed("shopify:order-1")
	require.Contains(t, s.run("parked"), "No run is parked.")
	var result struct{ Order, Reserved int }
	require.NoError(t, s.client.GetWorkflow(t.Context(), "shopify:order-1", "").Get(t.Context(), &result))
	require.Equal(t, 450789469, result.Order, "the payload came as it was signed")
	require.Equal(t, 3, result.Reserved)
	require.Equal(t, map[string]int{"shopify:order-1:reserveStock": 1}, stock.taken(), "once")

	harness.Eventually(t, "what does not park closes as failed", func() bool {
		return s.statusOf("shopify:order-2") == enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	})
	require.ErrorContains(t, s.client.GetWorkflow(t.Context(), "shopify:order-2", "").Get(t.Context(), nil), "order 450789469 of shopify has no refund")
	d := signed(t, "shopify", "order-2", "orders/cancelled", order)
	require.Equal(t, "duplicate", s.post(t.Context(), "shopify", d.Header, d.Body).status)
}

// buildTypeScript installs and compiles tests/typescript and returns the worker's
// main file.
func buildTypeScript(t *testing.T) string {
	npm, folder := nodeProgram(t, "npm"), t.TempDir()
	require.NoError(t, os.CopyFS(folder, os.DirFS("typescript")))
	for _, args := range [][]string{
		{"ci", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"}, {"exec", "--", "tsc"},
	} {
		cmd := exec.CommandContext(t.Context(), npm, args...)
		cmd.Dir = folder
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "npm %v: %s", args, said)
	}
	return filepath.Join(folder, "lib", "worker.js")
}

// nodeProgram skips the test where there is no Node.js, except in CI.
func nodeProgram(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "%s is not in PATH; .ci/run installs it", name)
		t.Skipf("%s is not in PATH", name)
	}
	return path
}

// TestAnySDKShowsTheWorker holds the code in docs/any-sdk.md to that of the worker
// that TestTypeScript runs.
func TestAnySDKShowsTheWorker(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/any-sdk.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```ts\n// (\\S+)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, strings.Count(string(page), "```ts\n"), "each block starts with the name of its file")
	require.GreaterOrEqual(t, len(blocks), 3)
	for _, block := range blocks {
		file, err := os.ReadFile(filepath.Join("typescript", block[1]))
		require.NoError(t, err)
		require.Contains(t, string(file), block[2], "in %s", block[1])
	}
}
