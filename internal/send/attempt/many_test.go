package attempt_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/send/sign"
)

// flaky is a Temporal that does not take each 300th call, and no start twice.
type flaky struct {
	*recorded
	started map[string]int
	refused map[string]bool
	calls   int
}

func (f *flaky) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.calls%300 == 0 {
		return nil, serviceerror.NewUnavailable("a moment")
	}
	if o.WorkflowIDReusePolicy != enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE {
		f.refused[o.ID] = true
	}
	if f.started[o.ID] > 0 {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("there is one", "", "")
	}
	f.started[o.ID]++
	return nil, nil
}

// TestManyEndpoints starts the deliveries of one message to more endpoints than a
// page has, through a Temporal that fails now and then: each one is started, and
// in few steps.
func TestManyEndpoints(t *testing.T) {
	t.Parallel()
	s := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	const endpoints = 1_100
	want := map[string]int{}
	for i := range endpoints {
		e := &endpoint.Endpoint{ID: endpoint.NewID(endpoint.IDPrefix), Tenant: "acme", State: endpoint.Active}
		e.URL, e.Events, e.Sign, e.Proof = fmt.Sprintf("https://h%d.test/", i), []string{"invoice.*"}, []sign.Scheme{sign.V1}, endpoint.ProofEcho
		if i%10 == 0 {
			e.Events = []string{"order.*"}
		} else {
			want[delivery.ID(e.ID, "m1")] = 1
		}
		_, _, err := s.Starter.Book.Create(t.Context(), e, nil, "", "")
		require.NoError(t, err)
	}
	f := &flaky{recorded: s.temporal, started: map[string]int{}, refused: map[string]bool{}}
	s.Starter.Client = f
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.RegisterActivity(s.Activities)
	pages := 0
	env.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { pages++ })
	env.ExecuteWorkflow(delivery.FanOut, delivery.Page{Tenant: "acme", Message: "m1"})
	require.NoError(t, env.GetWorkflowError())
	var count int
	require.NoError(t, env.GetWorkflowResult(&count))
	require.Equal(t, len(want), count)
	require.Equal(t, want, f.started)
	require.Empty(t, f.refused, "a start that could be a second one")
	require.LessOrEqual(t, pages, 3, "500 endpoints in each, at least: another attempt goes on with as many")
}

// TestSilentEndpoint has endpoints that never answer take little room of a
// worker: each attempt takes half a minute, and others wait behind it.
func TestSilentEndpoint(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 100), make(chan struct{})
	s := start(t, func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}, nil)
	s.activate()
	for failures, room := range map[int]int{0: 20, 1: 2} {
		if failures > 0 {
			_, _, err := s.Starter.Book.Failed(t.Context(), s.to.ID)
			require.NoError(t, err)
		}
		ended := make(chan error, room+1)
		for range room {
			go func() {
				_, err := s.deliver(nil)
				ended <- err
			}()
		}
		for range room {
			<-asked
		}
		_, err := s.deliver(nil)
		require.Equal(t, "Postponed", failureOf(t, err).Type(), "%d attempts are under way", room)
		for range room {
			release <- struct{}{}
		}
		for range room {
			require.NoError(t, <-ended)
		}
	}
}

// TestReplayGoesOn has an attempt of a replay of everything fail half way: the
// next one sends the rest, and nothing again.
func TestReplayGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	s.activate()
	for i := range 150 {
		_, _, err := s.Starter.Book.Put(t.Context(), endpoint.Message{
			Tenant: "acme", ID: fmt.Sprintf("r%03d", i), Type: "invoice.paid", ContentType: "application/json", Body: []byte(`{}`),
		})
		require.NoError(t, err)
	}
	all := &again{recorded: s.temporal, starts: map[string]int{}}
	s.Starter.Client = all
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(s.Activities)
	env.RegisterWorkflow(delivery.Replay)
	env.ExecuteWorkflow(delivery.Replay, delivery.Resend{
		Endpoint: s.to.ID, Since: s.clock().Add(-time.Hour), Until: s.clock().Add(time.Hour), Only: delivery.OnlyAll, PerSecond: 10_000,
	})
	require.NoError(t, env.GetWorkflowError())
	var count int
	require.NoError(t, env.GetWorkflowResult(&count))
	require.Equal(t, 151, count)
	require.Len(t, all.starts, 151)
	for id, n := range all.starts {
		require.Equal(t, 1, n, id)
	}
}

// again is a Temporal in which everything has been delivered. It fails once.
type again struct {
	*recorded
	starts map[string]int
	failed bool
}

func (a *again) DescribeWorkflowExecution(context.Context, string, string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED},
	}, nil
}

func (a *again) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	if len(a.starts) == 70 && !a.failed {
		a.failed = true
		return nil, serviceerror.NewUnavailable("a moment")
	}
	a.starts[o.ID]++
	return nil, nil
}
