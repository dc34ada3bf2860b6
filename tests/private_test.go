package tests

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/payload"
	"github.com/hookyard/hookyard/internal/worker/parking"
	"github.com/hookyard/hookyard/tests/harness"
)

// The keys that env:ENCRYPTION_KEY and env:NEXT_KEY name.
const (
	encryptionKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	nextKey       = "bmV4dG5leHRuZXh0bmV4dG5leHRuZXh0bmV4dG5leHQ="
)

const encryption = "encryption: {keys: [env:ENCRYPTION_KEY]}\n"

// privateClient returns a client that has these keys.
func (s *system) privateClient(keys ...string) client.Client {
	parsed := make([]payload.Key, len(keys))
	for i, text := range keys {
		var err error
		parsed[i], err = payload.ParseKey(text)
		require.NoError(s.t, err)
	}
	options := client.Options{HostPort: s.temporal.Address}
	require.NoError(s.t, payload.Wire(&options, payload.NewCodec(parsed), nil))
	return harness.Dial(s.t, options)
}

// TestKeyRotation brings a new key while a run is parked, and takes the old one
// away too early: the run then waits, and goes on from its step once the key is
// back.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := startSystem(t, startTemporal(t, ""), mailedSource+encryption)
	s.accept("stripe", "stripe", "evt_1", "", invoicePaid)
	s.parked("stripe:evt_1")
	old, err := payload.ParseKey(encryptionKey)
	require.NoError(t, err)

	require.NoError(t, s.Stop(syscall.SIGTERM))
	s.rewrite(func(config string) string {
		return strings.Replace(config, "[env:ENCRYPTION_KEY]", "[env:NEXT_KEY]", 1)
	})
	s.serve()
	listed := s.run("parked", "--config", s.config(), "-o", "wide")
	require.Contains(t, listed, "stripe:evt_1")
	require.Contains(t, s.run("parked", "--config", s.config(), "-o", "json"), old.ID(), "it names the key that is missing")
	s.signal("stripe:evt_1", event.SignalResume, parking.Resume{By: "ada"})
	s.logged(old.ID())
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, s.statusOf("stripe:evt_1"))

	s.client = s.privateClient(nextKey, encryptionKey)
	s.rewrite(func(config string) string {
		return strings.Replace(config, "[env:NEXT_KEY]", "[env:NEXT_KEY, env:ENCRYPTION_KEY]", 1)
	})
	s.hangup()
	harness.Eventually(t, "the step was tried again, and parks again", func() bool {
		return s.scheduled("stripe:evt_1")["SendReceipt"] == 2 && len(s.memo("stripe:evt_1").Steps) > 0
	})
	s.signal("stripe:evt_1", event.SignalResolve, parking.Resolve{By: "ada"})
	s.completed("stripe:evt_1")
	require.Empty(t, cmp.Diff([]string{"evt_1"}, s.payments()))
	require.Equal(t, 1, s.scheduled("stripe:evt_1")["RecordPayment"], "no step ran twice")
	require.Equal(t, "duplicate", s.deliver("stripe", "evt_1", "", invoicePaid).status)
}
