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
func (s *Service) newJournal(c client.Client, starter *ingest.WorkflowStarter,
	hold func(ctx context.Context, source string) (bool, error),
) (*journal.Journal, error) {
	place := command.JournalPlace(s.Started.Store, s.Started.Journal)
	if !command.Journals(s.Started.Config) {
		if !exists(place.SQLite) {
			return nil, nil //nolint:nilnil // no journal, and nothing wrong
		}
	}
	backlog := *starter
	backlog.Priority = backlogPriority
	return journal.New(journal.Options{
		Place: place, MaxAge: s.Started.Journal.MaxAge, MaxInFlight: s.Started.Journal.InFlight,
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

func exists(file string) bool {
	if file == "" {
		return false
	}
	_, err := os.Stat(file)
	return err == nil
}

// journalReady returns what keeps the journal from taking events.
func (s *Service) journalReady() error {
	j := s.journal.Load()
	if j == nil {
		return errors.New("the edge is starting")
	}
	return j.Ready()
}
