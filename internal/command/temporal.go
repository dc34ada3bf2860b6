package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/worker/waiting"
)

// The address that a profile without one means, as with Temporal's own tools.
const (
	DefaultHost      = "127.0.0.1"
	DefaultPort      = 7233
	defaultNamespace = "default"
)

// Retention returns for how long a namespace keeps closed runs.
func Retention(ctx context.Context, c client.Client, namespace string) (time.Duration, error) {
	described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return 0, err
	}
	return described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(), nil
}

// DefaultRetention is how long `setup` has a namespace keep closed runs, and
// with them the memory of which events were there.
const DefaultRetention = 30 * 24 * time.Hour

// SearchAttributes are the Search Attributes of Hookyard's Workflows, with
// their types.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	types := map[string]enumspb.IndexedValueType{}
	for _, name := range event.SearchAttributes() {
		types[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	return types
}

// ClientOptions reads Temporal's own profile and TEMPORAL_* variables.
func ClientOptions(env Env, logger *slog.Logger) (client.Options, error) {
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{EnvLookup: env})
	if err != nil {
		return client.Options{}, fmt.Errorf("temporal profile: %w", err)
	}
	if options.HostPort == "" {
		options.HostPort = fmt.Sprintf("%s:%d", DefaultHost, DefaultPort)
	}
	if options.Namespace == "" {
		options.Namespace = defaultNamespace
	}
	if host, _, err := net.SplitHostPort(options.HostPort); err == nil && Loopback(host) {
		// Between two programs of one machine gzip only costs time.
		options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	options.Logger = log.NewStructuredLogger(logger)
	// A body of up to max_body is no reason for a warning: what is too large
	// for Temporal it refuses by itself.
	options.PayloadLimits.PayloadSizeWarning = 2 << 20
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions,
		grpc.WithConnectParams(reconnect),
		grpc.WithChainUnaryInterceptor(pollWhenReady, ingest.RecordCause, waiting.Once))
	return options, nil
}

// Dial connects to Temporal. Its error says in one sentence where none answers and
// what to do.
func Dial(ctx context.Context, o client.Options) (client.Client, error) {
	c, err := client.DialContext(ctx, o)
	if err != nil {
		return nil, Unreachable(o.HostPort, err)
	}
	return c, nil
}

// Unreachable says that no Temporal can be used at the address. Why, it says where
// that is more than that nothing answers.
func Unreachable(address string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	cause := dialCause(err)
	if strings.Contains(cause, "connection refused") || strings.Contains(cause, context.DeadlineExceeded.Error()) {
		return fmt.Errorf("no Temporal answers at %s; start one with `hookyard dev`, or say where it is with TEMPORAL_ADDRESS", address)
	}
	return fmt.Errorf("the Temporal at %s cannot be used: %s; TEMPORAL_ADDRESS and Temporal's own profile say where it is and how to get in", address, cause)
}

// dialCause cuts off what gRPC and the SDK put around the reason of a connection
// that could not be made.
func dialCause(err error) string {
	text := err.Error()
	for _, before := range []string{"failed reaching server: ", "connection error: desc = ", "transport: ", "Error while dialing: "} {
		if _, cause, ok := strings.Cut(text, before); ok {
			text = strings.Trim(cause, `"`)
		}
	}
	return text
}

