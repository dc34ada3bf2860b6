package journal_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/payload"
	"github.com/hookyard/hookyard/tests/harness"
)

func newKey(t *testing.T) payload.Key {
	t.Helper()
	k, err := payload.ParseKey(payload.NewKey())
	require.NoError(t, err)
	return k
}

// TestCipher stores an event in clear and one encrypted, while Temporal is away,
// and then rotates the key. Without the key the encrypted one waits; it is not
// damaged.
func TestCipher(t *testing.T) {
	t.Parallel()
	const canary = "4242424242424242"
	at, starts := file(t), newTemporal()
	starts.set(errors.New("temporal is away"))
	j, stop := run(t, at, starts, nil)
	require.NoError(t, put(t, j, "acme", "clear", "{}"))
	stop()

	old, rotated := newKey(t), newKey(t)
	at.Cipher = payload.NewCodec([]payload.Key{old})
	j, stop = run(t, at, starts, nil)
	require.NoError(t, put(t, j, "acme", "private", canary))
	for _, suffix := range []string{"", "-wal"} {
		bytes, err := os.ReadFile(at.SQLite + suffix)
		require.NoError(t, err)
		require.NotContains(t, string(bytes), canary, "in the file%s", suffix)
	}
	stop()

	starts.set(nil)
	at.Cipher = payload.NewCodec([]payload.Key{rotated})
	_, stop = run(t, at, starts, nil)
	harness.Eventually(t, "what is in clear is started", func() bool { return len(starts.ids()) == 1 })
	stop()
	tables, err := journal.OpenTables(t.Context(), at)
	require.NoError(t, err)
	records, damaged, err := tables.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, damaged)
	require.Positive(t, records, "the other one waits")
	found, _, err := tables.Find(t.Context(), "acme:private")
	require.NoError(t, err)
	require.Len(t, found, 1)
	_, err = found[0].Body()
	require.ErrorIs(t, err, payload.ErrUnknownKey)
	require.NoError(t, tables.Close())

	at.Cipher = payload.NewCodec([]payload.Key{rotated, old})
	run(t, at, starts, nil)
	harness.Eventually(t, "it is started", func() bool { return strings.Join(starts.ids(), " ") == "clear private" })
	require.Equal(t, canary, starts.bodies["private"])
}
