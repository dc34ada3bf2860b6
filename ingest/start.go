package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hookyard/hookyard/event"
)

// Starter makes an event durable.
type Starter interface {
	// Start returns nil once the event is durable. ErrDuplicate means that it
	// was stored earlier, ErrTooLarge that it can never be stored. After any
	// other error the event may or may not be stored; starting it again
	// tells. The payload is one that Payload returned.
	Start(ctx context.Context, ev event.Event, payload converter.RawValue) error
}

// The errors of Start that the edge tells apart.
var (
	ErrDuplicate = errors.New("the event is stored already")
	ErrTooLarge  = errors.New("the event is too large to store")
)

// The Search Attributes that a run is started with.
var (
	sourceAttribute = temporal.NewSearchAttributeKeyKeyword(event.SourceAttribute)
	typeAttribute   = temporal.NewSearchAttributeKeyKeyword(event.TypeAttribute)
)

// WorkflowStarter is the Starter that starts a Workflow whose Workflow Type is
// the event's and whose Workflow Id is the event's id, on the Task Queue that its
// route says. Temporal refuses a
// second start in the same write that stores the first.
type WorkflowStarter struct {
	Client    client.Client
	TaskQueue string
	// Eager hands the first Workflow Task straight to a worker of this process
	// that uses the same Client, if there is one.
	Eager bool
	// Priority is the one in Temporal of runs whose route says none, from 1, the
	// highest, to 5; 0 is 3.
	Priority int
	Logger   *slog.Logger
}

// Start implements Starter.
func (s *WorkflowStarter) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	ctx, last := withCause(ctx)
	options := s.options(ev)
	_, err := s.Client.ExecuteWorkflow(ctx, options, ev.WorkflowType(), ev, payload)
	if err != nil && isSearchAttributeError(err) {
		// Storing the event is more important than finding it in lists.
		s.Logger.Warn("started without search attributes; run `hookyard setup`", "workflow_id", options.ID, "err", err)
		options.TypedSearchAttributes = temporal.SearchAttributes{}
		_, err = s.Client.ExecuteWorkflow(ctx, options, ev.WorkflowType(), ev, payload)
	}
	return startError(err, last)
}

// options make the start the dedup decision. Temporal refuses an id that an open
// run has, or a closed one within its retention. The SDK returns that as an error
// instead of the other run. There is no timeout, because a parked run waits for
// a person.
func (s *WorkflowStarter) options(ev event.Event) client.StartWorkflowOptions {
	attributes := []temporal.SearchAttributeUpdate{sourceAttribute.ValueSet(ev.Source)}
	if ev.Type != "" {
		attributes = append(attributes, typeAttribute.ValueSet(ev.Type))
	}
	return client.StartWorkflowOptions{
		ID:                                       ev.WorkflowID(),
		TaskQueue:                                cmp.Or(ev.Route.TaskQueue, s.TaskQueue),
		Priority:                                 s.priority(ev),
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         s.Eager,
		StaticSummary:                            summary(ev),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
	}
}

// priority is the route's. Where that says no fairness key, the source is one:
// sources then share a Task Queue, whatever each of them sends.
func (s *WorkflowStarter) priority(ev event.Event) temporal.Priority {
	return temporal.Priority{
		PriorityKey:    cmp.Or(ev.Route.Priority, s.Priority),
		FairnessKey:    cmp.Or(ev.Route.FairnessKey, ev.Source),
		FairnessWeight: ev.Route.FairnessWeight,
	}
}

// summary returns the run's summary for the Web UI, at most 200 bytes. Temporal
// takes 400.
func summary(ev event.Event) string {
	short := func(text string) string { return event.Code(text[:min(len(text), 100)]) }
	text := ev.Source
	if ev.Type != "" {
		text += " " + short(ev.Type)
	}
	text += " " + short(ev.ID)
	if ev.Via != "" {
		text += ", via " + ev.Via
	}
	return text
}

// Payload wraps a body so that Temporal stores its bytes as they came. The Web
// UI shows them as JSON if isJSON is set.
func Payload(body []byte, isJSON bool) converter.RawValue {
	encoding := converter.MetadataEncodingBinary
	if isJSON {
		encoding = converter.MetadataEncodingJSON
	}
	return converter.NewRawValue(&commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding)},
		Data:     body,
	})
}

func isSearchAttributeError(err error) bool {
	var invalid *serviceerror.InvalidArgument
	return errors.As(err, &invalid) && strings.Contains(strings.ToLower(invalid.Message), "search attribute")
}

// startError maps the errors of a start to ErrDuplicate and ErrTooLarge. After
// any other error it is not known whether the event is stored, so the sender
// must send it again.
func startError(err error, last *cause) error {
	if err == nil {
		return nil
	}
	var (
		started *serviceerror.WorkflowExecutionAlreadyStarted
		invalid *serviceerror.InvalidArgument
		limited *serviceerror.ResourceExhausted
	)
	switch {
	case errors.As(err, &started):
		return ErrDuplicate
	case errors.As(err, &invalid) && strings.Contains(invalid.Message, "exceeds") && strings.Contains(invalid.Message, "limit"):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case status.Code(err) == codes.ResourceExhausted && !errors.As(err, &limited):
		// The SDK's own error for a message larger than gRPC carries.
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	if attempt := last.load(); attempt != nil {
		return fmt.Errorf("%w (the last attempt: %w)", err, attempt)
	}
	return err
}

// cause holds the error of the last attempt of a call. The SDK retries inside a
// call and then reports only that time ran out. The log needs the cause.
type cause struct{ err atomic.Pointer[error] }

type causeKey struct{}

func withCause(ctx context.Context) (context.Context, *cause) {
	c := &cause{}
	return context.WithValue(ctx, causeKey{}, c), c
}

func (c *cause) load() error {
	if p := c.err.Load(); p != nil {
		return *p
	}
	return nil
}

// RecordCause is a gRPC interceptor that keeps the error of each attempt of a
// start for the log, and sees when nobody is at Temporal's address. It has to be
// the innermost interceptor of the client.
func RecordCause(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if c, ok := ctx.Value(causeKey{}).(*cause); ok && err != nil {
		c.err.Store(&err)
	}
	noteAttempt(ctx, err)
	return err
}
