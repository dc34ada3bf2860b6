package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// TestStartErrors sorts what a start can end with. Whatever is not known to be
// a duplicate or too large must stay an error that is answered with "send it
// again".
func TestStartErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want error // nil: some other error
	}{
		{"already started", serviceerror.NewWorkflowExecutionAlreadyStarted("x", "", "run"), ErrDuplicate},
		{"blob size", serviceerror.NewInvalidArgument("Blob data size exceeds limit."), ErrTooLarge},
		{"message size", status.Error(codes.ResourceExhausted, "grpc: received message larger than max"), ErrTooLarge},
		{"rate limit", &serviceerror.ResourceExhausted{Message: "namespace rate limit exceeded"}, nil},
		{"bad argument", serviceerror.NewInvalidArgument("WorkflowType is not set on request."), nil},
		{"deadline", serviceerror.NewDeadlineExceeded("context deadline exceeded"), nil},
		{"unavailable", serviceerror.NewUnavailable("connection refused"), nil},
		{"no namespace", serviceerror.NewNamespaceNotFound("hooks"), nil},
		{"denied", serviceerror.NewPermissionDenied("no", ""), nil},
		{"canceled", context.Canceled, nil},
		{"anything else", errors.New("failed reaching server"), nil},
	} {
		got := startError(tt.err, &cause{})
		require.Error(t, got, tt.name)
		if tt.want != nil {
			require.ErrorIs(t, got, tt.want, tt.name)
			continue
		}
		require.NotErrorIs(t, got, ErrDuplicate, tt.name)
		require.NotErrorIs(t, got, ErrTooLarge, tt.name)
		require.ErrorIs(t, got, tt.err, tt.name)
	}
	require.NoError(t, startError(nil, &cause{}))
}

// TestCauseOfTheLastAttempt sees the error that the SDK hides behind its own
// deadline.
func TestCauseOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	ctx, last := withCause(t.Context())
	for _, text := range []string{"first", "rate limit exceeded"} {
		_ = RecordCause(ctx, "", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			return errors.New(text)
		})
	}
	err := startError(serviceerror.NewDeadlineExceeded("context deadline exceeded"), last)
	require.EqualError(t, err, "context deadline exceeded (the last attempt: rate limit exceeded)")
}

func TestPayload(t *testing.T) {
	t.Parallel()
	for body, encoding := range map[string]string{` {"a": 1.0 }`: "json/plain", "a=b&c=d": "binary/plain", "\xff": "binary/plain"} {
		p := Payload([]byte(body), encoding == "json/plain").Payload()
		require.Equal(t, encoding, string(p.GetMetadata()["encoding"]), "%q", body)
		require.Equal(t, body, string(p.GetData()))
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	require.Equal(t, "stripe `invoice.paid` `evt_1`", summary(event.Event{Source: "stripe", Type: "invoice.paid", ID: "evt_1"}))
	long := summary(event.Event{Source: "s", Type: "t", ID: strings.Repeat("é", 300)})
	require.LessOrEqual(t, len(long), 400, "what Temporal takes")
	require.Equal(t, long, strings.ToValidUTF8(long, "?"))
}

// slow is a Starter that answers when its context ends, and says how long
// that took and what deadline it saw.
type slow struct {
	took, deadline time.Duration
}

func (s *slow) Start(ctx context.Context, _ event.Event, _ converter.RawValue) error {
	began := time.Now()
	at, _ := ctx.Deadline()
	s.deadline = time.Until(at)
	<-ctx.Done()
	s.took = time.Since(began)
	return ctx.Err()
}

// TestStartWithin holds a start against what its provider waits.
func TestStartWithin(t *testing.T) {
	t.Parallel()
	source := &Source{Provider: receiver(t, "slack")} // waits 3s
	require.Equal(t, 2400*time.Millisecond, source.startWithin(0))
	require.Equal(t, 1400*time.Millisecond, source.startWithin(time.Second))
	require.Equal(t, time.Second, source.startWithin(time.Minute))
	require.Equal(t, 10*time.Second, (&Source{Provider: receiver(t, "stripe")}).startWithin(0), "20s, of which the SDK can use 10")

	synctest.Test(t, func(t *testing.T) { // its clock moves only while all wait
		starter := &slow{}
		s := New(Options{Starter: starter, Logger: slog.New(slog.DiscardHandler)})
		err := s.start(t.Context(), source, event.Event{ReceivedAt: time.Now().Add(-1200 * time.Millisecond)}, provider.Identity{}, false)
		require.Error(t, err)
		require.Equal(t, 1200*time.Millisecond, starter.took, "so much was left")
		require.Equal(t, 2*starter.took, starter.deadline, "the SDK takes half of it for one call")
	})
}

// gone is a Starter whose sender closes the connection as the start begins.
type gone struct {
	hangUp context.CancelFunc
	err    error // of the start's context after that
}

func (g *gone) Start(ctx context.Context, _ event.Event, _ converter.RawValue) error {
	g.hangUp()
	g.err = ctx.Err()
	return nil
}

// TestSenderGone: what a sender has signed is started, although the sender does
// not wait for the answer. It may not send it again.
func TestSenderGone(t *testing.T) {
	t.Parallel()
	ctx, hangUp := context.WithCancel(t.Context())
	starter := &gone{hangUp: hangUp}
	s := New(Options{
		Sources: map[string]*Source{"github": {Provider: receiver(t, "github"), name: "github", maxBody: 1 << 20}},
		Starter: starter, Logger: slog.New(slog.DiscardHandler),
	})
	d := provider.SampleDelivery("", []byte("{}"))
	require.NoError(t, s.sources()["github"].Provider.Stamp(d, "1", "push"))
	require.NoError(t, s.sources()["github"].Provider.Sign(d))
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/github", bytes.NewReader(d.Body))
	r.Header = d.Header
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Error(t, ctx.Err())
	require.NoError(t, starter.err)
}
