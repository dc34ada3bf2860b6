package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"golang.org/x/sync/errgroup"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// receive takes one delivery from untrusted bytes to stored events. It writes
// the response to a delivery that it takes, and returns an error for one that
// it refuses. What it learns about the delivery goes into rec.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, now *snapshot, rec *record) error {
	receivedAt := s.now()

	source, ok := now.sources[mux.Vars(r)["source"]]
	if !ok {
		return refuse(unknownSource, nil)
	}
	rec.source, rec.provider = source.name, source.Provider.Name()

	if methods := source.Provider.Methods(); !slices.Contains(methods, r.Method) {
		return &refusal{reason: methodNotTaken, allow: strings.Join(methods, ", ")}
	}
	sender := now.senderOf(r)
	if !source.takesFrom(sender) {
		return refuse(addressNotOnList, nil)
	}
	body, release, err := s.read(w, r, source, peerOf(sender), receivedAt)
	if err != nil {
		return err
	}
	defer release()
	rec.read = true
	d := &provider.Delivery{
		Method: r.Method, URL: now.publicURL + r.URL.RequestURI(), Header: r.Header, Body: body, From: sender, ReceivedAt: receivedAt,
	}

	s.metrics.read(r.Context(), source, len(body))
	s.logDelivery(r.Context(), source, d)

	if done, err := s.greet(w, r, source, d, unverified, rec); done {
		return err
	}
	if !source.Provider.Delivers(r.Method) {
		return &refusal{reason: methodNotTaken, allow: strings.Join(source.Provider.Methods(), ", ")}
	}
	if err := s.verify(r.Context(), source, d, peerOf(sender)); err != nil {
		return err
	}
	if wait := source.overRate(receivedAt); wait > 0 {
		return &refusal{reason: overRate, after: wait}
	}
	if done, err := s.greet(w, r, source, d, verified, rec); done {
		return err
	}
	identities, err := source.Provider.Identify(d)
	if err != nil {
		return refuse(noEvent, err)
	}
	identities = s.distinct(r.Context(), source, identities)

	// A sender that closes its connection now does not stop the start: what
	// it sent is genuine.
	ctx := context.WithoutCancel(r.Context())
	if rec.outcome, err = s.startAll(ctx, source, d, identities, rec); err != nil {
		return err
	}
	if len(identities) == 1 && rec.outcome != ignored {
		w.Header().Set(WorkflowIDHeader, rec.workflowID)
	}
	rec.status = writeOutcome(w, source, d, rec.outcome)
	return nil
}

// trust says what the edge knows about a delivery when it looks for a
// handshake in it.
type trust bool

const (
	unverified trust = false // only handshakes that the provider does not sign are answered
	verified   trust = true  // only handshakes that the provider signs are answered
)

// greet answers a handshake. It returns done false where d is no handshake.
func (s *Server) greet(w http.ResponseWriter, r *http.Request, source *Source, d *provider.Delivery, known trust, rec *record) (done bool, err error) {
	greeting, err := source.Provider.Greet(r.Context(), d, bool(known))
	switch {
	case err != nil && provider.Reason(err) != "":
		return true, refuseUnverified(source, err)
	case err != nil:
		return true, refuse(notGreeted, err)
	case greeting == nil:
		return false, nil
	}
	if greeting.Secret != "" {
		if err := s.keepHandedOver(source, greeting.Secret); err != nil {
			return true, refuse(notGreeted, err)
		}
	}
	if rec.outcome = greeted; greeting.Refused {
		rec.outcome = rebuffed
	}
	rec.status = writeAnswer(w, greeting)
	return true, nil
}

// verify returns nil where the provider signed d, and counts the failures of
// the peer. See peers.
func (s *Server) verify(ctx context.Context, source *Source, d *provider.Delivery, peer netip.Prefix) error {
	done, err := s.peers.await(ctx, peer, d.ReceivedAt, source.startWithin(s.now().Sub(d.ReceivedAt)))
	if err != nil {
		return &refusal{reason: peerOverRate, cause: err, after: failuresEvery}
	}
	defer done()
	started := time.Now()
	err = source.Provider.Verify(ctx, d)
	s.metrics.verified(ctx, source, started, err)
	if err == nil {
		s.peers.verified(peer, d.ReceivedAt)
		connectionOf(ctx).delivered()
		return nil
	}
	refused := refuseUnverified(source, err)
	wait := s.peers.failed(peer, d.ReceivedAt)
	if wait > 0 && refused.reason != notChecked { // that one may be genuine: it is to be sent again
		return &refusal{reason: peerOverRate, cause: err, after: wait}
	}
	return refused
}

