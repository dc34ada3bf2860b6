package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// attempt is one that the step under test saw.
type attempt struct {
	local bool
	after time.Duration // since the one before, to the second
}

// attempts runs a Workflow of one step that answers with these errors, one
// after the other and then with its last, and returns what the step saw and
// what the Workflow got. Attempts of a regular Activity are not spaced in the
// test environment's clock, only the timer before them is.
func attempts(t *testing.T, o workflow.ActivityOptions, answers ...error) ([]attempt, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{worker.FirstAttemptOnly(nil, "Step")}})
	var (
		seen []attempt
		last = env.Now()
	)
	env.RegisterActivityWithOptions(func(ctx context.Context, text string) (string, error) {
		now := env.Now()
		seen = append(seen, attempt{activity.GetInfo(ctx).IsLocalActivity, now.Sub(last).Truncate(time.Second)})
		last = now
		return text + "!", answers[min(len(seen), len(answers))-1]
	}, activity.RegisterOptions{Name: "Step"})
	env.ExecuteWorkflow(func(ctx workflow.Context) error {
		var result string
		err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), "Step", "done").Get(ctx, &result)
		if err == nil && result != "done!" {
			return errors.New("the result is lost: " + result)
		}
		return err
	})
	require.True(t, env.IsWorkflowCompleted())
	return seen, env.GetWorkflowError()
}

// shortStep are the options of a step that is attempted locally.
func shortStep() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: event.LocalWithin,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 3 * time.Second, BackoffCoefficient: 2, MaximumAttempts: 3},
	}
}

func TestFirstAttempt(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*workflow.ActivityOptions){
		"a long timeout":           func(o *workflow.ActivityOptions) { o.StartToCloseTimeout = event.LocalWithin + 1 },
		"a limit of all attempts":  func(o *workflow.ActivityOptions) { o.ScheduleToCloseTimeout = time.Second },
		"a heartbeat":              func(o *workflow.ActivityOptions) { o.HeartbeatTimeout = time.Second },
		"a Task Queue of its own":  func(o *workflow.ActivityOptions) { o.TaskQueue = "mail" },
		"none of these (is local)": func(*workflow.ActivityOptions) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := shortStep()
			change(&o)
			seen, err := attempts(t, o, nil)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff([]attempt{{local: name == "none of these (is local)"}}, seen, cmp.AllowUnexported(attempt{})))
		})
	}
}

func TestFirstAttemptFails(t *testing.T) {
	t.Parallel()
	broken, permanent := errors.New("connection refused"), temporal.NewNonRetryableApplicationError("no such customer", "Gone", nil)
	later := temporal.NewApplicationErrorWithOptions("too many", "Busy", temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute})
	final := temporal.NewApplicationError("no such tariff", "Final")
	muchLater := temporal.NewApplicationErrorWithOptions("too many", "Busy", temporal.ApplicationErrorOptions{NextRetryDelay: time.Hour})
	for _, tt := range []struct {
		name    string
		most    int32
		answers []error
		want    []attempt
		fails   string
	}{
		{"once", 3, []error{broken, nil}, []attempt{{local: true}, {after: 3 * time.Second}}, ""},
		{"for as long as the policy allows", 2, []error{broken}, []attempt{{local: true}, {after: 3 * time.Second}}, "connection refused"},
		{"and may not be made again", 1, []error{broken}, []attempt{{local: true}}, "connection refused"},
		{"for good", 3, []error{permanent}, []attempt{{local: true}}, "no such customer"},
		{"with a type that is final", 3, []error{final}, []attempt{{local: true}}, "no such tariff"},
		{"and says when, beyond the longest wait", 3, []error{muchLater, nil}, []attempt{{local: true}, {after: time.Hour}}, ""},
		{"and says when to come back", 3, []error{later, nil}, []attempt{{local: true}, {after: time.Minute}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := shortStep()
			o.RetryPolicy.MaximumAttempts, o.RetryPolicy.NonRetryableErrorTypes = tt.most, []string{"Final"}
			seen, err := attempts(t, o, tt.answers...)
			require.Equal(t, tt.want, seen)
			if tt.fails == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.fails)
		})
	}
}

