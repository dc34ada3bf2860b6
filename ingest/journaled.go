package ingest

import (
	"context"
	"errors"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// append has the journal store one event within the time that the provider waits.
// Neither Temporal nor what is known of pauses is asked: both matter to the drain.
func (s *Server) append(ctx context.Context, source *Source, ev event.Event, identity provider.Identity) (outcome, error) {
	if s.journal == nil { // the source got its journal by a reload, which takes a restart
		return failed, refuse(notStored, errors.New("this process was started without a journal; restart it"))
	}
	ctx, cancel := context.WithTimeout(ctx, source.startWithin(s.now().Sub(ev.ReceivedAt)))
	defer cancel()
	switch err := s.journal.Start(ctx, ev, Payload(identity.Payload, identity.JSON)); {
	case err == nil:
		return journaled, nil
	case errors.Is(err, ErrDuplicate):
		return duplicate, nil
	case errors.Is(err, ErrTooLarge):
		return failed, refuse(bodyTooLarge, err)
	default:
		return failed, refuse(notStored, err)
	}
}

// Journaled reports whether the source's events go to the journal.
func (s *Source) Journaled() bool { return s.journal }

// Hold reports whether the events of a source are to start as held, for the drain
// of the journal.
func (s *Server) Hold(ctx context.Context, source string) (bool, error) {
	return s.pauses.hold(ctx, source)
}
