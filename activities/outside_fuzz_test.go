package activities

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// FuzzOpenSMTP looks for a URL that an error repeats, and for one that has a
// password sent in the clear.
func FuzzOpenSMTP(f *testing.F) {
	const password = "hunter2hunter2"
	for _, raw := range []string{
		"smtp://user:hunter2hunter2@h.example:587", "smtps://user:hunter2hunter2@h.example", "smtp://localhost:1025", "smtp://u:hunter2hunter2@127.0.0.1?tls=none",
		"smtp://u:hunter2hunter2@h.example?tls=none", "smtp://relay:25?tls=none", "smtp://u:hunter2hunter2@[::1]:99999", "smtp://u:hunter2hunter2@h:x", "hunter2hunter2", "smtp://u:hunter2hunter2@%zz",
	} {
		f.Add(raw, "Shop <billing@example.com>")
	}
	f.Add("smtp://localhost", "a@b.c\r\nBcc: d@e.f")
	f.Fuzz(func(t *testing.T, raw, from string) {
		m, err := OpenSMTP(raw, from)
		if err != nil {
			require.NotContains(t, strings.ReplaceAll(err.Error(), from, ""), password)
			return
		}
		u, err := url.Parse(raw)
		require.NoError(t, err)
		ip := net.ParseIP(u.Hostname())
		near := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
		if u.User != nil && !near {
			require.Empty(t, u.Query().Get("tls"))
		}
		require.NotContains(t, fmt.Sprint(m.from), "\n")
	})
}

// FuzzSQLiteDSN looks for a path that is read as another one, or as an option
// of the database.
func FuzzSQLiteDSN(f *testing.F) {
	for _, path := range []string{"/var/lib/hookyard/ledger.db", "/a?_pragma=x", "/a#b", "/a%20b", "/a b&c", "/é\xff", "//host/a"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		path = filepath.Clean("/" + path) // as filepath.Abs leaves it
		dsn := sqliteDSN(path, url.Values{"_txlock": {"immediate"}})
		u, err := url.Parse(dsn)
		require.NoError(t, err)
		require.Equal(t, "file", u.Scheme)
		require.Empty(t, u.Host)
		require.Empty(t, u.Fragment)
		require.Equal(t, path, u.Path)
		require.Empty(t, cmp.Diff(url.Values{"_txlock": {"immediate"}}, u.Query()))
		require.Equal(t, 1, strings.Count(dsn, "?"))
	})
}
