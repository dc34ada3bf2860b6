// Package runstest stands in for Temporal where commands for runs are tested.
package runstest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// Temporal is as much of a Temporal as the repairs by signal ask of it,
// in memory. Whatever else is called panics.
type Temporal struct {
	client.Client

	mu       sync.Mutex
	Runs     map[string]*workflowpb.WorkflowExecutionInfo // by Workflow Id
	Frozen   []*workflowpb.WorkflowExecutionInfo          // what lists show, where they are behind
	PageSize int
	Queries  []string
	seen     map[string]bool // request ids
	Taken    map[string]int  // signals that had an effect, by Workflow Id

	// idle is a worker that is away: signals are taken and change nothing.
	Idle bool
	// onSignal may refuse a signal, and onTaken sees what it has done.
	Pauses   []string // the sources that are paused
	OnSignal func(id string) error
	OnTaken  func(id string)

	Histories map[string][]*historypb.HistoryEvent // by Workflow Id, or by run id where a run has its own
	NewRuns   map[string]string                    // by the run that was reset
	Resets    []*workflowservice.ResetWorkflowExecutionRequest
	OnReset   func() error // after it was done: an answer that is lost
}

// New returns a Temporal without runs.
func New() *Temporal {
	return &Temporal{Runs: map[string]*workflowpb.WorkflowExecutionInfo{}, PageSize: 3, seen: map[string]bool{}, Taken: map[string]int{},
		Histories: map[string][]*historypb.HistoryEvent{}, NewRuns: map[string]string{}}
}

// Park adds a run, or parks one again.
func (f *Temporal) Park(t *testing.T, id string, steps ...parking.Step) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Runs[id] = ParkedInfo(t, id, steps...)
}

// ParkedInfo is what Temporal says about a run with these parked steps.
func ParkedInfo(t *testing.T, id string, steps ...parking.Step) *workflowpb.WorkflowExecutionInfo {
	t.Helper()
	source := "stripe"
	if strings.HasPrefix(id, "github:") {
		source = "github"
	}
	return &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: "run-of-" + id},
		Type:      &commonpb.WorkflowType{Name: "stripe.invoice.paid"},
		Status:    enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		StartTime: timestamppb.New(ParkedAt.Add(-time.Minute)),
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{
			"HookSource": Encoded(t, source), "HookEventType": Encoded(t, "invoice.paid"),
		}},
		Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{event.ParkedMemo: Encoded(t, parking.Parked{Steps: steps})}},
	}
}

// ParkedAt is when the tests' steps park.
var ParkedAt = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// StepParked is a step that parked at that time.
func StepParked(name string, at time.Time) parking.Step {
	return parking.Step{Name: name, Reason: event.ReasonExhausted, Error: "no", Attempts: 3, Since: at, Started: at.Add(-time.Second)}
}

// Encoded is a value as a worker writes it.
func Encoded(t *testing.T, value any) *commonpb.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return p
}

// ListWorkflow implements client.Client.
func (f *Temporal) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Queries = append(f.Queries, request.GetQuery())
	if strings.Contains(request.GetQuery(), event.PauseWorkflow) {
		page := &workflowservice.ListWorkflowExecutionsResponse{}
		for _, source := range f.Pauses {
			page.Executions = append(page.Executions, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: event.PauseID(source)}})
		}
		return page, nil
	}
	all := f.Frozen
	if all == nil {
		for _, id := range slices.Sorted(maps.Keys(f.Runs)) {
			if r := eventrun.New(f.Runs[id]); r.Parked() && r.Held() == strings.Contains(request.GetQuery(), event.StateHeld) {
				all = append(all, proto.CloneOf(f.Runs[id]))
			}
		}
	}
	from, _ := strconv.Atoi(string(request.GetNextPageToken()))
	page := &workflowservice.ListWorkflowExecutionsResponse{Executions: all[from:min(from+f.PageSize, len(all))]}
	if from+f.PageSize < len(all) {
		page.NextPageToken = []byte(strconv.Itoa(from + f.PageSize))
	}
	return page, nil
}

// DescribeWorkflowExecution implements client.Client.
func (f *Temporal) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, ok := f.Runs[id]
	if !ok {
		return nil, serviceerror.NewNotFound("workflow not found for ID: " + id)
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: proto.CloneOf(info),
		WorkflowExtendedInfo:  &workflowpb.WorkflowExecutionExtendedInfo{ResetRunId: f.NewRuns[info.GetExecution().GetRunId()]},
	}, nil
}

// GetWorkflowHistory implements client.Client.
func (f *Temporal) GetWorkflowHistory(_ context.Context, id, runID string, _ bool, _ enumspb.HistoryEventFilterType) client.HistoryEventIterator {
	if own, ok := f.Histories[runID]; ok {
		return &historyFake{own}
	}
	return &historyFake{f.Histories[id]}
}

type historyFake struct{ left []*historypb.HistoryEvent }

func (h *historyFake) HasNext() bool { return len(h.left) > 0 }

func (h *historyFake) Next() (*historypb.HistoryEvent, error) {
	e := h.left[0]
	h.left = h.left[1:]
	return e, nil
}

// WorkflowService implements client.Client.
func (f *Temporal) WorkflowService() workflowservice.WorkflowServiceClient {
	return serviceFake{fake: f}
}

type serviceFake struct {
	workflowservice.WorkflowServiceClient
	fake *Temporal
}

// SignalWorkflowExecution un-parks the run, as a worker would, once per
// request id.
func (s serviceFake) SignalWorkflowExecution(_ context.Context, request *workflowservice.SignalWorkflowExecutionRequest, _ ...grpc.CallOption) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	id := request.GetWorkflowExecution().GetWorkflowId()
	if f.OnSignal != nil {
		if err := f.OnSignal(id); err != nil {
			return nil, err
		}
	}
	key := request.GetWorkflowExecution().GetRunId() + request.GetRequestId()
	if f.seen[key] {
		return &workflowservice.SignalWorkflowExecutionResponse{}, nil
	}
	f.seen[key] = true
	f.Taken[id]++
	if !f.Idle {
		f.Runs[id].Memo = nil
	}
	if f.OnTaken != nil {
		f.OnTaken(id)
	}
	return &workflowservice.SignalWorkflowExecutionResponse{}, nil
}

// ResetWorkflowExecution makes a run of each request, as Temporal does.
func (s serviceFake) ResetWorkflowExecution(_ context.Context, request *workflowservice.ResetWorkflowExecutionRequest, _ ...grpc.CallOption) (*workflowservice.ResetWorkflowExecutionResponse, error) {
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Resets = append(f.Resets, request)
	if f.OnReset != nil {
		if err := f.OnReset(); err != nil {
			return nil, err
		}
	}
	newRun := fmt.Sprintf("reset-%d", len(f.Resets))
	f.NewRuns[request.GetWorkflowExecution().GetRunId()] = newRun
	return &workflowservice.ResetWorkflowExecutionResponse{RunId: newRun}, nil
}

// IDs lists the Workflow Ids of runs.
func IDs(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("stripe:evt_%03d", i))
	}
	return all
}
