package attempt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/send/attempt"
	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/send/sign"
	"github.com/hookyard/hookyard/internal/store"
)

// recorded stands in for Temporal, and writes down what it is asked for.
type recorded struct {
	client.Client
	mu    sync.Mutex
	calls []string
	held  []string // runs that a list shows
}

func (r *recorded) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, fmt.Sprintf(format, args...))
}

// count returns how many calls start like this.
func (r *recorded) count(prefix string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, call := range r.calls {
		if strings.HasPrefix(call, prefix) {
			n++
		}
	}
	return n
}

func (r *recorded) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	r.note("start %s", o.ID)
	return nil, nil
}

func (r *recorded) SignalWithStartWorkflow(_ context.Context, id, name string, _ any, _ client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	r.note("signal %s %s", name, id)
	return nil, nil
}

func (r *recorded) SignalWorkflow(_ context.Context, id, _, name string, _ any) error {
	r.note("signal %s %s", name, id)
	return nil
}

func (r *recorded) ListWorkflow(_ context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	var list []*workflowpb.WorkflowExecutionInfo
	for _, id := range r.held[:min(len(r.held), int(request.GetPageSize()))] {
		list = append(list, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id}})
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: list}, nil
}

// sender is the Activities on a store of their own, with a clock that a test
// moves and one endpoint, which is active.
type sender struct {
	*attempt.Activities
	t        *testing.T
	temporal *recorded
	to       *endpoint.Endpoint
	mu       sync.Mutex
	now      time.Time
	told     []string
	telling  func(kind string) // is called when people are told; nil for none
	ticking  func() time.Time  // the clock of a test environment; nil for now
}

