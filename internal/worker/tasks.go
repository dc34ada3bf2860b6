package worker

import (
	"context"
	"sync"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// Tasks knows the runs whose Workflow Task is not at its first attempt. A
// Workflow cannot see that, so Tasks reads it from what the worker's client is
// given. It may be used by many goroutines.
type Tasks struct {
	mu    sync.Mutex
	again map[string]bool // by Run Id
}

// mostTasks bounds what is remembered. Workflow Tasks fail rarely: only a
// worker that dies again and again comes near.
const mostTasks = 10_000

// Watch is a grpc.UnaryClientInterceptor for the client of the worker.
func (t *Tasks) Watch(ctx context.Context, method string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if err := invoke(ctx, method, request, reply, cc, options...); err != nil {
		return err
	}
	switch r := reply.(type) {
	case *workflowservice.PollWorkflowTaskQueueResponse:
		t.note(r)
	case *workflowservice.RespondWorkflowTaskCompletedResponse: // it may bring the run's next task
		t.note(r.GetWorkflowTask())
	}
	return nil
}

func (t *Tasks) note(task *workflowservice.PollWorkflowTaskQueueResponse) {
	run := task.GetWorkflowExecution().GetRunId()
	if run == "" || task.GetQuery() != nil { // a poll without a task; a query, which is no attempt
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if task.GetAttempt() <= 1 {
		delete(t.again, run)
		return
	}
	if t.again == nil {
		t.again = map[string]bool{}
	}
	if len(t.again) < mostTasks {
		t.again[run] = true
	}
}

// Again reports whether the run's Workflow Task was attempted before, and that
// attempt ended without an answer.
func (t *Tasks) Again(runID string) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.again[runID]
}
