package serve

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/journal"
	"github.com/hookyard/hookyard/internal/command"
)

// backlogPriority is the priority in Temporal of events that have waited in the
// journal. Those that have just come have 3.
const backlogPriority = 4

// newJournal makes the journal, or returns nil where no source has one and none
// was left behind.
func (s *Service) newJournal(ctx context.Context, c client.Client, starter *ingest.WorkflowStarter,
	hold func(ctx context.Context, source string) (bool, error),
) (*journal.Journal, error) {
	place := command.JournalPlace(s.Started.Store, s.Started.Journal)
	place.Cipher = s.Payloads.Codec
	if !command.Journals(s.Started.Config) && !leftBehind(ctx, place) {
		return nil, nil //nolint:nilnil // no journal, and nothing wrong
	}
	maxStored := int64(0)
	if s.Started.PayloadStore != nil {
		maxStored = largestEvent
	}
	backlog := *starter
	backlog.Priority = backlogPriority
	return journal.New(journal.Options{
		Place: place, MaxStored: maxStored, MaxAge: s.Started.Journal.MaxAge, MaxInFlight: s.Started.Journal.InFlight,
		Retention: func(ctx context.Context) (time.Duration, error) {
			return command.Retention(ctx, c, s.Temporal.Namespace)
		},
		Live: starter, Backlog: &backlog, Hold: hold,
		Logger: s.Logger, Meter: s.telemetry.Meter(),
	})
}

// runJournal runs the journal. Its drain ends with ctx; it takes events until stop
// is called.
func (s *Service) runJournal(ctx context.Context, j *journal.Journal) (stop func()) {
	if j == nil {
		return func() {}
	}
	open, closeIt := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { j.Run(open, ctx) })
	s.journal.Store(j)
	return func() {
		closeIt()
		running.Wait()
	}
}

// largestEvent is above any event that the edge takes where large payloads have a
// store: 32 MiB of body, and its headers.
const largestEvent = 34 << 20

// leftBehind reports whether sources that had a journal before may have left
// events in it. A PostgreSQL that cannot be asked may hold some.
func leftBehind(ctx context.Context, place journal.Place) bool {
	if place.SQLite != "" {
		_, err := os.Stat(place.SQLite)
		return err == nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	left, err := journal.LeftBehind(ctx, place)
	return left || err != nil
}

// journalReady returns what keeps the journal from taking events.
func (s *Service) journalReady() error {
	j := s.journal.Load()
	if j == nil {
		return errors.New("the edge is starting")
	}
	return j.Ready()
}
