package harness

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPostgresURL(t *testing.T) {
	t.Parallel()
	at, err := parsePostgres("postgres://me:pass@127.0.0.1/postgres?sslmode=disable")
	require.NoError(t, err)
	require.Equal(t, place{"127.0.0.1:5432", "me", "pass"}, at)
	for _, raw := range []string{"", "mysql://me:hidden@h/x", "postgres://h/x", "postgres://me:hidden@/x", "postgres://me:hid%zden@h/x"} {
		_, err := parsePostgres(raw)
		require.ErrorContains(t, err, "want postgres://user:password@host:5432/postgres")
		require.NotContains(t, err.Error(), "hid")
	}
}