func (s *sender) clock() time.Time {
	if s.ticking != nil {
		return s.ticking()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *sender) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func start(t *testing.T, answer http.HandlerFunc, change func(e *endpoint.Endpoint)) *sender {
	t.Helper()
	s := &sender{t: t, temporal: &recorded{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	db, err := store.Open(t.Context(), store.Options{SQLite: filepath.Join(t.TempDir(), "send.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	key, err := store.ParseKey(strings.Repeat("00", 32))
	require.NoError(t, err)
	book, err := endpoint.Open(t.Context(), db, key, s.clock)
	require.NoError(t, err)
	out := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(out.Close)
	s.Activities = &attempt.Activities{
		Starter: &attempt.Starter{Client: s.temporal, Book: book}, HTTP: out, Schedule: attempt.DefaultSchedule(), DisableAfter: 5 * 24 * time.Hour,
		Origin: "events.test", Now: s.clock,
		Tell: func(_ context.Context, _ *endpoint.Endpoint, n delivery.Notice) error {
			s.told = append(s.told, n.Kind)
			if s.telling != nil {
				s.telling(n.Kind)
			}
			return nil
		},
	}
	e := &endpoint.Endpoint{ID: endpoint.NewID(endpoint.IDPrefix), Tenant: "acme", State: endpoint.Pending}
	e.URL, e.Events, e.Sign, e.Proof = server.URL+"/in?k=v", []string{"*"}, []sign.Scheme{sign.V1}, endpoint.ProofEcho
	if change != nil {
		change(e)
	}
	k, err := sign.NewKey(sign.V1)
	require.NoError(t, err)
	_, _, err = book.Create(t.Context(), e, []sign.Key{k}, "", "")
	require.NoError(t, err)
	_, _, err = book.Put(t.Context(), endpoint.Message{Tenant: "acme", ID: "m1", Type: "invoice.paid", ContentType: "application/json", Body: []byte(`{ "a":1}`)})
	require.NoError(t, err)
	s.to = e
	return s
}

func (s *sender) activate() {
	s.t.Helper()
	_, moved, err := s.Starter.Book.Move(s.t.Context(), s.to.ID, endpoint.Active, "", endpoint.Pending)
	require.NoError(s.t, err)
	require.True(s.t, moved)
}

func (s *sender) state() endpoint.State {
	s.t.Helper()
	e, err := s.Starter.Book.Get(s.t.Context(), s.to.ID)
	require.NoError(s.t, err)
	return e.State
}

// deliver makes one attempt, which knows the log of those before.
func (s *sender) deliver(log []delivery.Attempt) (delivery.Outcome, error) {
	s.t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(s.DeliverMessage)
	if log != nil {
		env.SetHeartbeatDetails(log)
	}
	var outcome delivery.Outcome
	result, err := env.ExecuteActivity(s.DeliverMessage, delivery.Event(s.to.ID, "m1", "invoice.paid", s.clock(), false), delivery.Ref{Tenant: "acme"})
	if err != nil {
		return outcome, err
	}
	require.NoError(s.t, result.Get(&outcome))
	return outcome, nil
}

func quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// failureOf returns an Activity's error as the Workflow gets it.
func failureOf(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok, "%v", err)
	return app
}

// TestSchedule has each attempt of a delivery fail: 11 of them over more than
// five days, each with at most a tenth of jitter, and then no more. The endpoint
// counts as failing from the fifth.
func TestSchedule(t *testing.T) {
	t.Parallel()
	s := start(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "broken\nnow", http.StatusInternalServerError)
	}, nil)
	s.activate()
	begin, schedule := s.clock(), attempt.DefaultSchedule()
	var log []delivery.Attempt
	for i, want := range schedule {
		_, err := s.deliver(log)
		failure := failureOf(t, err)
		require.Equal(t, "Failed", failure.Type())
		require.Contains(t, failure.Message(), fmt.Sprintf("attempt %d of %d: 500 Internal Server Error: broken now", i+1, len(schedule)+1))
		require.InDelta(t, want.Seconds(), failure.NextRetryDelay().Seconds(), want.Seconds()/10)
		log = append(log, delivery.Attempt{At: s.clock(), Status: 500})
		require.Equal(t, i+1 >= 5, s.state() == endpoint.Failing, "attempt %d", i+1)
		s.pass(failure.NextRetryDelay())
	}
	require.Greater(t, s.clock().Sub(begin), 4*24*time.Hour+12*time.Hour)
	_, err := s.deliver(log)
	failure := failureOf(t, err)
	require.Equal(t, event.ErrorExhausted, failure.Type())
	require.True(t, failure.NonRetryable())
	var attempts int
	require.NoError(t, failure.Details(&attempts))
	require.Equal(t, 11, attempts)
	require.GreaterOrEqual(t, s.temporal.count("signal changed "+delivery.WatchID(s.to.ID)), 1)
}

// TestAnswers has what an endpoint answers decide what becomes of a delivery.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status     int
		retryAfter string
		outcome    string        // "" for another attempt
		atLeast    time.Duration // before it
		state      endpoint.State
	}{
		"200":                   {200, "", delivery.Delivered, 0, endpoint.Active},
		"204":                   {204, "", delivery.Delivered, 0, endpoint.Active},
		"302 is not followed":   {302, "", "", 54 * time.Second, endpoint.Active},
		"400":                   {400, "", "", 54 * time.Second, endpoint.Active},
		"410":                   {410, "", delivery.Undelivered, 0, endpoint.Disabled},
		"429 with seconds":      {429, "600", "", 10 * time.Minute, endpoint.Active},
		"503 with a date":       {503, "Sun, 01 Mar 2026 13:00:00 GMT", "", time.Hour, endpoint.Active},
		"a wait that is less":   {503, "1", "", 54 * time.Second, endpoint.Active},
		"a wait that is absurd": {503, "99999999999999999999", "", 24 * time.Hour, endpoint.Active},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			s := start(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = append(got, string(body), r.Header.Get("X-Api-Key"), r.URL.String(), r.Header.Get(sign.HeaderID))
				w.Header().Set("Location", "/elsewhere")
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				w.WriteHeader(tt.status)
			}, func(e *endpoint.Endpoint) { e.Headers = map[string]string{"X-Api-Key": "secret"} })
			s.activate()
			outcome, err := s.deliver(nil)
			require.Equal(t, []string{`{ "a":1}`, "secret", "/in?k=v", "m1"}, got, "one request, and its body byte for byte")
			require.Equal(t, tt.state, s.state())
			if tt.outcome != "" {
				require.NoError(t, err)
				require.Equal(t, tt.outcome, outcome.State)
				require.Len(t, outcome.Attempts, 1)
				return
			}
			failure := failureOf(t, err)
			require.GreaterOrEqual(t, failure.NextRetryDelay(), tt.atLeast)
			require.LessOrEqual(t, failure.NextRetryDelay(), 24*time.Hour)
		})
	}
}