// maxAtOnce is how many events of one delivery are started at the same time. It
// lets a batch of a thousand finish before its sender gives up.
const maxAtOnce = 16

// startAll starts one run per event that its route does not ignore. The delivery is
// taken only if all of them are stored. After a partial failure, the redelivery
// starts the missing ones and finds the others as duplicates.
func (s *Server) startAll(ctx context.Context, source *Source, d *provider.Delivery, identities []provider.Identity, rec *record) (outcome, error) {
	common := source.event(d)
	if len(identities) == 1 {
		ev := source.identified(common, identities[0], len(d.Body))
		rec.event(ev)
		return s.startOne(ctx, source, ev, identities[0], false)
	}
	outcomes := make([]outcome, len(identities))
	errs := make([]error, len(identities))
	start := func(i int, patient bool) {
		defer func() {
			if broken := recover(); broken != nil { // serve recovers panics of its own goroutine only
				outcomes[i], errs[i] = failed, refuse(internal, fmt.Errorf("%v\n%s", broken, debug.Stack()))
			}
		}()
		outcomes[i], errs[i] = s.startOne(ctx, source, source.identified(common, identities[i], len(d.Body)), identities[i], patient)
	}
	// Where the first one is turned away, so is the delivery. The others are not,
	// as it would have to come again whole.
	if len(identities) > 0 {
		start(0, false)
		if errors.Is(errs[0], errOverloaded) || errors.Is(errs[0], errAway) {
			return failed, errs[0]
		}
	}
	var starts errgroup.Group
	starts.SetLimit(maxAtOnce)
	for i := 1; i < len(identities); i++ {
		starts.Go(func() error {
			start(i, true)
			return nil // the others are stored all the same
		})
	}
	_ = starts.Wait()
	rec.count(outcomes)
	return overall(outcomes), worst(errs)
}

// startOne starts the event's run, unless its route ignores it. See gate.start
// for patient.
func (s *Server) startOne(ctx context.Context, source *Source, ev event.Event, identity provider.Identity, patient bool) (outcome, error) {
	routed := source.Route(ev, identity.Payload)
	for _, doubt := range routed.Route.Doubts {
		s.logger.WarnContext(ctx, "a route could not be evaluated, so the event is taken", "workflow_id", ev.WorkflowID(), "doubt", doubt)
	}
	if routed.Ignored {
		return ignored, nil
	}
	ev.Route = routed.Route
	if source.journal {
		return s.append(ctx, source, ev, identity)
	}
	switch err := s.start(ctx, source, ev, identity, patient); {
	case err == nil:
		return accepted, nil
	case errors.Is(err, ErrDuplicate):
		return duplicate, nil
	case errors.Is(err, ErrTooLarge):
		return failed, refuse(bodyTooLarge, err)
	case errors.Is(err, errOverloaded):
		return failed, refuse(overloaded, err)
	default:
		return failed, refuse(notStored, err)
	}
}

// overall returns the outcome of a batch: accepted if any event is new, else
// duplicate if any was stored earlier, else ignored.
func overall(outcomes []outcome) outcome {
	for _, o := range []outcome{accepted, journaled, duplicate} {
		if slices.Contains(outcomes, o) {
			return o
		}
	}
	return ignored
}

// worst returns the error that decides the response of a batch. An error after
// which the sender has to send again comes first.
func worst(errs []error) error {
	var found error
	for _, err := range errs {
		var refused *refusal
		if errors.As(err, &refused) && (found == nil || answers[refused.reason].status >= http.StatusInternalServerError) {
			found = err
		}
	}
	return found
}

// start stores one event within the time that the provider waits. The SDK gives
// one call half of its context's deadline. The deadline is therefore twice the
// time that is left, and a timer cancels the context when that time is over.
func (s *Server) start(ctx context.Context, source *Source, ev event.Event, identity provider.Identity, patient bool) error {
	within := source.startWithin(s.now().Sub(ev.ReceivedAt))
	ctx, cancel := context.WithTimeout(ctx, 2*within)
	defer cancel()
	stop := time.AfterFunc(within, cancel)
	defer stop.Stop()
	starting := time.Now()
	err := s.gate.start(ctx, ev, Payload(identity.Payload, identity.JSON), starting.Add(within), patient)
	s.metrics.started(ctx, source, starting, err)
	return err
}
