package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/tests/harness"
)

// temporal is a dev server, which all receivers share: each has Task Queues
// and sources of its own.
type temporal struct {
	*harness.TestTemporal
	client client.Client
}

// startTemporal runs one that is set up for Hookyard, until the test ends.
func startTemporal(t *testing.T) *temporal {
	server := harness.StartTemporal(t, harness.DevServer{Program: devServer, Args: []string{
		// What setup creates can be used at once.
		"--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=true",
	}})
	require.NoError(t, harness.Setup(t.Context(), hookyard, []string{"HOME=" + t.TempDir(), "TEMPORAL_ADDRESS=" + server.Address}))
	return &temporal{server, server.Client("")}
}

// run is a Workflow Execution.
type run struct {
	execution *commonpb.WorkflowExecution
	status    enumspb.WorkflowExecutionStatus
}

// runsOf lists the runs that deliveries to the sources have started.
func (s *temporal) runsOf(ctx context.Context, sources ...string) ([]run, error) {
	query := ""
	for i, source := range sources {
		if i > 0 {
			query += " OR "
		}
		query += fmt.Sprintf("HookSource = %q", source)
	}
	var runs []run
	request := &workflowservice.ListWorkflowExecutionsRequest{Query: query}
	for {
		page, err := s.client.ListWorkflow(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list the runs: %w", err)
		}
		for _, e := range page.GetExecutions() {
			runs = append(runs, run{e.GetExecution(), e.GetStatus()})
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return runs, nil
		}
	}
}

// history returns the events of the run's history.
func (s *temporal) history(ctx context.Context, of *commonpb.WorkflowExecution) (*historypb.History, error) {
	h := &historypb.History{}
	events := s.client.GetWorkflowHistory(ctx, of.GetWorkflowId(), of.GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, fmt.Errorf("history of %s: %w", of.GetWorkflowId(), err)
		}
		h.Events = append(h.Events, e)
	}
	return h, nil
}

// eventOf returns the event that a history was started with.
func eventOf(h *historypb.History) (event.Event, error) {
	var ev event.Event
	input := h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()
	if len(input) == 0 {
		return ev, fmt.Errorf("a run was started without an event")
	}
	return ev, json.Unmarshal(input[0].GetData(), &ev)
}
