package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// temporalFake is as much of a Temporal as the repairs by signal ask of it,
// in memory. Whatever else is called panics.
type temporalFake struct {
	client.Client

	mu       sync.Mutex
	runs     map[string]*workflowpb.WorkflowExecutionInfo // by Workflow Id
	frozen   []*workflowpb.WorkflowExecutionInfo          // what lists show, where they are behind
	pageSize int
	queries  []string
	seen     map[string]bool // request ids
	taken    map[string]int  // signals that had an effect, by Workflow Id

	// idle is a worker that is away: signals are taken and change nothing.
	idle bool
	// onSignal may refuse a signal, and onTaken sees what it has done.
	onSignal func(id string) error
	onTaken  func(id string)

	histories map[string][]*historypb.HistoryEvent // by Workflow Id
	newRuns   map[string]string                    // by the run that was reset
	resets    []*workflowservice.ResetWorkflowExecutionRequest
	onReset   func() error // after it was done: an answer that is lost
}

func newTemporalFake() *temporalFake {
	return &temporalFake{runs: map[string]*workflowpb.WorkflowExecutionInfo{}, pageSize: 3, seen: map[string]bool{}, taken: map[string]int{},
		histories: map[string][]*historypb.HistoryEvent{}, newRuns: map[string]string{}}
}

func (f *temporalFake) operator() *operator {
	return &operator{client: f, namespace: "default", by: "ada@host", why: "a test"}
}

// park adds a run, or parks one again.
func (f *temporalFake) park(t *testing.T, id string, steps ...parking.Step) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs[id] = parkedInfo(t, id, steps...)
}

func parkedInfo(t *testing.T, id string, steps ...parking.Step) *workflowpb.WorkflowExecutionInfo {
	t.Helper()
	return &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: "run-of-" + id},
		Type:      &commonpb.WorkflowType{Name: "stripe.invoice.paid"},
		Status:    enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
		StartTime: timestamppb.New(parkedAt.Add(-time.Minute)),
		SearchAttributes: &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{
			"HookSource": encoded(t, "stripe"), "HookEventType": encoded(t, "invoice.paid"),
		}},
		Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{event.ParkedMemo: encoded(t, parking.Parked{Steps: steps})}},
	}
}

// parkedAt is when the tests' steps park.
var parkedAt = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func stepParked(name string, at time.Time) parking.Step {
	return parking.Step{Name: name, Reason: event.ReasonExhausted, Error: "no", Attempts: 3, Since: at, Started: at.Add(-time.Second)}
}

func encoded(t *testing.T, value any) *commonpb.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	return p
}

func (f *temporalFake) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queries = append(f.queries, request.GetQuery())
	all := f.frozen
	if all == nil {
		for _, id := range slices.Sorted(maps.Keys(f.runs)) {
			if newEventRun(f.runs[id]).parked() {
				all = append(all, proto.CloneOf(f.runs[id]))
			}
		}
	}
	from, _ := strconv.Atoi(string(request.GetNextPageToken()))
	page := &workflowservice.ListWorkflowExecutionsResponse{Executions: all[from:min(from+f.pageSize, len(all))]}
	if from+f.pageSize < len(all) {
		page.NextPageToken = []byte(strconv.Itoa(from + f.pageSize))
	}
	return page, nil
}

func (f *temporalFake) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, ok := f.runs[id]
	if !ok {
		return nil, serviceerror.NewNotFound("workflow not found for ID: " + id)
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: proto.CloneOf(info),
		WorkflowExtendedInfo:  &workflowpb.WorkflowExecutionExtendedInfo{ResetRunId: f.newRuns[info.GetExecution().GetRunId()]},
	}, nil
}

func (f *temporalFake) GetWorkflowHistory(_ context.Context, id, _ string, _ bool, _ enumspb.HistoryEventFilterType) client.HistoryEventIterator {
	return &historyFake{f.histories[id]}
}

type historyFake struct{ left []*historypb.HistoryEvent }

func (h *historyFake) HasNext() bool { return len(h.left) > 0 }

func (h *historyFake) Next() (*historypb.HistoryEvent, error) {
	e := h.left[0]
	h.left = h.left[1:]
	return e, nil
}

func (f *temporalFake) WorkflowService() workflowservice.WorkflowServiceClient {
	return serviceFake{fake: f}
}

type serviceFake struct {
	workflowservice.WorkflowServiceClient
	fake *temporalFake
}

// SignalWorkflowExecution un-parks the run, as a worker would, once per
// request id.
func (s serviceFake) SignalWorkflowExecution(_ context.Context, request *workflowservice.SignalWorkflowExecutionRequest, _ ...grpc.CallOption) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	id := request.GetWorkflowExecution().GetWorkflowId()
	if f.onSignal != nil {
		if err := f.onSignal(id); err != nil {
			return nil, err
		}
	}
	key := request.GetWorkflowExecution().GetRunId() + request.GetRequestId()
	if f.seen[key] {
		return &workflowservice.SignalWorkflowExecutionResponse{}, nil
	}
	f.seen[key] = true
	f.taken[id]++
	if !f.idle {
		f.runs[id].Memo = nil
	}
	if f.onTaken != nil {
		f.onTaken(id)
	}
	return &workflowservice.SignalWorkflowExecutionResponse{}, nil
}

// ResetWorkflowExecution makes a run of each request, as Temporal does.
func (s serviceFake) ResetWorkflowExecution(_ context.Context, request *workflowservice.ResetWorkflowExecutionRequest, _ ...grpc.CallOption) (*workflowservice.ResetWorkflowExecutionResponse, error) {
	f := s.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resets = append(f.resets, request)
	if f.onReset != nil {
		if err := f.onReset(); err != nil {
			return nil, err
		}
	}
	newRun := fmt.Sprintf("reset-%d", len(f.resets))
	f.newRuns[request.GetWorkflowExecution().GetRunId()] = newRun
	return &workflowservice.ResetWorkflowExecutionResponse{RunId: newRun}, nil
}

// screen is an environment whose output can be read.
func screen() (env environment, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return environment{stdin: &bytes.Buffer{}, stdout: stdout, stderr: stderr}, stdout, stderr
}

func ids(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("stripe:evt_%03d", i))
	}
	return all
}
