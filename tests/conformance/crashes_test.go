package conformance

import (
	"database/sql"
	"path/filepath"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	_ "modernc.org/sqlite" // to look into the ledger

	"github.com/hookyard/hookyard/tests/harness"
)

// unreachable delivers while nothing gets through to Temporal, and has the
// receiver crash. A sender that was told 2xx will not deliver again, so what
// it delivered has to be there.
func unreachable(s *site) {
	release := s.gate.holdRequests()
	defer release()
	a := s.deliver(s.genuine("evt_1"))
	s.crash()
	release()
	s.boot(s.v)
	second := s.deliver(s.genuine("evt_1"))
	if s.receiver.journal {
		require.Equal(s.v, journaled, a.String(), "the answer while Temporal is out of reach")
		require.True(s.v, second.ok(), "the second delivery: %s", second)
		s.eachOnce("evt_1")
		return
	}
	if a.ok() {
		require.Equal(s.v, duplicate, second.String(), "lost: the event was acknowledged with %s, and is not there after a crash", a)
	}
	require.Equal(s.v, 503, a.code, "the answer while nothing can be stored")
	require.NotEmpty(s.v, a.header.Get("Retry-After"), "a 503 says when to come back")
	require.True(s.v, second.ok(), "the second delivery: %s", second)
	s.eachOnce("evt_1")
}

// restart delivers the same event before and after a crash.
func restart(s *site) {
	s.answers(accepted, s.genuine("evt_1"), "the first delivery")
	s.restart()
	s.answers(duplicate, s.genuine("evt_1"), "the delivery after the crash")
	s.restart()
	s.answers(duplicate, s.genuine("evt_1"), "the delivery after another crash")
	s.eachOnce("evt_1")
}

// crashBeforeAnswer kills the edge when Temporal has the event and the sender
// has no answer.
func crashBeforeAnswer(s *site) {
	// The client of an edge asks Temporal what it is before its first start.
	s.answers(accepted, s.genuine("evt_0"), "a delivery before")
	release := s.gate.holdResponses()
	defer release()
	delivery := s.genuine("evt_1")
	outcome := make(chan error, 1)
	go func() {
		_, err := s.try(s.ctx, delivery)
		outcome <- err
	}()
	harness.Eventually(s.v, "Temporal has the event", func() bool {
		runs, err := s.temporal.runsOf(s.ctx, s.name)
		return err == nil && len(runs) == 2
	})
	s.crash()
	require.ErrorIs(s.v, <-outcome, errNoAnswer, "answered before Temporal had said that the event is stored")
	release()
	s.boot(s.v)
	s.answers(duplicate, s.genuine("evt_1"), "the delivery after the crash")
	s.eachOnce("evt_0", "evt_1")
}

// crashBetweenSteps kills the worker when the first of two steps is done and
// the second has begun.
func crashBetweenSteps(s *site) {
	release := s.mailbox.Hold()
	defer release()
	s.answers(accepted, s.stripe(invoice("evt_1"), secret, time.Now()), "the invoice")
	harness.Eventually(s.v, "the worker calls the mail server", func() bool { return s.mailbox.Called() > 0 })
	require.Empty(s.v, cmp.Diff([]string{"evt_1"}, s.payments()), "the first step is done before the second begins")
	s.crash()
	release()
	s.boot(s.v)
	s.answers(duplicate, s.stripe(invoice("evt_1"), secret, time.Now()), "the invoice, again")
	harness.Eventually(s.v, "the run completes", func() bool {
		runs, err := s.temporal.runsOf(s.ctx, s.name)
		return err == nil && len(runs) == 1 && runs[0].status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	})
	require.Empty(s.v, cmp.Diff([]string{"evt_1"}, s.payments()), "recorded once")
	require.Len(s.v, s.mailbox.Mails(), 1, "mailed once")
}

// crashAfterEffect kills the worker when the service behind has done what it
// was asked to, and the worker does not know.
func crashAfterEffect(s *site) {
	release := s.downstream.hold()
	defer release()
	s.answers(accepted, s.genuine("evt_1"), "the one delivery")
	harness.Eventually(s.v, "an effect", func() bool { return s.downstream.effects("evt_1") == 1 })
	s.crash()
	release()
	s.boot(s.v)
	harness.Eventually(s.v, "the step is done again", func() bool { return len(s.downstream.about("evt_1")) > 1 })
	s.eachOnce("evt_1")
}

// payments returns the ledger's event ids.
func (s *site) payments() (ids []string) {
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "ledger.db"))
	require.NoError(s.v, err)
	defer db.Close()
	rows, err := db.QueryContext(s.ctx, "SELECT event_id FROM ledger_payments ORDER BY event_id")
	require.NoError(s.v, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		require.NoError(s.v, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(s.v, rows.Err())
	return ids
}
