package tests

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// TestSetup creates a namespace, twice, and then asks more of it.
func TestSetup(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, "")
	vars := []string{"HOME=" + t.TempDir(), "TEMPORAL_ADDRESS=" + server.Address, "TEMPORAL_NAMESPACE=hooks", "SECRET=" + secret}
	run := func(args ...string) (string, error) {
		p := harness.Run(t, vars, programs.Hookyard, args...)
		err := p.Wait()
		return p.Output.String(), err
	}
	config := t.TempDir() + "/hookyard.yaml"
	require.NoError(t, os.WriteFile(config, []byte("listen: "+harness.TestAddress(t)+stripeSource), 0o600))

	said, err := run("serve", "--config", config)
	require.Error(t, err)
	require.Contains(t, said, "there is no namespace \"hooks\"; run `hookyard setup`")

	said, err = run("setup", "--retention", "24h")
	require.NoError(t, err, said)
	require.Contains(t, said, `namespace "hooks": created, keeps closed runs for 1 days`)
	require.Contains(t, said, "created HookEventType, HookMessage, HookParkReason, HookSource, HookState")

	said, err = run("serve", "--config", config)
	require.Error(t, err, "Stripe may send again for 30 days")
	require.Contains(t, said, `namespace "hooks" keeps closed runs for 24h0m0s, but stripe (source "stripe") may send an event again for 720h0m0s`)
	require.Contains(t, said, "hookyard setup --retention 720h0m0s")

	for range 2 {
		said, err = run("setup")
		require.NoError(t, err, said)
	}
	require.Contains(t, said, `namespace "hooks": there, keeps closed runs for 30 days`)
	require.Contains(t, said, "search attributes: there")

	_, err = run("setup", "--retention", "960h")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, []byte("listen: "+harness.TestAddress(t)+"\npark_for: 60d\npayload_store: {folder: bodies, keep: 95d}"+stripeSource), 0o600))
	said, err = run("serve", "--config", config)
	require.Error(t, err, "Stripe's 30 days would do, and the namespace keeps runs for 40")
	require.Contains(t, said, "payload_store.keep: the bucket deletes an object after 2280h0m0s, but its run may be parked for 1440h0m0s")
	require.Contains(t, said, "keep objects for 2400h0m0s or longer")

	vars[1] = "TEMPORAL_ADDRESS=" + harness.TestAddress(t)
	said, err = run("setup")
	require.Error(t, err)
	require.Contains(t, said, "no Temporal answers at", said)
}
