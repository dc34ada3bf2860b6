package parking

import (
	"fmt"
	"reflect"
	"strings"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// panicked is the error of a Workflow whose code panicked.
type panicked struct{ with any }

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.with) }

// guarded runs code of a team. It returns what the code panicked with, or nil.
// Panics that fail the Workflow Task go on, so that the task is tried again:
// after a history that does not fit the code, for example.
func guarded(code func()) (broken error) {
	defer func() {
		with := recover()
		if with == nil {
			return
		}
		if failsTask(with) {
			panic(with) //nolint:forbidigo // it is not ours to handle
		}
		broken = &panicked{with}
	}()
	code()
	return nil
}

// taskPanic is what a DataConverter panics with where the Workflow Task has to
// fail, and not the Workflow: where the worker misses a key, for example.
type taskPanic interface{ FailsWorkflowTask() }

// failsTask reports a panic that gives up a Workflow Task. The SDK panics with a
// type of its own that is not an error, and in one place with a text.
func failsTask(with any) bool {
	switch v := with.(type) {
	case taskPanic:
		return true
	case error:
		return false
	case string:
		return strings.HasPrefix(v, "[TMPRL") || v == "getState: illegal access from outside of workflow context"
	default:
		return strings.HasPrefix(reflect.TypeOf(v).PkgPath(), "go.temporal.io/sdk/")
	}
}

// Go guards the Workflow's own coroutines. A panic in one of them fails the
// Workflow as a whole, as a panic of its function does.
func (s *steps) Go(ctx workflow.Context, name string, f func(ctx workflow.Context)) workflow.Context {
	return s.Next.Go(ctx, name, func(ctx workflow.Context) {
		if broken := guarded(func() { f(ctx) }); broken != nil {
			s.run.fail(ctx, broken)
		}
	})
}

// ExecuteUpdate guards the Update handlers of the Workflow. One that panics
// fails the Workflow as a whole, and its sender gets the error.
func (r *Run) ExecuteUpdate(ctx workflow.Context, in *interceptor.UpdateInput) (result any, err error) {
	if broken := guarded(func() { result, err = r.Next.ExecuteUpdate(ctx, in) }); broken != nil {
		r.fail(ctx, broken)
		return nil, broken
	}
	return result, err
}
