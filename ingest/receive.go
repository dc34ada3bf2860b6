package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// receive is the way of a webhook, from untrusted bytes to a stored event. It
// writes the answer of what is taken and returns the reason of what is not.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, note *note) error {
	receivedAt := s.now()

	source, ok := s.sources[mux.Vars(r)["source"]]
	if !ok {
		return refuse(unknownSource, nil)
	}
	note.source, note.provider = source.name, source.Name()

	if methods := source.Methods(); !slices.Contains(methods, r.Method) {
		return &refusal{reason: methodNotTaken, allow: strings.Join(methods, ", ")}
	}
	if !source.takesFrom(s.senderOf(r)) {
		return refuse(addressNotOnList, nil)
	}
	if wait := source.overRate(receivedAt); wait > 0 {
		return &refusal{reason: overRate, after: wait}
	}
	body, err := readBody(w, r, source.maxBody)
	if err != nil {
		return err
	}
	d := &provider.Delivery{Method: r.Method, URL: s.publicURL + r.URL.RequestURI(), Header: r.Header, Body: body, ReceivedAt: receivedAt}

	if greeting := source.Greet(d, false); greeting != nil {
		note.outcome = greeted
		writeGreeting(w, greeting)
		return nil
	}
	if err := source.Verify(r.Context(), d); err != nil {
		return refuseUnverified(err)
	}
	if greeting := source.Greet(d, true); greeting != nil {
		note.outcome = greeted
		writeGreeting(w, greeting)
		return nil
	}
	identities, err := source.Identify(d)
	if err != nil {
		return refuse(noEvent, err)
	}

	// A sender that hangs up does not undo what it has sent: the start goes
	// on without its connection.
	ctx := context.WithoutCancel(r.Context())
	if note.outcome, err = s.startAll(ctx, source, d, identities, note); err != nil {
		return err
	}
	if len(identities) == 1 && note.outcome != ignored {
		w.Header().Set(WorkflowIDHeader, note.workflowID)
	}
	writeOutcome(w, note.outcome)
	return nil
}

// readBody reads the whole body or refuses it; it never goes on with a part.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, refuse(bodyTooLarge, nil)
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refuse(bodyTooLarge, nil)
	case err != nil && !errors.Is(err, io.EOF):
		return nil, refuse(bodyUnreadable, err)
	}
	return body.Bytes(), nil
}

// startAll starts one Workflow per event that the source wants. A 2xx needs
// all of them: after a partial failure the redelivery starts what is missing
// and finds the others started.
func (s *Server) startAll(ctx context.Context, source *Source, d *provider.Delivery, identities []provider.Identity, note *note) (outcome, error) {
	result := ignored
	for _, identity := range identities {
		ev := event.Event{
			Source:      source.name,
			Provider:    source.Name(),
			ID:          identity.ID,
			Type:        identity.Type,
			ReceivedAt:  d.ReceivedAt.UTC(),
			ContentType: d.Header.Get("Content-Type"),
			Unhandled:   source.unhandled,
		}
		note.event(ev)
		if !source.wants(ev.Type) {
			continue
		}
		switch err := s.start(ctx, source, ev, identity.Payload); {
		case err == nil:
			result = accepted
		case errors.Is(err, ErrDuplicate):
			if result == ignored {
				result = duplicate
			}
		case errors.Is(err, ErrTooLarge):
			return "", refuse(bodyTooLarge, err)
		default:
			return "", refuse(notStored, err)
		}
	}
	return result, nil
}

// start keeps a start within what the provider waits for. The SDK allows one
// call half of its context's deadline, so the deadline is twice the time there
// is, and the context ends by itself when that time is up.
func (s *Server) start(ctx context.Context, source *Source, ev event.Event, payload []byte) error {
	within := source.startWithin(s.now().Sub(ev.ReceivedAt))
	ctx, cancel := context.WithTimeout(ctx, 2*within)
	defer cancel()
	stop := time.AfterFunc(within, cancel)
	defer stop.Stop()
	return s.starter.Start(ctx, ev, payload)
}
