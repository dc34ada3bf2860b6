package conformance

import (
	"maps"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
)

// tally is what became of an event.
type tally struct {
	Runs, Completed int
	Effects         int // at the service behind
}

// once is what has to become of every event.
func once() tally { return tally{Runs: 1, Completed: 1, Effects: 1} }

// became counts runs and effects, of these events and of all others that a run
// was started for.
func (s *site) became(events []string) map[string]tally {
	found := map[string]tally{}
	runs, err := s.temporal.runsOf(s.ctx, s.name, s.acme())
	require.NoError(s.v, err)
	for _, run := range runs {
		if run.status == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
			continue // it goes on as another that is in the list
		}
		history, err := s.temporal.history(s.ctx, run.execution)
		require.NoError(s.v, err)
		ev, err := eventOf(history)
		require.NoError(s.v, err)
		t := found[ev.ID]
		t.Runs++
		if run.status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			t.Completed++
		}
		found[ev.ID] = t
	}
	for _, id := range events {
		t := found[id]
		t.Effects = s.downstream.effects(id)
		found[id] = t
	}
	return found
}

// eachOnce requires that each of these events, and no other, became one run
// and one effect. So that whatever else was under way has shown by then, it
// delivers one more event after them and sees that through.
func (s *site) eachOnce(events ...string) {
	const last = "evt_the_last_one"
	made := time.Now().Add(time.Hour)
	s.answers(accepted, s.stripe(order(last, made), secret, time.Now()), "one more event")
	events = append(events, last)
	want := map[string]tally{}
	for _, id := range events {
		want[id] = once()
	}

	var found map[string]tally
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for found = s.became(events); mayBecome(found, want) && time.Now().Before(deadline); found = s.became(events) {
		<-tick.C
	}
	require.Empty(s.v, cmp.Diff(want, found), "each event is one run that completes, and one effect")
}

// mayBecome reports whether found is not yet what is wanted, and may still be:
// what is there too often stays.
func mayBecome(found, want map[string]tally) bool {
	if maps.Equal(found, want) {
		return false
	}
	for id, t := range found {
		if most := want[id]; t.Runs > most.Runs || t.Effects > most.Effects {
			return false
		}
	}
	return true
}
