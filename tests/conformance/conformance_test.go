package conformance

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// flaw is a mistake that people make in a receiver.
type flaw struct {
	name     string // as the flawed program knows it
	receiver func(flaw string) receiver
	caught   string // the scenario that shows it
	saying   string // what that scenario finds
}

// flaws are all of them. What each does is told where it is made: flawed/.
func flaws() []flaw {
	return []flaw{
		{"acknowledge-before-durable", withEdge, "Temporal out of reach", "lost: the event was acknowledged"},
		{"check-then-insert", withEdge, "the same delivery 100 times at once", "one delivery is the first, and only one"},
		{"no-record", withEdge, "the same delivery again", "the same bytes at once"},
		{"effect-before-dedup", withEdge, "the same delivery again", "each event is one run that completes, and one effect"},
		{"parse-before-verify", withEdge, "bodies that hold no event", "of a stranger"},
		{"stale-accepted", withEdge, "signatures that are old", "signed "},
		{"order-assumed", withEdge, "deliveries in reverse order", "the event made"},
		{"secret-logged", withEdge, "what is logged and kept", "the log holds"},
		{"crash-after-effect", withWorker, "a crash after an effect", "each event is one run that completes, and one effect"},
	}
}

// waitForTemporal names the scenarios in which Temporal keeps a sender waiting,
// which it does not with a journal.
func waitForTemporal() []string {
	return []string{"a connection cut after the body", "a sender that gives up waiting", "a crash between start and answer"}
}

// TestConformance runs every scenario against the receivers that are to pass,
// and against each flawed one the scenario that is to find its flaw.
func TestConformance(t *testing.T) {
	t.Parallel()
	on := startTemporal(t)

	for name, r := range map[string]receiver{
		"hookyard": together(), "hookyard, edge and worker apart": apart(), "hookyard with a journal": withJournal(),
	} {
		for _, s := range scenarios() {
			if r.journal && slices.Contains(waitForTemporal(), s.name) {
				continue
			}
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				requireNothing(t, s, newSite(t, r, on))
			})
		}
	}

	for _, f := range flaws() {
		t.Run("flaw/"+f.name, func(t *testing.T) {
			t.Parallel()
			s := named(t, f.caught)
			t.Run("is found", func(t *testing.T) {
				t.Parallel()
				found := judge(s, newSite(t, f.receiver(f.name), on))
				require.Contains(t, found, f.saying, "the scenario %q finds it", s.name)
				t.Log(strings.TrimSpace(found))
			})
			// So it is the flaw that is found, and not the program it is in.
			t.Run("is all that is found", func(t *testing.T) {
				t.Parallel()
				requireNothing(t, s, newSite(t, f.receiver("none"), on))
			})
			// A flaw that shows in every delivery would need no scenarios.
			t.Run("does not show in a single delivery", func(t *testing.T) {
				t.Parallel()
				requireNothing(t, named(t, "a single delivery"), newSite(t, f.receiver(f.name), on))
			})
		})
	}
}

func requireNothing(t *testing.T, s scenario, at *site) {
	t.Helper()
	if found := judge(s, at); found != "" {
		t.Errorf("%s: %s", s.name, found)
	}
}

func named(t *testing.T, name string) scenario {
	all := scenarios()
	i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
	require.GreaterOrEqual(t, i, 0, "there is no scenario %q", name)
	return all[i]
}
