package hookyardtest

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// watcher sees what a run asks of Temporal: the last thing before the server.
// So it knows which steps are called, what is parked, and when the run waits
// for somebody. Only the environment's own loop uses it, but for attempts.
type watcher struct {
	interceptor.WorkerInterceptorBase
	run  *Run
	idle func() // is called when nothing is pending any more
}

// InterceptActivity counts the attempts.
func (w *watcher) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &attempt{interceptor.ActivityInboundInterceptorBase{Next: next}, w.run}
}

type attempt struct {
	interceptor.ActivityInboundInterceptorBase
	run *Run
}

func (a *attempt) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	a.run.mu.Lock()
	a.run.attempts[activity.GetInfo(ctx).ActivityType.Name]++
	a.run.mu.Unlock()
	return a.Next.ExecuteActivity(ctx, in)
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (w *watcher) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &watchedRun{interceptor.WorkflowInboundInterceptorBase{Next: next}, &watched{watcher: w}}
}

type watchedRun struct {
	interceptor.WorkflowInboundInterceptorBase
	steps *watched
}

func (w *watchedRun) Init(server interceptor.WorkflowOutboundInterceptor) error {
	w.steps.Next = server
	return w.Next.Init(w.steps)
}

// ExecuteWorkflow has it noticed, beside the run, when nothing is pending.
func (w *watchedRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	if workflow.GetInfo(ctx).ParentWorkflowExecution == nil {
		unbound, _ := workflow.NewDisconnectedContext(ctx)
		workflow.GoNamed(unbound, "watcher", func(ctx workflow.Context) {
			for {
				if w.steps.Next.Await(ctx, func() bool { return w.steps.run.pending == 0 && !w.steps.run.asked }) != nil {
					return
				}
				w.steps.run.asked = true
				w.steps.idle()
			}
		})
	}
	return w.Next.ExecuteWorkflow(ctx, in)
}

// watched is the way of a run to the server.
type watched struct {
	interceptor.WorkflowOutboundInterceptorBase
	*watcher
}

// until counts what is pending until the future is ready.
func (w *watched) until(ctx workflow.Context, f workflow.Future) workflow.Future {
	w.run.pending++
	unbound, _ := workflow.NewDisconnectedContext(ctx)
	w.Next.Go(unbound, "pending", func(ctx workflow.Context) {
		_ = f.Get(ctx, nil)
		w.run.pending--
	})
	return f
}

func (w *watched) called(name string, args []any) {
	if name != event.ReportActivity {
		w.run.calls = append(w.run.calls, Call{Activity: name, Args: args})
	}
}

func (w *watched) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	w.called(name, args)
	return w.until(ctx, w.Next.ExecuteActivity(ctx, name, args...))
}

func (w *watched) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	w.called(name, args)
	return w.until(ctx, w.Next.ExecuteLocalActivity(ctx, name, args...))
}

func (w *watched) ExecuteChildWorkflow(ctx workflow.Context, name string, args ...any) workflow.ChildWorkflowFuture {
	child := w.Next.ExecuteChildWorkflow(ctx, name, args...)
	w.until(ctx, child)
	return child
}

func (w *watched) NewTimer(ctx workflow.Context, d time.Duration) workflow.Future {
	return w.until(ctx, w.Next.NewTimer(ctx, d))
}

func (w *watched) NewTimerWithOptions(ctx workflow.Context, d time.Duration, o workflow.TimerOptions) workflow.Future {
	return w.until(ctx, w.Next.NewTimerWithOptions(ctx, d, o))
}

func (w *watched) Sleep(ctx workflow.Context, d time.Duration) error {
	w.run.pending++
	defer func() { w.run.pending-- }()
	return w.Next.Sleep(ctx, d)
}

func (w *watched) AwaitWithTimeout(ctx workflow.Context, d time.Duration, condition func() bool) (bool, error) {
	w.run.pending++
	defer func() { w.run.pending-- }()
	return w.Next.AwaitWithTimeout(ctx, d, condition)
}

func (w *watched) AwaitWithOptions(ctx workflow.Context, o workflow.AwaitOptions, condition func() bool) (bool, error) {
	w.run.pending++
	defer func() { w.run.pending-- }()
	return w.Next.AwaitWithOptions(ctx, o, condition)
}

func (w *watched) UpsertMemo(ctx workflow.Context, memo map[string]any) error {
	if parked, ok := memo[event.ParkedMemo].(parking.Parked); ok {
		w.run.parked = parked.Steps
	}
	return w.Next.UpsertMemo(ctx, memo)
}
