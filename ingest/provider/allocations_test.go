//go:build !race

package provider_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/provider"
)

// TestAllocations keeps what a delivery under an HMAC scheme costs: the time
// depends on the machine, the allocations do not. The race detector adds some.
func TestAllocations(t *testing.T) { //nolint:paralleltest // the allocations of other tests would count
	const most = 12
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		if !strings.HasPrefix(p.Spec().Signature.Algorithm, "hmac-") || p.Batches() {
			continue // each event of a batch is one more allocation
		}
		r, err := p.Bind(binding(p, keys(t, p, "one")))
		require.NoError(t, err)
		d := largeDelivery(t, r)
		got := testing.AllocsPerRun(100, func() { verifyIdentify(t, r, d) })
		attempts := 4 * len(p.Spec().Event.AttemptFields) // cutting one out of the body
		require.LessOrEqual(t, got, float64(most+attempts), "%s", name)
	}
}
