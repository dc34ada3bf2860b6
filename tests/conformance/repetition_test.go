package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/tests/harness"
)

// single delivers one event.
func single(s *site) {
	s.answers(accepted, s.genuine("evt_1"), "the one delivery")
	s.eachOnce("evt_1")
}

// again delivers an event while it is worked on and once it is done, with the
// bytes of the first time and, as most providers do, signed anew.
func again(s *site) {
	first := s.genuine("evt_1")
	s.answers(accepted, first, "the first delivery")
	s.answers(duplicate, first, "the same bytes at once")
	harness.Eventually(s.v, "an effect of evt_1", func() bool { return s.downstream.effects("evt_1") > 0 })
	s.answers(duplicate, first, "the same bytes after the effect")
	s.answers(duplicate, s.stripe(string(first.body), secret, time.Now().Add(time.Second)), "the same event, signed anew")
	s.eachOnce("evt_1")
}

// atOnce delivers an event on 100 connections.
func atOnce(s *site) {
	const senders = 100
	delivery := s.genuine("evt_1")
	answers := make([]string, senders)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			for {
				a, err := s.try(s.ctx, delivery)
				if answers[i] = a.String(); err != nil {
					answers[i] = err.Error()
				}
				if err != nil || a.code != http.StatusServiceUnavailable {
					return // after a 503, which a busy machine may give, a sender comes again
				}
			}
		})
	}
	all.Wait()
	counts := map[string]int{}
	for _, a := range answers {
		counts[a]++
	}
	if s.receiver.journal { // it knows the event until that is started; Temporal knows it from then on
		require.Positive(s.v, counts[journaled])
		require.Equal(s.v, senders, counts[journaled]+counts[duplicate], "%v", counts)
		s.eachOnce("evt_1")
		return
	}
	require.Empty(s.v, cmp.Diff(map[string]int{accepted: 1, duplicate: senders - 1}, counts), "one delivery is the first, and only one")
	s.eachOnce("evt_1")
}

// reversed delivers the newest event first. Providers promise no order, and an
// event is no less one for being late.
func reversed(s *site) {
	var events []string
	now := time.Now()
	for age := range 4 {
		made := now.Add(-time.Duration(age) * time.Minute)
		id := fmt.Sprintf("evt_made_at_%d", made.Unix())
		s.answers(accepted, s.stripe(order(id, made), secret, now), "the event made %d minutes ago", age)
		events = append(events, id)
	}
	slices.Reverse(events)
	s.eachOnce(events...)
}
