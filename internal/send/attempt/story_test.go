package attempt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// world is a Temporal that skips time. What the Activities start runs as a child
// of one Workflow, drive, because the test environment of the SDK has one at a
// time. A delivery that is held starts when it is resumed; how a run is held is
// tested where parking is.
type world struct {
	client.Client
	env *testsuite.TestWorkflowEnvironment

	mu     sync.Mutex
	status map[string]enumspb.WorkflowExecutionStatus
	runs   map[string]int // how many runs each id has had
	held   []string
	asked  map[string]request // by the key that a Signal to drive carries
}

// request is what drive is asked to do: start a Workflow, signal one, or both.
type request struct {
	ID, Type, Signal string
	Args             []any
}

const (
	running   = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	completed = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
)

// ask hands a request over to drive. w.mu is held.
func (w *world) ask(s request) {
	key := fmt.Sprint(len(w.asked))
	w.asked[key] = s
	w.env.SignalWorkflow("asked", key)
}

func (w *world) begin(id, workflowType string, args []any) {
	w.status[id] = running
	w.runs[id]++
	if workflowType != event.PauseWorkflow { // which does nothing but be there
		w.ask(request{ID: id, Type: workflowType, Args: args})
	}
}

func (w *world) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, kind any, args ...any) (client.WorkflowRun, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, there := w.status[o.ID]
	refused := now == running || there && o.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE ||
		now == completed && o.WorkflowIDReusePolicy == enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
	if refused {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("there is one", "", "")
	}
	if ev, ok := args[0].(event.Event); ok && ev.Held {
		w.status[o.ID] = running
		w.held = append(w.held, o.ID)
		w.asked["held "+o.ID] = request{ID: o.ID, Type: kind.(string), Args: args}
		return nil, nil
	}
	w.begin(o.ID, kind.(string), args)
	return nil, nil
}

func (w *world) SignalWithStartWorkflow(_ context.Context, id, name string, _ any, _ client.StartWorkflowOptions, kind any, args ...any) (client.WorkflowRun, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status[id] != running {
		w.begin(id, kind.(string), args)
	}
	w.ask(request{ID: id, Signal: name})
	return nil, nil
}

func (w *world) SignalWorkflow(_ context.Context, id, _, name string, _ any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status[id] != running {
		return serviceerror.NewNotFound("it is closed")
	}
	if name == event.SignalUnpause {
		w.status[id] = completed
	}
	for i, one := range w.held {
		if one == id && name == event.SignalResume {
			w.held = append(w.held[:i:i], w.held[i+1:]...)
			w.begin(id, w.asked["held "+id].Type, w.asked["held "+id].Args)
			break
		}
	}
	return nil
}

func (w *world) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*workflowpb.WorkflowExecutionInfo
	for _, id := range w.held[:min(len(w.held), int(r.GetPageSize()))] {
		list = append(list, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id}})
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: list}, nil
}

func (w *world) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	status, there := w.status[id]
	if !there {
		return nil, serviceerror.NewNotFound("there is none")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status}}, nil
}