// TestPolicyAfterFirstAttempt holds the attempts that are left against the
// Retry Policy as a whole.
func TestPolicyAfterFirstAttempt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ given, left temporal.RetryPolicy }{
		"declared": {
			temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 3, MaximumInterval: time.Minute, MaximumAttempts: 12},
			temporal.RetryPolicy{InitialInterval: 3 * time.Second, BackoffCoefficient: 3, MaximumInterval: time.Minute, MaximumAttempts: 11},
		},
		"no longer than the longest wait": {
			temporal.RetryPolicy{InitialInterval: 40 * time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 2},
			temporal.RetryPolicy{InitialInterval: time.Minute, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 1},
		},
		"the server's defaults, without end": {
			temporal.RetryPolicy{},
			temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: 100 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policies := &policySpy{}
			env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
			env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{policies, worker.FirstAttemptOnly(nil, "Step")}})
			calls := 0
			env.RegisterActivityWithOptions(func(context.Context) error {
				if calls++; calls == 1 {
					return errors.New("not now")
				}
				return nil
			}, activity.RegisterOptions{Name: "Step"})
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				o := shortStep()
				o.RetryPolicy = &tt.given
				return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), "Step").Get(ctx, nil)
			})
			require.NoError(t, env.GetWorkflowError())
			require.Empty(t, cmp.Diff([]temporal.RetryPolicy{tt.left}, policies.seen))
		})
	}
}

// TestFirstAttemptGivesWay has a Workflow Task that was attempted before: the
// step is a regular Activity then, and again a local one in a later task.
func TestFirstAttemptGivesWay(t *testing.T) {
	t.Parallel()
	for attempt, local := range map[int32]bool{1: true, 2: false, 7: false} {
		tasks := &worker.Tasks{}
		poll := func(a int32) {
			reply := &workflowservice.PollWorkflowTaskQueueResponse{WorkflowExecution: &commonpb.WorkflowExecution{RunId: "default-test-run-id"}, Attempt: a}
			invoke := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
			require.NoError(t, tasks.Watch(t.Context(), "PollWorkflowTaskQueue", nil, reply, nil, invoke))
		}
		poll(3)
		require.True(t, tasks.Again("default-test-run-id"))
		poll(attempt)
		env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
		env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{worker.FirstAttemptOnly(tasks, "Step")}})
		var here bool
		env.RegisterActivityWithOptions(func(ctx context.Context) error {
			here = activity.GetInfo(ctx).IsLocalActivity
			return nil
		}, activity.RegisterOptions{Name: "Step"})
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, shortStep()), "Step").Get(ctx, nil)
		})
		require.NoError(t, env.GetWorkflowError())
		require.Equal(t, local, here, "attempt %d", attempt)
	}
}

// policySpy sees the policies of regular Activities.
type policySpy struct {
	interceptor.WorkerInterceptorBase
	seen []temporal.RetryPolicy
}

func (s *policySpy) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &spyInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, s}
}

type spyInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	spy *policySpy
}

func (i *spyInbound) Init(out interceptor.WorkflowOutboundInterceptor) error {
	return i.Next.Init(&spyOutbound{interceptor.WorkflowOutboundInterceptorBase{Next: out}, i.spy})
}

type spyOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	spy *policySpy
}

func (o *spyOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o.spy.seen = append(o.spy.seen, *workflow.GetActivityOptions(ctx).RetryPolicy)
	return o.Next.ExecuteActivity(ctx, name, args...)
}

// TestFirstAttemptParks sees that a step which fails locally parks as any
// other, and that what parks is the step and not its first attempt.
func TestFirstAttemptParks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		err   error
		calls int // before it parks
		want  event.ParkReason
	}{
		{"exhausted", errors.New("connection refused"), 3, event.ReasonExhausted},
		{"permanent", temporal.NewNonRetryableApplicationError("no such customer", "Gone", nil), 1, event.ReasonPermanent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestWorkflowEnvironment()
			env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{worker.Interceptor(worker.Options{})}})
			calls, parkedAfter, reasons := 0, 0, []string{}
			env.RegisterActivityWithOptions(func(context.Context) error {
				if calls++; calls <= tt.calls {
					return tt.err
				}
				return nil
			}, activity.RegisterOptions{Name: "Step"})
			env.RegisterActivityWithOptions(func(_ context.Context, report map[string]string) error {
				reasons = append(reasons, report["step"]+" "+report["reason"])
				return nil
			}, activity.RegisterOptions{Name: event.ReportActivity})
			env.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ event.Event, _ converter.RawValue) error {
				return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, shortStep()), "Step").Get(ctx, nil)
			}, workflow.RegisterOptions{Name: "test.event"})
			env.RegisterDelayedCallback(func() {
				parkedAfter = calls
				env.SignalWorkflow(event.SignalResume, parking.Resume{})
			}, time.Hour)
			ev := paid
			ev.Local = []string{"Step"}
			env.ExecuteWorkflow("test.event", ev, payload(`{}`))
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, tt.calls, parkedAfter)
			require.Equal(t, tt.calls+1, calls)
			require.Empty(t, cmp.Diff([]string{"Step " + string(tt.want)}, reasons))
		})
	}
}
