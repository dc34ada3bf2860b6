package tests

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"
	"google.golang.org/grpc"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/alert"
	"github.com/hookyard/hookyard/tests/harness"
)

// runs are Workflows of a test, on a worker in this process and a Temporal
// server of its own. The commands of the program repair them.
type runs struct {
	*system
	queue    string
	handlers []worker.Handler
	policies worker.PolicySet
	steps    map[string]any // functions, by Activity Type
}

// newRuns returns runs whose worker is not started yet.
func newRuns(t *testing.T, policies worker.Entries, steps map[string]any, handlers ...worker.Handler) *runs {
	s := newSystem(t, startTemporal(t, ""), "\nsources:\n  stripe: {provider: stripe, secrets: [env:SECRET]}\n")
	return &runs{
		system: s, queue: filepath.Base(s.dir), handlers: handlers, steps: steps, policies: worker.PolicySet{Entries: policies},
	}
}

// once is a Retry Policy of a single attempt.
func once() worker.Entries {
	return worker.Entries{Default: worker.Policy{Timeout: minute, Retry: temporal.RetryPolicy{MaximumAttempts: 1}}}
}

// start has a worker poll until the test ends or stop is called.
func (r *runs) start() (stop func()) {
	t := r.t
	tasks := &worker.Tasks{}
	c := harness.Dial(t, client.Options{
		HostPort:          r.temporal.Address,
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(tasks.Watch)}},
	})
	w := sdkworker.New(c, r.queue, sdkworker.Options{
		DeadlockDetectionTimeout: minute, // a machine that is busy is no deadlock, and the SDK races with a Workflow that it gives up on
		Interceptors:             []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{Policies: worker.NewPolicies(r.policies), Tasks: tasks})},
	})
	require.NoError(t, worker.Register(w, r.handlers))
	w.RegisterActivity(&alert.Activities{})
	for name, step := range r.steps {
		w.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: name})
	}
	require.NoError(t, w.Start())
	var stopped atomic.Bool
	stop = func() {
		if stopped.CompareAndSwap(false, true) {
			w.Stop()
		}
	}
	t.Cleanup(stop)
	return stop
}

// begin starts the run of an event, as the edge does.
func (r *runs) begin(ev event.Event, payload string) (workflowID string) {
	ev.Source, ev.Provider = "stripe", "stripe"
	_, err := r.client.ExecuteWorkflow(r.t.Context(), client.StartWorkflowOptions{
		ID: ev.WorkflowID(), TaskQueue: r.queue,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(event.SourceAttribute).ValueSet(ev.Source),
			temporal.NewSearchAttributeKeyKeyword(event.TypeAttribute).ValueSet(ev.Type)),
	}, ev.WorkflowType(), ev, converter.NewRawValue(&commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)}, Data: []byte(payload),
	}))
	require.NoError(r.t, err)
	return ev.WorkflowID()
}

// parkedSteps waits until so many steps of a run are parked, as its memo says.
func (r *runs) parkedSteps(workflowID string, n int) {
	r.t.Helper()
	harness.Eventually(r.t, fmt.Sprintf("%d steps of %s are parked", n, workflowID), func() bool {
		require.Equal(r.t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, r.statusOf(workflowID))
		memo := r.memo(workflowID)
		return len(memo.Steps)+memo.More == n
	})
}

// fault is what is wrong with the world outside, for as long as it is on.
type fault struct{ atomic.Bool }
