package measure

import (
	"context"
	"fmt"

	batchpb "go.temporal.io/api/batch/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// terminate ends the Workflows that are still open: those that were started
// for no worker and, where the session ended early, those that were under way.
// The server does it in its own time.
func (s *session) terminate(ctx context.Context) error {
	// An interrupted session has the more to tidy up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := s.temporal.WorkflowService().StartBatchOperation(ctx, &workflowservice.StartBatchOperationRequest{
		Namespace:       s.Client.Namespace,
		JobId:           s.taskQueue("end"),
		Reason:          "the benchmark is over",
		VisibilityQuery: fmt.Sprintf("TaskQueue STARTS_WITH %q AND ExecutionStatus = 'Running'", s.taskQueue("")),
		Operation: &workflowservice.StartBatchOperationRequest_TerminationOperation{
			TerminationOperation: &batchpb.BatchOperationTermination{Identity: "hookyard-bench"},
		},
	})
	if err != nil {
		return fmt.Errorf("end the open Workflows in the Task Queues %s*: %w; end them by hand", s.taskQueue(""), err)
	}
	return nil
}
