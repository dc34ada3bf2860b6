package worker

import (
	"context"
	"errors"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

// Pauses tells whether a source is paused.
type Pauses struct {
	Client PauseClient
}

// PauseClient is the part of client.Client that Pauses uses.
type PauseClient interface {
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
}

// PauseOpen reports whether the source is paused now. Unlike a list of runs,
// what it asks is never behind.
//
// It only reads, so it may be attempted at will. Every error is Unavailable.
func (p *Pauses) PauseOpen(ctx context.Context, source string) (bool, error) {
	described, err := p.Client.DescribeWorkflowExecution(ctx, event.PauseID(source), "")
	if _, never := errors.AsType[*serviceerror.NotFound](err); never {
		return false, nil
	}
	if err != nil {
		return false, failure.Unavailable(ctx, 0, "ask whether source %q is paused: %v", source, err)
	}
	return described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}
