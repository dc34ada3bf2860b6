package ingest

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/hookyard/hookyard/ingest/provider"
)

// reason is why a delivery was refused. The sender is told the reason. The log
// has the cause, too.
type reason string

const (
	unknownSource    reason = "unknown-source"
	methodNotTaken   reason = "method-not-taken"
	addressNotOnList reason = "address-not-allowed"
	overRate         reason = "over-rate"
	peerOverRate     reason = "peer-over-rate"
	bodyTooLarge     reason = "body-too-large"
	bodyUnreadable   reason = "body-unreadable"
	bodyTooSlow      reason = "body-too-slow"
	noRoom           reason = "no-room"
	notVerified      reason = "not-verified"
	notChecked       reason = "not-checked"
	staleDelivery    reason = "stale"
	noEvent          reason = "no-event"
	notStored        reason = "not-stored"
	overloaded       reason = "overloaded"
	notGreeted       reason = "handshake-not-finished"
	internal         reason = "internal"
)

// answers maps every reason to the response. 410 is never used, because senders
// unsubscribe on it. Our own faults are 503, so that the sender sends the
// delivery again.
var answers = map[reason]struct {
	status int
	title  string
}{
	unknownSource:    {http.StatusNotFound, "there is no such source here"},
	methodNotTaken:   {http.StatusMethodNotAllowed, "this source does not take this method"},
	addressNotOnList: {http.StatusForbidden, "this address may not send to this source"},
	overRate:         {http.StatusTooManyRequests, "too many deliveries; send this one again later"},
	peerOverRate:     {http.StatusTooManyRequests, "too many deliveries from this address do not verify; send this one again later"},
	bodyTooLarge:     {http.StatusRequestEntityTooLarge, "the body is larger than this source takes"},
	bodyUnreadable:   {http.StatusBadRequest, "the body could not be read to its end"},
	bodyTooSlow:      {http.StatusServiceUnavailable, "the body came too slowly; send this one again"},
	noRoom:           {http.StatusServiceUnavailable, "too many large deliveries at once; send this one again"},
	notVerified:      {http.StatusUnauthorized, "the signature is missing or wrong"},
	notChecked:       {http.StatusServiceUnavailable, "the signature could not be checked; send it again"},
	staleDelivery:    {http.StatusUnauthorized, "the signed timestamp is too far from now"},
	noEvent:          {http.StatusUnprocessableEntity, "the delivery is genuine, but holds no event that can be named"},
	notStored:        {http.StatusServiceUnavailable, "the event is not stored yet; send it again"},
	overloaded:       {http.StatusServiceUnavailable, "more events come than can be stored; send this one again"},
	notGreeted:       {http.StatusServiceUnavailable, "the handshake could not be finished; send it again"},
	internal:         {http.StatusServiceUnavailable, "something broke here; send it again"},
}

// retryAfter is how long a sender is asked to wait after a 503, give or take a
// quarter, where nothing else says. It is short because a redelivery of a stored
// event costs next to nothing.
const retryAfter = 5 * time.Second

// refusal is the error of a delivery that is refused.
type refusal struct {
	reason reason
	cause  error         // for the log
	after  time.Duration // for Retry-After; 0 for none
	allow  string        // for Allow

	// answer is the response that the provider asks for. Nil means a problem
	// detail.
	answer *provider.Answer
}

func (r *refusal) Error() string {
	if r.cause == nil {
		return string(r.reason)
	}
	return string(r.reason) + ": " + r.cause.Error()
}

func (r *refusal) Unwrap() error { return r.cause }

func refuse(why reason, cause error) *refusal { return &refusal{reason: why, cause: cause} }

// refuseUnverified returns the refusal of a delivery that did not verify. A
// genuine but old delivery has a reason of its own, because then a clock is
// wrong: the sender's or ours.
//
// An error without a provider.Reason means that we could not fetch the key. The
// delivery may be genuine, so the sender is asked to send it again.
func refuseUnverified(source *Source, cause error) *refusal {
	if provider.Reason(cause) == "" {
		return refuse(notChecked, cause)
	}
	r := &refusal{reason: notVerified, cause: cause, answer: source.Provider.Refused()}
	if errors.Is(cause, provider.ErrStale) {
		r.reason = staleDelivery
	}
	return r
}

// outcome is what became of a delivery or of one of its events.
type outcome string

const (
	accepted  outcome = "accepted"  // stored now
	duplicate outcome = "duplicate" // stored earlier
	journaled outcome = "journaled" // on disk now, and started later
	ignored   outcome = "ignored"   // its route starts nothing
	greeted   outcome = "handshake" // a handshake that was answered; it holds no event

	// failed is an event that could not be stored; its delivery is refused.
	failed outcome = "failed"
	// rebuffed is a handshake that was turned down.
	rebuffed outcome = "handshake-refused"
)

// WorkflowIDHeader names, in the answer to a delivery with one event, the
// Workflow that holds it.
const WorkflowIDHeader = "Hookyard-Workflow-Id"

// writeAnswer writes the response that the provider asks for, and returns its
// status.
func writeAnswer(w http.ResponseWriter, a *provider.Answer) int {
	maps.Copy(w.Header(), a.Header)
	// The body may echo what a stranger sent: no browser may show it as a page.
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) //nolint:gosec // nosniff is set; a sender that is gone needs no answer
	return a.Status
}

func writeOutcome(w http.ResponseWriter, source *Source, d *provider.Delivery, o outcome) int {
	if success := source.Provider.Success(d); success != nil {
		return writeAnswer(w, success)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"` + string(o) + `"}` + "\n"))
	return http.StatusOK
}

// problem is an RFC 9457 problem detail.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
}

func writeRefusal(w http.ResponseWriter, r *refusal) int {
	if r.answer != nil {
		return writeAnswer(w, r.answer)
	}
	a := answers[r.reason]
	body, _ := json.Marshal(problem{"urn:hookyard:problem:" + string(r.reason), a.title, a.status})
	after := r.after
	if away, ok := errors.AsType[*turnedAway](r.cause); ok {
		after = away.after
	} else if a.status == http.StatusServiceUnavailable {
		after = spread(retryAfter)
	}
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	if r.allow != "" {
		w.Header().Set("Allow", r.allow)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(a.status)
	_, _ = w.Write(append(body, '\n'))
	return a.status
}

// levelOf returns the log level of a refusal: error for our own faults, warning
// for those of the delivery. Those for which the gate writes lines of its own are
// left to a debug log: there may be thousands a second.
func levelOf(r *refusal, status int) slog.Level {
	if errors.Is(r, errOverloaded) || errors.Is(r, errAway) {
		return slog.LevelDebug
	}
	if status >= http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelWarn
}
