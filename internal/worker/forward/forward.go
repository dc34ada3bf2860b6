// Package forward sends events on to an operator's own services.
package forward

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

// Activities send events on to the operator's own services. A worker registers
// the struct; its method is the Activity. It may be used by many goroutines.
type Activities struct {
	// HTTP is the client to send with; if nil, one with Go's defaults.
	HTTP *http.Client
	// Now is the clock that signatures and Retry-After dates are read
	// against; if nil, time.Now.
	Now func() time.Time
	// Targets says by route where its events go. It may be replaced while the
	// worker runs; until it is set, there are none.
	Targets atomic.Pointer[map[Route]Target]
}

// Route is a route that forwards.
type Route struct {
	Source string
	Name   string // see event.Route
}

// String names the route, for errors.
func (r Route) String() string { return fmt.Sprintf("%q of source %q", r.Name, r.Source) }

// Target is one service that takes events.
type Target struct {
	// URL is where events are POSTed, http or https. It may carry a user and
	// a password, which are sent as basic authentication.
	URL string
	// Headers are patterns of the Event's headers that are sent along, such
	// as "X-Shopify-*".
	Headers []string
	// Sign adds the headers that prove who sent the body. The id is that of
	// MessageID, the same in every attempt; the time is that of this attempt. If nil, requests are not signed. Its error is shown to
	// people, so it must not hold the secret.
	Sign func(h http.Header, id string, at time.Time, body []byte) error
}

// ForwardEvent POSTs the payload, byte for byte as the provider signed it, to
// the target of the Event's route. The request also says:
//
//	Content-Type         as the delivery's
//	Idempotency-Key      Event.Key("Forward")
//	Hookyard-Source      the Event's source
//	Hookyard-Event-Type  the Event's type, percent-encoded where it is not
//	                     visible ASCII; not sent where it has none
//	Target.Headers       as the Event keeps them, less those that are named here
//	Hookyard-Attempt     1 for the first attempt, counted up from there; it
//	                     starts anew when the step is resumed, and after an
//	                     attempt within the Workflow Task
//
// and has the headers that Target.Sign sets.
//
// It is idempotent under Event.Key("Forward") as far as the target honours
// that key: an answer that is lost on its way leads to a second request with
// the same key and body.
//
// Permanent are NotConfigured (no usable target, or one that cannot sign),
// BadPayload, and Refused (a redirect, or a 4xx other than 408, 425 and 429).
// Everything else is Unavailable, and Retry-After is obeyed for up to an hour.
// A request may take as long as the Activity's attempt, less the time that it
// takes to say so.
func (f *Activities) ForwardEvent(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	if f == nil {
		f = &Activities{}
	}
	var targets map[Route]Target
	if now := f.Targets.Load(); now != nil {
		targets = *now
	}
	route := Route{ev.Source, ev.Route.Name}
	target, ok := targets[route]
	if !ok {
		return failure.Permanent(failure.TypeNotConfigured, "the config has no route %s that forwards, as it had when the event came: give a route this name; routes that forward: %s",
			route, names(targets))
	}
	to, err := endpoint(target.URL, "forward.url of the route "+route.String())
	if err != nil {
		return err
	}
	body, isJSON, err := plainBytes(payload)
	if err != nil {
		return err
	}

	now := time.Now
	if f.Now != nil {
		now = f.Now
	}
	header := passedOn(ev, target.Headers)
	header.Set("Content-Type", contentType(ev.ContentType, isJSON))
	header.Set("Idempotency-Key", escaped(ev.Key("Forward")))
	header.Set("Hookyard-Source", escaped(ev.Source))
	if ev.Type != "" {
		header.Set("Hookyard-Event-Type", escaped(ev.Type))
	}
	if activity.IsActivity(ctx) {
		header.Set("Hookyard-Attempt", strconv.Itoa(int(activity.GetInfo(ctx).Attempt)))
	}
	if target.Sign != nil {
		if err := target.Sign(header, MessageID(ev), now(), body); err != nil {
			return failure.Permanent(failure.TypeNotConfigured, "cannot sign for the route %s: %v", route, err)
		}
	}

	ctx, cancel := beforeTheEnd(ctx)
	defer cancel()
	return post(ctx, f.HTTP, to, header, body, now())
}

// names lists the routes, for an error.
func names(targets map[Route]Target) string {
	var all []string
	for route := range targets {
		all = append(all, route.String())
	}
	slices.Sort(all)
	return "[" + strings.Join(all, ", ") + "]"
}

// beforeTheEnd returns a context that ends a tenth before the attempt does, and
// at most a second, so that the error says that there was no answer in time.
func beforeTheEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(time.Second, time.Until(end)/10)))
}

// MessageID returns the id under which an Event is forwarded: its Workflow Id,
// with "." written as "%2E". Standard Webhooks signs "<id>.<time>.<body>", so a
// dot in the id would let one signature fit two messages.
func MessageID(ev event.Event) string {
	return strings.NewReplacer("%", "%25", ".", "%2E").Replace(ev.WorkflowID())
}

// ours are patterns of the headers that a request says of itself. A sender, whose
// headers nobody has signed, must not say them in its place.
func ours() []string {
	return []string{"hookyard-*", "webhook-*", "idempotency-key", "authorization", "content-*", "user-agent", "host", "accept-encoding", "transfer-encoding", "connection"}
}

// passedOn returns the Event's headers that fit the patterns.
func passedOn(ev event.Event, patterns []string) http.Header {
	header := http.Header{}
	for name, values := range ev.Headers {
		fits := func(pattern string) bool { return event.Match(strings.ToLower(pattern), strings.ToLower(name)) }
		if !slices.ContainsFunc(patterns, fits) || slices.ContainsFunc(ours(), fits) {
			continue
		}
		for _, value := range values {
			if !strings.ContainsFunc(value, control) {
				header.Add(name, value)
			}
		}
	}
	return header
}

// control reports what no header may hold.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// plainBytes returns what the edge took in, and whether it was kept as JSON.
// A payload in any other encoding is not what the provider sent: a codec that
// the worker has no key for, say.
func plainBytes(v converter.RawValue) (body []byte, isJSON bool, err error) {
	payload := v.Payload()
	switch encoding := string(payload.GetMetadata()[converter.MetadataEncoding]); encoding {
	case converter.MetadataEncodingJSON:
		return payload.GetData(), true, nil
	case converter.MetadataEncodingBinary:
		return payload.GetData(), false, nil
	default:
		return nil, false, failure.Permanent(failure.TypeBadPayload, "the payload has encoding %q; only %q and %q can be forwarded",
			encoding, converter.MetadataEncodingJSON, converter.MetadataEncodingBinary)
	}
}

// contentType returns the delivery's Content-Type, or a default where it has
// none that can be sent.
func contentType(received string, isJSON bool) string {
	switch {
	case received != "" && !strings.ContainsFunc(received, control):
		return received
	case isJSON:
		return "application/json"
	default:
		return "application/octet-stream"
	}
}
