package worker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/hookyard/hookyard/internal/worker"
)

// pausedRuns describes runs by Workflow Id; one that is missing is NotFound.
type pausedRuns map[string]enumspb.WorkflowExecutionStatus

func (p pausedRuns) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	status, ok := p[id]
	switch {
	case id == "hookyard/pause/broken":
		return nil, errors.New("busy")
	case !ok:
		return nil, serviceerror.NewNotFound("no such run")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status},
	}, nil
}

func TestPauseOpen(t *testing.T) {
	t.Parallel()
	pauses := &worker.Pauses{Client: pausedRuns{
		"hookyard/pause/paused": enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		"hookyard/pause/over":   enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED,
		"hookyard/pause/ended":  enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED,
	}}
	for source, want := range map[string]bool{"paused": true, "over": false, "ended": false, "never": false} {
		open, err := pauses.PauseOpen(t.Context(), source)
		require.NoError(t, err, source)
		require.Equal(t, want, open, source)
	}
	_, err := pauses.PauseOpen(t.Context(), "broken")
	require.ErrorContains(t, err, `ask whether source "broken" is paused: busy`)
}