// reconnect has a Temporal that was away noticed within a second of its return.
// The SDK's own wait grows to ten.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// pollWhenReady is a gRPC interceptor that has a worker's polls wait for a
// connection. The SDK waits up to ten seconds before it polls again after a poll
// that failed, and a worker would idle for as long after Temporal's return.
func pollWhenReady(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	switch req.(type) {
	case *workflowservice.PollWorkflowTaskQueueRequest, *workflowservice.PollActivityTaskQueueRequest:
		opts = append(opts, grpc.WaitForReady(true))
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// Loopback reports whether the host is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Window is what the retention of a namespace has to fit: the longest time after
// which the provider of some source may send an event again, or the source is
// reconciled, and the time for
// which the payload store keeps what a closed run refers to.
type Window struct {
	source, provider string
	length           time.Duration
	parkFor          time.Duration
	stored           time.Duration // 0 where nothing deletes objects
	reconciled       bool          // length is how far back the source is reconciled
}

// Window returns what the config asks of the retention.
func (s *Setting) Window() Window {
	longest := Window{parkFor: s.ParkFor}
	if s.PayloadStore != nil {
		longest.stored = s.PayloadStore.Keep
	}
	for _, name := range slices.Sorted(maps.Keys(s.Bound)) {
		p := s.Bound[name].Provider
		if p.RedeliveryWindow() > longest.length {
			longest.source, longest.provider, longest.length, longest.reconciled = name, p.Name(), p.RedeliveryWindow(), false
		}
		if r := s.Bound[name].Reconcile(); r != nil && r.Window > longest.length {
			longest.source, longest.provider, longest.length, longest.reconciled = name, p.Name(), r.Window, true
		}
	}
	return longest
}

// ErrNotReady is a Temporal that answers and that Hookyard cannot run on
// before somebody does something about it.
var ErrNotReady = errors.New("temporal is not ready for hookyard")

// CheckNamespace sees that the namespace exists, remembers events long enough
// and has the Search Attributes. An error that is not errNotReady means that
// Temporal could not be asked.
func CheckNamespace(ctx context.Context, c client.Client, namespace string, w Window) error {
	described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if _, ok := errors.AsType[*serviceerror.NamespaceNotFound](err); ok {
		return fmt.Errorf("%w: there is no namespace %q; run `hookyard setup`", ErrNotReady, namespace)
	}
	if err != nil {
		return err
	}
	retention := described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	if retention < w.length && w.reconciled {
		return fmt.Errorf("%w: namespace %q keeps closed runs for %s, but source %q is reconciled over %s, and an event that is forgotten would run again; make its reconcile.window shorter, or run `hookyard setup --retention %s` or longer",
			ErrNotReady, namespace, retention, w.source, w.length, w.length)
	}
	if retention < w.length {
		return fmt.Errorf("%w: namespace %q keeps closed runs for %s, but %s (source %q) may send an event again for %s, and the late one would run twice; run `hookyard setup --retention %s` or longer",
			ErrNotReady, namespace, retention, w.provider, w.source, w.length, w.length)
	}
	if w.stored > 0 && w.stored < w.parkFor+retention {
		return fmt.Errorf("%w: payload_store.keep: the bucket deletes an object after %s, but its run may be parked for %s (park_for) and namespace %q keeps it for %s more; have the bucket's lifecycle keep objects for %s or longer",
			ErrNotReady, w.stored, w.parkFor, namespace, retention, w.parkFor+retention)
	}
	return checkSearchAttributes(ctx, c, namespace)
}

func checkSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if NotForUs(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(SearchAttributes())) {
		if _, there := listed.GetCustomAttributes()[name]; !there {
			return fmt.Errorf("%w: namespace %q has no Search Attribute %s; run `hookyard setup`", ErrNotReady, namespace, name)
		}
	}
	return nil
}

// NotForUs reports an operation that the server leaves to its operators, as
// Temporal Cloud does: what cannot be looked at is taken to be there.
func NotForUs(err error) bool {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
}

// AwaitNamespace waits until Temporal answers, and then returns what
// checkNamespace finds. It returns nil, too, when ctx ends first.
func AwaitNamespace(ctx context.Context, c client.Client, namespace string, w Window, logger *slog.Logger) error {
	const pause = 2 * time.Second
	for told := false; ; told = true {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := CheckNamespace(attempt, c, namespace, w)
		cancel()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // nobody waits any more
		}
		if err == nil || errors.Is(err, ErrNotReady) {
			return err
		}
		if !told {
			logger.Warn("temporal cannot be reached; deliveries are answered 503 until it can", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
