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

// A reason is why a delivery was not taken. The sender is told the reason; the
// cause behind it goes to the log.
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
	notGreeted       reason = "handshake-not-finished"
	internal         reason = "internal"
)

// answers maps every reason to what the sender is told. 410 is never among
// them: senders take it as a wish to unsubscribe. Whatever is our fault is
// 503, so that the sender sends it again.
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
	notGreeted:       {http.StatusServiceUnavailable, "the handshake could not be finished; send it again"},
	internal:         {http.StatusServiceUnavailable, "something broke here; send it again"},
}

// retryAfter is how long a sender is asked to wait after a 503. It is short
// because a redelivery of a stored event costs next to nothing.
const retryAfter = 5 * time.Second

// refusal is a delivery that was not taken.
type refusal struct {
	reason reason
	cause  error         // for the log
	after  time.Duration // for Retry-After; 0 for none
	allow  string        // for Allow

	// answer is what the provider wants to hear instead of a problem detail;
	// nil where a problem detail will do.
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

// refuseUnverified gives a genuine but old delivery a reason of its own:
// its sender's clock, or ours, is what to look at.
//
// An error that is none of the provider package's says nothing of the delivery:
// the key to check it with could not be had. It may be genuine.
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

// outcome is what became of a delivery that was taken.
type outcome string

const (
	accepted  outcome = "accepted"  // stored just now
	duplicate outcome = "duplicate" // stored before
	ignored   outcome = "ignored"   // of a type this source does not want
	greeted   outcome = "handshake" // no event, the answer it asked for

	// failed is an event of a delivery that is refused for it.
	failed outcome = "failed"
	// rebuffed is a handshake that asked for what it may not have.
	rebuffed outcome = "handshake-refused"
)

// WorkflowIDHeader names, in the answer to a delivery with one event, the
// Workflow that holds it.
const WorkflowIDHeader = "Hookyard-Workflow-Id"

// writeAnswer answers with what the provider wants to hear, and returns the
// status.
func writeAnswer(w http.ResponseWriter, a *provider.Answer) int {
	maps.Copy(w.Header(), a.Header)
	// What a stranger sent is echoed here: no browser may take it for a page.
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
	if a.status == http.StatusServiceUnavailable {
		after = retryAfter
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

// levelOf says how loud a refusal is in the log: what is wrong on our side is
// an error, what is wrong with the delivery a warning.
func levelOf(status int) slog.Level {
	if status >= http.StatusInternalServerError {
		return slog.LevelError
	}
	return slog.LevelWarn
}
