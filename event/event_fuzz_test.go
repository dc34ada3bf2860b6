package event_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/event"
)

// FuzzWorkflowID looks for an id that Temporal would not take, and for two
// events of one source that would share a Workflow Id.
func FuzzWorkflowID(f *testing.F) {
	f.Add("evt_1NG8Du2eZvKYlo2CUI79vXWy", "evt_2")
	f.Add("a", "A")
	f.Add("a b", "a%20b")
	f.Add("", "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Add(strings.Repeat("a", 196), strings.Repeat("a", 197))
	f.Add("\xff", "\xfe")
	allowed := regexp.MustCompile(`^[A-Za-z0-9._:@-]{1,200}$`)
	f.Fuzz(func(t *testing.T, one, other string) {
		const source = "stripe-eu"
		id := event.WorkflowID(source, one)
		require.Regexp(t, allowed, id)
		require.True(t, strings.HasPrefix(id, source+":"), id)
		require.Equal(t, one == other, id == event.WorkflowID(source, other), "%q and %q", one, other)

		// A Workflow works the id out again, from the Event in its history.
		ev := event.Event{Source: source, ID: one}
		require.Equal(t, id, ev.WorkflowID())
		if !utf8.ValidString(one) {
			return // the edge takes none, since JSON cannot hold it
		}
		data, err := json.Marshal(ev)
		require.NoError(t, err)
		var stored event.Event
		require.NoError(t, json.Unmarshal(data, &stored))
		require.Equal(t, id, stored.WorkflowID())
		require.Equal(t, ev.Key("Step"), stored.Key("Step"))
	})
}

// FuzzMatch holds patterns against what a regular expression says.
func FuzzMatch(f *testing.F) {
	f.Add("invoice.*", "invoice.payment.failed")
	f.Add("*a*a", "aa")
	f.Add("a*b*c", "a-c-b")
	f.Add("**", "")
	f.Add("[a-z]+", "a")
	f.Add("*\xff", "\n\xff")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		// A regular expression is about text, and this about bytes.
		if !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			event.Match(pattern, name)
			return
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`)
		require.Equal(t, want.MatchString(name), event.Match(pattern, name))
		require.Len(t, strings.ReplaceAll(pattern, "*", ""), event.Literals(pattern))
	})
}
