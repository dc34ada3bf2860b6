package forward

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRetryAfter looks for an answer that has an event wait for longer than it
// may, or for less than nothing.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, value := range []string{"", "0", "120", "-1", " 7 ", "99999999999999999999", "-99999999999999999999", "1e3", "0x10", "Thu, 01 Jan 2026 00:00:30 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Thursday, 01-Jan-26 00:00:30 GMT"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := retryAfter(http.Header{"Retry-After": {value}}, now)
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.LessOrEqual(t, got, longestDelay)
		if got > 0 {
			require.True(t, strings.ContainsAny(value, "0123456789"))
		}
	})
}

// FuzzHeaders looks for an id or a Content-Type, as a sender chose them, that
// would end a header or have the client refuse to send.
func FuzzHeaders(f *testing.F) {
	f.Add("stripe:evt_1", "application/json")
	f.Add("a\r\nX-Evil: 1", "text/plain\r\nX-Evil: 1")
	f.Add("%41é\x00", "a/b;\tc=\x7f")
	f.Fuzz(func(t *testing.T, id, received string) {
		value := escaped(id)
		require.Equal(t, -1, strings.IndexFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }), "%q", value)
		back, err := url.PathUnescape(value)
		require.NoError(t, err)
		require.Equal(t, id, back)
		kind := contentType(received, true)
		require.Equal(t, -1, strings.IndexFunc(kind, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }), "%q", kind)
		require.NotEmpty(t, kind)
	})
}
