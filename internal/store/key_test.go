package store_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/store"
)

func key(t *testing.T, fill byte) *store.Key {
	t.Helper()
	k, err := store.ParseKey(hex.EncodeToString(bytes.Repeat([]byte{fill}, 32)))
	require.NoError(t, err)
	return k
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb}, 32)
	for _, good := range []string{base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw), hex.EncodeToString(raw), " " + hex.EncodeToString(raw) + "\n"} {
		k, err := store.ParseKey(good)
		require.NoError(t, err)
		got, err := key(t, 0xfb).Open(k.Seal([]byte("s"), "p"), "p")
		require.NoError(t, err, "all of them are one key")
		require.Equal(t, "s", string(got))
	}
	for _, bad := range []string{"", "hunter2", hex.EncodeToString(raw[:31]), base64.StdEncoding.EncodeToString(raw[:16])} {
		_, err := store.ParseKey(bad)
		require.ErrorContains(t, err, "hookyard keygen")
		require.NotContains(t, err.Error(), "hunter")
	}
}

func TestSealedValues(t *testing.T) {
	t.Parallel()
	k := key(t, 1)
	sealed := k.Seal([]byte("whsec_1"), "endpoints:a")
	require.NotContains(t, string(sealed), "whsec")
	require.NotEqual(t, sealed, k.Seal([]byte("whsec_1"), "endpoints:a"), "equal secrets do not show")
	got, err := k.Open(sealed, "endpoints:a")
	require.NoError(t, err)
	require.Equal(t, "whsec_1", string(got))

	_, err = k.Open(sealed, "endpoints:b")
	require.ErrorIs(t, err, store.ErrNotOpened)
	_, err = key(t, 2).Open(sealed, "endpoints:a")
	require.ErrorIs(t, err, store.ErrNotOpened)
	require.ErrorContains(t, err, "sealed with another key")
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := k.Open(changed, "endpoints:a")
		require.ErrorIs(t, err, store.ErrNotOpened)
		_, err = k.Open(sealed[:i], "endpoints:a")
		require.ErrorIs(t, err, store.ErrNotOpened)
	}
}
