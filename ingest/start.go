package ingest

import (
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
	// Start returns nil once the event is stored for good. ErrDuplicate
	// means that it was stored before, ErrTooLarge that it can never be
	// stored as it is. With any other error it may or may not be stored,
	// and only sending it again tells. The payload is what Payload returns.
	Start(ctx context.Context, ev event.Event, payload converter.RawValue) error
}

// What Start returns besides nil.
var (
	ErrDuplicate = errors.New("the event is stored already")
	ErrTooLarge  = errors.New("the event is too large to store")
)

// The Search Attributes that a run is started with.
var (
	sourceAttribute = temporal.NewSearchAttributeKeyKeyword(event.SourceAttribute)
	typeAttribute   = temporal.NewSearchAttributeKeyKeyword(event.TypeAttribute)
)

// WorkflowStarter is the Starter that starts a Workflow named for the event's
// type. Its Workflow Id is the event's, so that the server itself, in the same
// write that stores the event, refuses a second one.
type WorkflowStarter struct {
	Client    client.Client
	TaskQueue string
	// Eager hands the first Workflow Task to a worker in this process
	// without a trip through the Task Queue, where one is on the same
	// Client.
	Eager  bool
	Logger *slog.Logger
}

// Start implements Starter.
func (s *WorkflowStarter) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	ctx, last := withCause(ctx)
	options := s.options(ev)
	_, err := s.Client.ExecuteWorkflow(ctx, options, ev.WorkflowType(), ev, payload)
	if err != nil && isSearchAttributeError(err) {
		// Storing the event comes before finding it in lists.
		s.Logger.Warn("started without search attributes; run `hookyard setup`", "workflow_id", options.ID, "err", err)
		options.TypedSearchAttributes = temporal.SearchAttributes{}
		_, err = s.Client.ExecuteWorkflow(ctx, options, ev.WorkflowType(), ev, payload)
	}
	return startError(err, last)
}

// options are those of the dedup decision: an id that is in use, by an open
// run or by a closed one that is still kept, is refused, and the SDK says so
// instead of handing back the other run. No timeout is set: a run may wait for
// a person as long as it takes.
func (s *WorkflowStarter) options(ev event.Event) client.StartWorkflowOptions {
	attributes := []temporal.SearchAttributeUpdate{sourceAttribute.ValueSet(ev.Source)}
	if ev.Type != "" {
		attributes = append(attributes, typeAttribute.ValueSet(ev.Type))
	}
	return client.StartWorkflowOptions{
		ID:                                       ev.WorkflowID(),
		TaskQueue:                                s.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         s.Eager,
		StaticSummary:                            summary(ev),
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
	}
}

// summary is the run's line in the Web UI. Temporal takes 400 bytes.
func summary(ev event.Event) string {
	text := ev.Source + " " + ev.Type + " " + ev.ID
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// Payload wraps a body so that its bytes are stored exactly as they came, and
// are shown as JSON where they are JSON.
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

// startError sorts what a start can end with. Everything that is neither a
// duplicate nor too large counts as unsure: answering the sender with anything
// but "send it again" could lose the event.
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

// cause holds the error of the last attempt of a call. The SDK retries inside
// a call and reports only that time ran out, which says nothing to whoever
// reads the log.
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

// RecordCause is the gRPC interceptor, to be the innermost one of the client,
// that keeps the error of each attempt of a start for the log.
func RecordCause(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if c, ok := ctx.Value(causeKey{}).(*cause); ok && err != nil {
		c.err.Store(&err)
	}
	return err
}