// TestNotAnAttempt postpones or ends a delivery without a request.
func TestNotAnAttempt(t *testing.T) {
	t.Parallel()
	requests := 0
	s := start(t, func(http.ResponseWriter, *http.Request) { requests++ }, nil)
	_, err := s.deliver(nil)
	require.Equal(t, "Postponed", failureOf(t, err).Type(), "it has yet to prove itself")
	_, _, err = s.Starter.Book.Move(t.Context(), s.to.ID, endpoint.Disabled, "a test", endpoint.Pending)
	require.NoError(t, err)
	outcome, err := s.deliver([]delivery.Attempt{{Status: 500}})
	require.NoError(t, err)
	require.Equal(t, delivery.Undelivered, outcome.State)
	require.Len(t, outcome.Attempts, 1, "what was before is kept")
	require.NoError(t, s.Starter.Book.Delete(t.Context(), s.to.ID))
	outcome, err = s.deliver(nil)
	require.NoError(t, err)
	require.Equal(t, "the endpoint is deleted", outcome.Why)
	require.Zero(t, requests)
}

// TestChallenge proves an endpoint that repeats what it was sent, and no other.
func TestChallenge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		proof  endpoint.Proof
		answer http.HandlerFunc
		proven bool
	}{
		"echo": {endpoint.ProofEcho, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, challenge, _ := strings.Cut(string(body), `"challenge":"`)
			challenge, _, _ = strings.Cut(challenge, `"`)
			_, _ = io.WriteString(w, `{"challenge": "`+challenge+`"}`)
		}, true},
		"the request as it came":   {endpoint.ProofEcho, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }, false},
		"nothing":                  {endpoint.ProofEcho, func(http.ResponseWriter, *http.Request) {}, false},
		"another one":              {endpoint.ProofEcho, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"challenge":"x"}`) }, false},
		"a redirect":               {endpoint.ProofEcho, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) }, false},
		"options":                  {endpoint.ProofOptions, allow("events.test"), true},
		"options for all":          {endpoint.ProofOptions, allow("*"), true},
		"options for another":      {endpoint.ProofOptions, allow("other.test"), false},
		"options without a header": {endpoint.ProofOptions, func(http.ResponseWriter, *http.Request) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tt.answer, func(e *endpoint.Endpoint) { e.Proof = tt.proof })
			err := s.ChallengeEndpoint(t.Context(), s.to.ID)
			require.Equal(t, tt.proven, err == nil, "%v", err)
			require.Equal(t, tt.proven, s.state() == endpoint.Active)
			e, err := s.Starter.Book.Get(t.Context(), s.to.ID)
			require.NoError(t, err)
			require.Equal(t, tt.proven, e.Why == "", "the owner sees why")
		})
	}
}

func allow(origin string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && r.Header.Get("WebHook-Request-Origin") == "events.test" {
			w.Header().Set("WebHook-Allowed-Origin", origin)
		}
	}
}

// watch runs the watch over the endpoint, which fails, in a clock that skips
// what it waits for. during is called after the given time.
func (s *sender) watch(after time.Duration, during func(env *testsuite.TestWorkflowEnvironment)) time.Duration {
	s.t.Helper()
	s.activate()
	_, _, err := s.Starter.Book.Failed(s.t.Context(), s.to.ID)
	require.NoError(s.t, err)
	_, _, err = s.Starter.Book.Move(s.t.Context(), s.to.ID, endpoint.Failing, "it fails", endpoint.Active)
	require.NoError(s.t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	begin := s.clock()
	env.SetStartTime(begin)
	s.Now = env.Now
	env.RegisterActivity(s.Activities)
	env.RegisterDelayedCallback(func() { during(env) }, after)
	env.ExecuteWorkflow(delivery.Watch, delivery.Watching{Endpoint: s.to.ID})
	require.True(s.t, env.IsWorkflowCompleted())
	require.NoError(s.t, env.GetWorkflowError())
	return env.Now().Sub(begin)
}

// TestFiveDays has an endpoint fail for five days: new deliveries are held, one
// of them tries from time to time, people are told of both changes once, and in
// the end it is disabled and what is held is let go.
func TestFiveDays(t *testing.T) {
	t.Parallel()
	s := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	s.temporal.held = []string{"ep:m1", "ep:m2"}
	took := s.watch(time.Hour, func(*testsuite.TestWorkflowEnvironment) {})
	require.InDelta(t, (5 * 24 * time.Hour).Hours(), took.Hours(), 1.5)
	require.Equal(t, endpoint.Disabled, s.state())
	require.Equal(t, []string{"failing", "disabled"}, s.told)
	require.Equal(t, 1, s.temporal.count("start "+event.PauseID(s.to.ID)))
	require.Equal(t, 1, s.temporal.count("signal unpause "+event.PauseID(s.to.ID)))
	require.Greater(t, s.temporal.count("signal resume ep:m1"), 100, "a probe each hour, and the end")
	require.Equal(t, 1, s.temporal.count("signal resume ep:m2"), "only one probes")
	require.Equal(t, 2, s.temporal.count("start hookyard/send/acme/op_"), "an operational event for each change")
}

// TestRecovery has an endpoint recover after two days.
func TestRecovery(t *testing.T) {
	t.Parallel()
	s := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	s.temporal.held = []string{"ep:m1", "ep:m2"}
	took := s.watch(48*time.Hour, func(env *testsuite.TestWorkflowEnvironment) {
		recovered, err := s.Starter.Book.Succeeded(t.Context(), s.to.ID)
		require.NoError(t, err)
		require.True(t, recovered)
		env.SignalWorkflow(delivery.SignalChanged, nil)
	})
	require.InDelta(t, 48.0, took.Hours(), 0.1, "it does not wait for the next probe")
	require.Equal(t, endpoint.Active, s.state())
	require.Equal(t, []string{"failing", "recovered"}, s.told)
	require.Equal(t, 1, s.temporal.count("signal resume ep:m2"))
}

// TestFailsAgain has an endpoint fail again while people are told that it has
// recovered: the watch that is about to end goes on, and people hear of each
// change.
func TestFailsAgain(t *testing.T) {
	t.Parallel()
	s := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	s.watch(time.Hour, func(env *testsuite.TestWorkflowEnvironment) {
		once := sync.OnceFunc(func() {
			_, _, err := s.Starter.Book.Failed(t.Context(), s.to.ID)
			require.NoError(t, err)
			_, _, err = s.Starter.Book.Move(t.Context(), s.to.ID, endpoint.Failing, "again", endpoint.Active)
			require.NoError(t, err)
			env.SignalWorkflow(delivery.SignalChanged, nil)
		})
		s.telling = func(kind string) {
			if kind == "recovered" {
				once()
			}
		}
		_, err := s.Starter.Book.Succeeded(t.Context(), s.to.ID)
		require.NoError(t, err)
		env.SignalWorkflow(delivery.SignalChanged, nil)
	})
	require.Equal(t, []string{"failing", "recovered", "failing", "disabled"}, s.told)
	require.Equal(t, 4, s.temporal.count("start hookyard/send/acme/op_"), "each notice is an event of its own")

	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(s.Activities)
	env.ExecuteWorkflow(delivery.Watch, delivery.Watching{Endpoint: s.to.ID})
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, s.told, 4, "another look tells nobody of what they know")
}

// TestRelay has the relay start what nobody has started: the deliveries of a
// message, and the watch over an endpoint that fails.
func TestRelay(t *testing.T) {
	t.Parallel()
	s := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	s.activate()
	_, _, err := s.Starter.Book.Move(t.Context(), s.to.ID, endpoint.Failing, "it fails", endpoint.Active)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Starter.Relay(ctx, 100*365*24*time.Hour, slog.New(slog.DiscardHandler))
	}()
	require.Eventually(t, func() bool {
		return s.temporal.count("start "+delivery.FanOutID("acme", "m1")) > 0 && s.temporal.count("start "+delivery.WatchID(s.to.ID)) > 0
	}, time.Minute, 10*time.Millisecond)
	cancel()
	<-done
	waiting, err := s.Starter.Book.Waiting(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Empty(t, waiting)
}