// drive runs what was asked for, and the acts of a story one after the other.
func (w *world) drive(ctx workflow.Context, acts []time.Duration) error {
	children := map[string]workflow.ChildWorkflowFuture{}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for asked := workflow.GetSignalChannel(ctx, "asked"); ; {
			var key string
			asked.Receive(ctx, &key)
			w.mu.Lock()
			s := w.asked[key]
			w.mu.Unlock()
			if s.Signal != "" {
				if to := children[s.ID]; !to.IsReady() {
					to.SignalChildWorkflow(ctx, s.Signal, nil)
				}
				continue
			}
			child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: s.ID})
			started := workflow.ExecuteChildWorkflow(child, s.Type, s.Args...)
			children[s.ID] = started
			workflow.Go(ctx, func(ctx workflow.Context) {
				err := started.Get(ctx, nil)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.status[s.ID] = completed
				if err != nil {
					w.status[s.ID] = enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
				}
			})
		}
	})
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	for i, wait := range acts {
		if err := workflow.Sleep(ctx, wait); err != nil {
			return err
		}
		if err := workflow.ExecuteActivity(ctx, "Act", i).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// act is something that happens, so long after the act before it.
type act struct {
	after time.Duration
	do    func(ctx context.Context)
}

// play runs a story on the Workflows and Activities of sending.
func (s *sender) play(acts []act) *world {
	s.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(2 * time.Minute)
	env.SetStartTime(s.clock())
	w := &world{env: env, status: map[string]enumspb.WorkflowExecutionStatus{}, runs: map[string]int{}, asked: map[string]request{}}
	s.Starter.Client, s.Now = w, env.Now
	s.ticking = env.Now
	env.RegisterActivity(s.Activities)
	delivery.Register(env)
	env.RegisterWorkflow(w.drive)
	var waits []time.Duration
	for _, a := range acts {
		waits = append(waits, a.after)
	}
	env.RegisterActivityWithOptions(func(ctx context.Context, i int) error {
		acts[i].do(ctx)
		return nil
	}, activity.RegisterOptions{Name: "Act"})
	env.ExecuteWorkflow(w.drive, waits)
	require.True(s.t, env.IsWorkflowCompleted())
	require.NoError(s.t, env.GetWorkflowError())
	return w
}

// TestStory is five days of an endpoint that is down: its schedule, its hold, the
// notices, its end, its return, and the replay of what it missed. Nothing is lost,
// and nothing is taken twice.
func TestStory(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	up, took, asked := true, map[string]int{}, map[string][]time.Time{}
	var s *sender
	s = start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		id := r.Header.Get("Webhook-Id")
		asked[id] = append(asked[id], s.clock())
		if !up {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var e struct {
			Data struct{ Challenge string }
		}
		if json.Unmarshal(body, &e) == nil && e.Data.Challenge != "" {
			_ = json.NewEncoder(w).Encode(map[string]string{"challenge": e.Data.Challenge})
			return
		}
		took[id]++
	}, nil)
	set := func(now bool) func(context.Context) {
		return func(context.Context) {
			mu.Lock()
			defer mu.Unlock()
			up = now
		}
	}
	published := []string{}
	publish := func(ctx context.Context) {
		m, _, err := s.Starter.Book.Put(ctx, endpoint.Message{
			Tenant: "acme", ID: fmt.Sprintf("e%02d", len(published)), Type: "invoice.paid", ContentType: "application/json", Body: []byte(`{}`),
		})
		require.NoError(t, err)
		published = append(published, m.ID)
		to, next, err := s.Starter.Book.Matching(ctx, m, "", 100)
		require.NoError(t, err)
		require.NoError(t, s.Starter.Message(ctx, m, to, next == ""))
	}
	is := func(want endpoint.State) func(context.Context) {
		return func(ctx context.Context) {
			e, err := s.Starter.Book.Get(ctx, s.to.ID)
			require.NoError(t, err)
			require.Equal(t, want, e.State)
		}
	}
	begin := s.clock()
	const hour = time.Hour
	acts := []act{
		{0, func(ctx context.Context) { require.NoError(t, s.Starter.Verify(ctx, s.to.ID)) }},
		{time.Minute, is(endpoint.Active)},
		{0, publish},
		{time.Minute, set(false)},
		{0, publish},
		{0, publish},
	}
	for range 19 { // to 4 days and 18 hours after it went down
		acts = append(acts, act{6 * hour, publish})
	}
	acts = append(
		acts,
		act{0, is(endpoint.Failing)},
		act{0, func(context.Context) {
			w := s.Starter.Client.(*world)
			w.mu.Lock()
			defer w.mu.Unlock()
			require.NotEmpty(t, w.held, "new deliveries are held")
		}},
		act{8 * hour, is(endpoint.Disabled)},
		act{0, publish}, act{hour, publish},
		act{hour, set(true)},
		act{0, func(ctx context.Context) {
			_, moved, err := s.Starter.Book.Move(ctx, s.to.ID, endpoint.Pending, "", endpoint.Disabled)
			require.NoError(t, err)
			require.True(t, moved)
			require.NoError(t, s.Starter.Verify(ctx, s.to.ID))
		}},
		act{hour, is(endpoint.Active)},
		act{0, func(context.Context) {
			mu.Lock()
			defer mu.Unlock()
			require.Less(t, len(took), 5, "what is undelivered waits for a replay; what waited for its next attempt does not")
		}},
		act{0, func(ctx context.Context) {
			_, err := s.Starter.Replay(ctx, delivery.Resend{Endpoint: s.to.ID, Since: begin.Add(time.Second), Until: s.Now(), Only: delivery.OnlyMissing, PerSecond: 1000})
			require.NoError(t, err)
		}},
		act{hour, publish},
		act{26 * hour, func(context.Context) {}}, // the longest wait between two attempts, and more
	)
	w := s.play(acts)
	require.Len(t, published, 25)
	for _, id := range published {
		require.Equal(t, 1, took[id], "%s; it was asked at %v", id, asked[id])
		require.Equal(t, completed, w.status[delivery.ID(s.to.ID, id)], id)
	}
	require.Equal(t, []string{"failing", "disabled", "recovered"}, s.told)
	require.Equal(t, 1, w.runs[delivery.ID(s.to.ID, "e00")])
	require.Equal(t, 2, w.runs[delivery.ID(s.to.ID, "e01")], "once undelivered, once by the replay")

	// e01 was never held: it went by the schedule.
	waits := []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * hour, 10 * hour}
	for i, want := range waits {
		require.InDelta(t, want.Seconds(), asked["e01"][i+1].Sub(asked["e01"][i]).Seconds(), want.Seconds()/10+1, "wait %d", i+1)
	}
	require.Empty(t, w.held)
	attempts := 0
	for id, at := range asked {
		if id >= "e10" && id <= "e20" { // published while it failed
			attempts += len(at)
		}
	}
	require.Less(t, attempts, 11*15, "those that are held do not knock")
}
