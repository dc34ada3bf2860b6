package attempt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// Activities are the Activities of sending. A worker registers the struct. It
// may be used by many goroutines.
type Activities struct {
	Starter *Starter
	HTTP    *egress.Client
	// Schedule are the waits between attempts where an endpoint has none of
	// its own.
	Schedule []time.Duration
	// DisableAfter is how long an endpoint may fail before it is disabled.
	DisableAfter time.Duration
	// Origin is who we say we are to CloudEvents endpoints.
	Origin string
	// Tell has people told of an endpoint, besides its tenant's operational
	// endpoints; nil for nobody.
	Tell func(ctx context.Context, e *endpoint.Endpoint, n delivery.Notice) error
	// Now is the clock; nil for time.Now.
	Now func() time.Time

	gates gates
}

// DefaultSchedule are the waits between the attempts of a delivery: 1 minute
// after the first, and then every 24 hours for five days at the end.
func DefaultSchedule() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 10 * time.Hour, day, day, day, day, day}
}

func (a *Activities) now() time.Time {
	if a.Now != nil {
		return a.Now().UTC()
	}
	return time.Now().UTC()
}

// An endpoint is failing after so many failures in a row, over so long a time.
const (
	failingAfter = 5
	failingFor   = time.Minute
)

const (
	// storePause is the wait where the store is away.
	storePause = 10 * time.Second
	// pendingPause is the wait where an endpoint has to prove itself.
	pendingPause = time.Minute
	// longestWait bounds Retry-After.
	longestWait = 24 * time.Hour
	mostLogged  = 30 // attempts
)

// DeliverMessage makes one attempt to deliver a message to an endpoint, which
// is the event's source. Attempts are kept in the heartbeat, so that Temporal's
// Web UI shows them while the next one is waited for.
//
// A failed attempt says itself when the next one comes: by the schedule, with a
// tenth of jitter, or later where the answer has a Retry-After. Its type is
// Failed; that of the last one is event.ErrorExhausted. Postponed is a wait
// that is no attempt: the endpoint has yet to prove itself, has too much under
// way, or the store is away.
func (a *Activities) DeliverMessage(ctx context.Context, ev event.Event, ref delivery.Ref) (delivery.Outcome, error) {
	var log []delivery.Attempt
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &log); err != nil {
			activity.GetLogger(ctx).Error("the attempts so far cannot be read", "err", err)
		}
	}
	undelivered := func(why string) (delivery.Outcome, error) {
		return delivery.Outcome{State: delivery.Undelivered, Why: why, Attempts: log}, nil
	}
	e, err := a.Starter.Book.Get(ctx, ev.Source)
	switch {
	case errors.Is(err, endpoint.ErrNotFound):
		return undelivered("the endpoint is deleted")
	case err != nil:
		return delivery.Outcome{}, postponed(ctx, storePause, "%v", err)
	case e.State == endpoint.Disabled:
		return undelivered("the endpoint is disabled: " + e.Why)
	case e.State == endpoint.Pending && a.now().Sub(ev.ReceivedAt) > a.DisableAfter:
		return undelivered("the endpoint has not proven itself in " + a.DisableAfter.String())
	case e.State == endpoint.Pending:
		return delivery.Outcome{}, postponed(ctx, pendingPause, "the endpoint has yet to prove that it wants this")
	}
	m, err := a.Starter.Book.Message(ctx, ref.Tenant, ev.ID)
	switch {
	case errors.Is(err, endpoint.ErrNotFound):
		return undelivered("the message is not kept any more")
	case err != nil:
		return delivery.Outcome{}, postponed(ctx, storePause, "%v", err)
	}
	leave, wait := a.gates.enter(e, a.now())
	if wait > 0 {
		return delivery.Outcome{}, postponed(ctx, wait, "the endpoint has enough under way")
	}
	defer leave()

	made, answer, err := a.post(ctx, e, m)
	if err != nil { // nothing was sent
		return delivery.Outcome{}, err
	}
	if log = append(log, made); len(log) > mostLogged {
		log = log[len(log)-mostLogged:]
	}
	return a.conclude(ctx, e, ev, log, answer)
}

