package alert

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/hookyard/hookyard/event"
)

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

// FuzzAlert looks for an event type, an error or a memo that breaks a message
// into what it is not: several lines of title, or a word that pages everybody.
func FuzzAlert(f *testing.F) {
	f.Add("stripe", "invoice.paid", "POST https://h: 500", []byte(`{"steps":[{"since":"2026-01-01T00:00:00Z"}]}`))
	f.Add("a", "<!channel>\n@everyone", "\x1b]0;x\a<@U1>", []byte(`{"steps":[{"since":"9999-12-31T23:59:59.999999999-23:59"}]}`))
	f.Add("a\" OR 1=1", "<\x00!here>", "\xff", []byte(`{"steps":[{}]}`))
	f.Fuzz(func(t *testing.T, source, eventType, said string, memo []byte) {
		var count Count
		count.Runs = 2
		count.add(&workflowpb.WorkflowExecutionInfo{Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{"HookParked": {Data: memo}}}})
		require.NotNil(t, count.Oldest)
		links := Links{WebUI: "https://ui.example.com", Namespace: "default"}
		for _, kind := range []Kind{Parked, Digest, Escalated, Cleared} {
			m := Notice{Kind: kind, Source: source, Count: count, Report: &event.ParkedReport{Source: source, EventType: eventType, Error: said, WorkflowID: source + ":1"}}.message(links)
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
