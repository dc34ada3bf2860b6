package config

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSecretReference looks for text that passes as a reference and is read
// from another place than it says, for a value that is changed on its way, and
// for one that an error gives away.
func FuzzSecretReference(f *testing.F) {
	f.Add("env:STRIPE_WEBHOOK_SECRET", "whsec_1\n")
	f.Add("env:A B", "x")
	f.Add("file:/run/secrets/stripe", "whsec_1\r\n")
	f.Add("file:../s", " \n")
	f.Add("file:a\x1b[2J", "x")
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "")
	f.Fuzz(func(t *testing.T, ref, value string) {
		if !isReference(ref) {
			return
		}
		var asked string
		o := Options{
			LookupEnv: func(name string) (string, bool) { asked = "env:" + name; return value, value != "" },
			ReadFile: func(path string) ([]byte, error) {
				if asked = path; value == "" {
					return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
				}
				return []byte(value), nil
			},
		}
		got, err := o.resolve(ref, "/etc/hookyard")
		if err != nil {
			require.Empty(t, strings.TrimSpace(value))
			require.Contains(t, err.Error(), ref)
			require.Equal(t, -1, strings.IndexFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }))
			return
		}
		if path, ok := strings.CutPrefix(ref, "file:"); ok {
			require.True(t, filepath.IsAbs(asked), asked)
			require.Equal(t, within("/etc/hookyard", path), asked)
			require.NotEmpty(t, strings.TrimSpace(got))
			rest, ok := strings.CutPrefix(value, got)
			require.True(t, ok, "only the line break at the end is no part of it")
			require.Contains(t, []string{"", "\n", "\r\n"}, rest)
			return
		}
		require.Equal(t, ref, asked)
		require.Equal(t, value, got)
	})
}
