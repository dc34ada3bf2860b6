package activities

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
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

// FuzzOpenChannel looks for a notification URL that breaks the library, and
// for one that an error or a name shows.
func FuzzOpenChannel(f *testing.F) {
	const token = "T0K3Nsecret"
	for _, raw := range []string{
		"slack://hook:T0K3Nsecret@webhook", "pagerduty:///T0K3Nsecret", "smtp://u:T0K3Nsecret@h.example:587/?from=a@b.c&to=d@e.f",
		"generic+https://h.example/T0K3Nsecret?template=json", "discord://T0K3Nsecret@1234567890", "telegram://123456789:T0K3Nsecret@telegram?chats=@a",
		"teams://T0K3Nsecret", "gotify://h.example/T0K3Nsecret", "pushover://shoutrrr:T0K3Nsecret@user", "ntfy://:T0K3Nsecret@ntfy.sh/topic",
		"T0K3Nsecret", "://T0K3Nsecret", "slack://%zz", "logger://", "+://", "ifttt://T0K3Nsecret/?events=a",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		service, _, _ := strings.Cut(raw, ":")
		if strings.Contains(strings.ToLower(service), "matrix") {
			return // it signs in over the network
		}
		c, err := OpenChannel("env:ALERT_URL", raw)
		if err != nil {
			require.Nil(t, c)
			require.NotContains(t, err.Error(), token)
			return
		}
		for _, shown := range []string{c.Name(), fmt.Sprint(c), fmt.Sprintf("%#v", c)} {
			require.NotContains(t, shown, token)
			require.Contains(t, shown, "env:ALERT_URL")
		}
	})
}

// FuzzRedacted looks for a part of a notification URL in what is told of a
// failure that quotes it.
func FuzzRedacted(f *testing.F) {
	f.Add("hook", "xoxb_secret_token", "Post \"%s\": 404 no_service connection refused")
	f.Add("500 ", "a%20b_c", "dial %s: i/o timeout 500 %s")
	f.Fuzz(func(t *testing.T, user, token, said string) {
		if len(token) < 4 || strings.Contains(token, ", ") || strings.Contains(strings.ReplaceAll(said, "%s", ""), token) {
			return // what it says by itself is no secret
		}
		c := &Channel{name: "x", url: "slack://" + url.UserPassword(user, token).String() + "@h"}
		err := c.redacted(errors.New(strings.ReplaceAll(said, "%s", `"`+token+`"`)))
		told, ok := strings.CutPrefix(err.Error(), "it failed: ")
		require.False(t, ok && strings.Contains(told, token), "%q", err)
	})
}

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
		require.Equal(t, url.Values{"_txlock": {"immediate"}}, u.Query())
		require.Equal(t, 1, strings.Count(dsn, "?"))
	})
}

// FuzzAlert looks for an event type, an error or a memo that breaks a message
// into what it is not: several lines of title, or a word that pages everybody.
func FuzzAlert(f *testing.F) {
	f.Add("stripe", "invoice.paid", "POST https://h: 500", []byte(`{"steps":[{"since":"2026-01-01T00:00:00Z"}]}`))
	f.Add("a", "<!channel>\n@everyone", "\x1b]0;x\a<@U1>", []byte(`{"steps":[{"since":"9999-12-31T23:59:59.999999999-23:59"}]}`))
	f.Add("a\" OR 1=1", "<\x00!here>", "\xff", []byte(`{"steps":[{}]}`))
	f.Fuzz(func(t *testing.T, source, eventType, said string, memo []byte) {
		var count ParkedCount
		count.Runs = 2
		count.add(&workflowpb.WorkflowExecutionInfo{Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{"HookParked": {Data: memo}}}})
		require.NotNil(t, count.Oldest)
		links := Links{WebUI: "https://ui.example.com", Namespace: "default"}
		for _, kind := range []AlertKind{AlertParked, AlertDigest, AlertEscalated, AlertCleared} {
			m := Alert{Kind: kind, Source: source, Count: count, Report: &ParkedReport{Source: source, EventType: eventType, Error: said, WorkflowID: source + ":1"}}.message(links)
			require.LessOrEqual(t, len(m.Title), 300)
			require.True(t, utf8.ValidString(m.Title), "%q", m.Title)
			require.Equal(t, -1, strings.IndexFunc(m.Title, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", m.Title)
			for _, loud := range []string{"<!", "<@", "@everyone", "@here", "@channel"} {
				require.NotContains(t, m.Title, loud)
				require.NotContains(t, m.Text, loud)
			}
			_, err := url.Parse(m.Link)
			require.NoError(t, err)
		}
	})
}

// FuzzParkedQuery looks for the name of a source that ends the text it stands
// in, and so asks something else.
func FuzzParkedQuery(f *testing.F) {
	f.Add("stripe-eu")
	f.Add(`a" OR "1"="1`)
	f.Add(`a\`)
	f.Add("a\\\"\x00'")
	f.Fuzz(func(t *testing.T, source string) {
		rest, ok := strings.CutPrefix(parkedQuery(source), `HookState="parked" AND HookSource="`)
		require.True(t, ok)
		// As the server's lexer reads a text: a backslash takes the next
		// byte, and two quotes would be one.
		var read []byte
		for i := 0; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
				read = append(read, rest[i])
			case '"':
				require.Equal(t, `" AND ExecutionStatus="Running"`, rest[i:])
				require.Equal(t, source, string(read))
				return
			default:
				read = append(read, rest[i])
			}
		}
		require.Fail(t, "the text has no end", "%q", rest)
	})
}