// conclude turns the last attempt of the log into the outcome of the Activity.
func (a *Activities) conclude(ctx context.Context, e *endpoint.Endpoint, ev event.Event, log []delivery.Attempt, answer *answer) (delivery.Outcome, error) {
	last := log[len(log)-1]
	metrics := activity.GetMetricsHandler(ctx)
	count := func(result string) {
		tagged := metrics.WithTags(map[string]string{"result": result})
		tagged.Counter("hookyard_send_attempts_total").Inc(1)
		tagged.Timer("hookyard_send_attempt_seconds").Record(time.Duration(last.Millis) * time.Millisecond)
	}
	switch {
	case last.Status/100 == 2:
		count("delivered")
		metrics.Timer("hookyard_send_delivery_seconds").Record(a.now().Sub(ev.ReceivedAt))
		a.succeeded(ctx, e)
		return delivery.Outcome{State: delivery.Delivered, Attempts: log}, nil
	case last.Status == http.StatusGone:
		count("gone")
		why := "it answered 410 Gone"
		activity.RecordHeartbeat(ctx, log)
		if err := a.disable(ctx, e.ID, why); err != nil {
			return delivery.Outcome{}, postponed(ctx, storePause, "%v", err)
		}
		return delivery.Outcome{State: delivery.Undelivered, Why: "the endpoint is disabled: " + why, Attempts: log}, nil
	}
	count("failed")
	activity.RecordHeartbeat(ctx, log)
	a.failed(ctx, e, last)
	if answer.throttles() {
		a.gates.holdOff(e.ID, a.now().Add(max(answer.retryAfter, 10*time.Second)))
	}
	schedule := e.Schedule
	if len(schedule) == 0 {
		schedule = a.Schedule
	}
	text := fmt.Sprintf("attempt %d of %d: %s", len(log), len(schedule)+1, describe(last))
	if len(log) > len(schedule) {
		return delivery.Outcome{}, temporal.NewApplicationErrorWithOptions(text, event.ErrorExhausted, temporal.ApplicationErrorOptions{
			NonRetryable: true, Details: []any{len(log), log},
		})
	}
	wait := jittered(schedule[len(log)-1])
	return delivery.Outcome{}, temporal.NewApplicationErrorWithOptions(text, "Failed", temporal.ApplicationErrorOptions{
		NextRetryDelay: max(wait, answer.retryAfter),
	})
}

// jittered returns a wait of nine to eleven tenths.
func jittered(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d/5)+1)) //nolint:gosec // it spreads load, and hides nothing
}

func describe(a delivery.Attempt) string {
	if a.Status == 0 {
		return a.Error
	}
	text := strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
	if a.Answer != "" {
		text += ": " + a.Answer[:min(len(a.Answer), 200)]
	}
	return text
}

// postponed is a wait that is no attempt.
func postponed(ctx context.Context, wait time.Duration, format string, args ...any) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(fmt.Sprintf(format, args...), "Postponed", temporal.ApplicationErrorOptions{
		NextRetryDelay: jittered(wait), Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// succeeded notes a success where there was a failure before.
func (a *Activities) succeeded(ctx context.Context, e *endpoint.Endpoint) {
	if e.Failures == 0 && e.State == endpoint.Active {
		return
	}
	recovered, err := a.Starter.Book.Succeeded(ctx, e.ID)
	if err == nil && recovered {
		err = a.Starter.Watch(ctx, e.ID)
	}
	if err != nil { // the watch looks by itself, later
		activity.GetLogger(ctx).Warn("a success was not noted", "endpoint", e.ID, "err", err)
	}
}

// failed notes a failure and, after some of them, has the endpoint watched.
func (a *Activities) failed(ctx context.Context, e *endpoint.Endpoint, last delivery.Attempt) {
	failures, since, err := a.Starter.Book.Failed(ctx, e.ID)
	if err == nil && e.State == endpoint.Active && failures >= failingAfter && a.now().Sub(since) >= failingFor {
		why := fmt.Sprintf("%d attempts in a row have failed; the last one: %s", failures, describe(last))
		var moved bool
		if _, moved, err = a.Starter.Book.Move(ctx, e.ID, endpoint.Failing, why, endpoint.Active); moved && err == nil {
			err = a.Starter.Watch(ctx, e.ID)
		}
	}
	if err == nil && e.State == endpoint.Failing && a.now().Sub(since) >= a.DisableAfter {
		err = a.Starter.Watch(ctx, e.ID)
	}
	if err != nil {
		activity.GetLogger(ctx).Warn("a failure was not noted", "endpoint", e.ID, "err", err)
	}
}

// disable ends deliveries to an endpoint.
func (a *Activities) disable(ctx context.Context, id, why string) error {
	e, _, err := a.Starter.Book.Move(ctx, id, endpoint.Disabled, why, endpoint.Active, endpoint.Failing, endpoint.Pending)
	if err != nil || e.Told == endpoint.Disabled {
		return err
	}
	return a.Starter.Watch(ctx, id)
}
