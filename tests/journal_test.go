package tests

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// TestJournal delivers to a source with a journal while Temporal is away, and
// kills the edge meanwhile. Whatever was acknowledged is one run and one payment.
func TestJournal(t *testing.T) {
	t.Parallel()
	server := startTemporal(t, filepath.Join(t.TempDir(), "temporal.db"))
	admin := harness.TestAddress(t)
	s := startSystem(t, server, "admin: "+admin+"\nsources: {stripe: {provider: stripe, secrets: [env:SECRET], journal: true}}\n")
	require.Equal(t, "journaled", s.deliver("stripe", "evt_before", "", invoicePaid).status)
	s.completed("stripe:evt_before")
	require.Equal(t, "journaled", s.deliver("stripe", "evt_before", "", invoicePaid).status, "the journal has it no longer, and does not ask Temporal")

	server.Kill()
	acknowledged := []string{"evt_before"}
	for round := range 3 {
		took := s.burst(fmt.Sprint("evt_", round), 12, func() {})
		require.Len(t, took, 12, "no delivery is refused because Temporal is away")
		acknowledged = append(acknowledged, took...)
		require.Equal(t, "duplicate", s.deliver("stripe", took[0], "", invoicePaid).status)
		// The edge dies once one of many more is acknowledged.
		acknowledged = append(acknowledged, s.burst(fmt.Sprint("evt_dying_", round), 20, s.Kill)...)
		s.serve()
	}
	require.Equal(t, "journaled", s.deliver("stripe", "evt_last", "", invoicePaid).status)
	acknowledged = append(acknowledged, "evt_last")
	s.journalMetrics(admin)
	var waiting []string
	for line := range strings.Lines(s.run("journal", "list", "--json", "--limit", "0", "--config", s.config())) {
		var record struct {
			WorkflowID string `json:"workflow_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		waiting = append(waiting, strings.TrimPrefix(record.WorkflowID, "stripe:"))
	}
	require.Subset(t, waiting, acknowledged[1:])

	server.Start()
	expected := append(waiting, "evt_before")
	slices.Sort(expected)
	expected = slices.Compact(expected)
	harness.Eventually(t, "all events are paid", func() bool { return len(s.payments()) >= len(expected) })
	for _, id := range expected {
		s.completed("stripe:" + id)
	}
	require.Empty(t, cmp.Diff(expected, s.payments()), "one effect for each")
	harness.Eventually(t, "the lists show all runs", func() bool { return s.count(`HookSource = "stripe"`) >= int64(len(expected)) })
	require.Equal(t, int64(len(expected)), s.count(`HookSource = "stripe"`), "one run for each")
	harness.Eventually(t, "the journal is empty", func() bool {
		return strings.HasPrefix(s.run("journal", "--json", "--config", s.config())+"{", "{")
	})
	require.Contains(t, s.run("journal", "verify", "--config", s.config()), "0 damaged")
}

// burst delivers n events at once, calls first when one is acknowledged, and
// returns the ids of all that were.
func (s *system) burst(prefix string, n int, first func()) (acknowledged []string) {
	var (
		senders sync.WaitGroup
		mu      sync.Mutex
		once    sync.Once
	)
	for i := range n {
		id := fmt.Sprint(prefix, "_", i)
		d := signed(s.t, "stripe", id, "", invoicePaid)
		senders.Go(func() {
			if a, err := s.tryPost(s.t.Context(), "stripe", d.Header, d.Body); err == nil && a.code == 200 {
				once.Do(first)
				mu.Lock()
				defer mu.Unlock()
				acknowledged = append(acknowledged, id)
			}
		})
	}
	senders.Wait()
	return acknowledged
}

// journalMetrics sees that an edge with a journal has each metric that the
// dashboard and the rules name, but those of which there is nothing to count.
func (s *system) journalMetrics(admin string) {
	harness.Eventually(s.t, "the depth is measured", func() bool {
		return sample(s.t, scrape(s.t, admin), "hookyard_journal_events", `source="stripe"`) != ""
	})
	have := map[string]bool{}
	for series := range scrape(s.t, admin) {
		family, _, _ := strings.Cut(series, "{")
		have[family] = true
	}
	for _, name := range metricNames(expressions(s.t)) {
		if strings.HasPrefix(name, "hookyard_journal_") && !slices.Contains([]string{
			"hookyard_journal_set_aside_total", "hookyard_journal_refused_total", "hookyard_journal_drain_seconds_count",
		}, name) {
			require.Contains(s.t, have, name)
		}
	}
}
