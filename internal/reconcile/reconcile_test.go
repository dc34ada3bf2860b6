package reconcile_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/reconcile"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
)

const key = "sk_test_1"

// place is a Temporal, as far as a sweep needs one.
type place struct {
	mu sync.Mutex
	// runs are those that there are; those that are late are not listed yet.
	runs, late map[string]bool
	lists      int
	started    []event.Event
	told       []sweep.Notice
}

func (p *place) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lists++
	var found []*workflowpb.WorkflowExecutionInfo
	for id := range p.runs {
		if strings.Contains(r.GetQuery(), `"`+id+`"`) && !p.late[id] {
			found = append(found, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id}})
		}
	}
	return &workflowservice.ListWorkflowExecutionsResponse{Executions: found}, nil
}

func (p *place) DescribeWorkflowExecution(_ context.Context, id, _ string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.runs[id] {
		return nil, serviceerror.NewNotFound("no such run")
	}
	return &workflowservice.DescribeWorkflowExecutionResponse{}, nil
}

func (p *place) start(_ context.Context, ev event.Event, _ provider.Identity) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[ev.WorkflowID()] {
		return false, nil
	}
	p.runs[ev.WorkflowID()] = true
	p.started = append(p.started, ev)
	return true, nil
}

// sweeping runs a sweep of a provider whose API is the handler.
func sweeping(t *testing.T, p *place, name string, in sweep.Input, api http.HandlerFunc) (sweep.Result, error) {
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	found, ok := catalog.Lookup(name)
	require.True(t, ok)
	receiver, err := found.Bind(provider.Binding{Secrets: []string{"s"}})
	require.NoError(t, err)
	asks, err := receiver.Reconciler(server.URL, key)
	require.NoError(t, err)
	clients := reconcile.NewClients()
	t.Cleanup(clients.Close)

	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(time.Now())
	sweep.Register(env)
	env.RegisterActivity(&reconcile.Activities{
		Client: p, HTTP: clients,
		Source: func(string) (*reconcile.Source, error) {
			return &reconcile.Source{
				API: asks, Window: 24 * time.Hour, Settle: 10 * time.Minute, OwnURL: true, Key: key, Start: p.start,
				Event: func(_ *provider.Delivery, identity provider.Identity) (event.Event, bool) {
					return event.Event{Source: "s", ID: identity.ID, Type: identity.Type}, identity.Type != "ignored"
				},
			}, nil
		},
		Tell: func(_ context.Context, n sweep.Notice) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.told = append(p.told, n)
			return nil
		},
	})
	in.Source = "s"
	env.ExecuteWorkflow(event.ReconcileWorkflow, in)
	require.True(t, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); err != nil {
		return sweep.Result{}, err
	}
	var r sweep.Result
	require.NoError(t, env.GetWorkflowResult(&r))
	return r, nil
}

// stripePage is a page of Stripe's events, an hour old.
func stripePage(more bool, events ...string) string {
	items := make([]string, len(events))
	for i, e := range events {
		id, eventType, _ := strings.Cut(e, " ")
		items[i] = fmt.Sprintf(`{"id":%q,"type":%q,"created":%d}`, id, eventType, time.Now().Add(-time.Hour).Unix())
	}
	return fmt.Sprintf(`{"data":[%s],"has_more":%t}`, strings.Join(items, ","), more)
}

// TestSweep starts what is missing, and nothing else, whatever the API and the
// list of runs are like meanwhile.
func TestSweep(t *testing.T) {
	t.Parallel()
	p := &place{runs: map[string]bool{"s:1": true, "s:2": true}, late: map[string]bool{"s:2": true}}
	requests, keys, after := 0, map[string]int{}, ""
	r, err := sweeping(t, p, "stripe", sweep.Input{}, func(w http.ResponseWriter, r *http.Request) {
		requests++
		keys[r.Header.Get("Authorization")]++
		switch requests {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			fmt.Fprint(w, stripePage(true, "1 a", "2 a", "3 a", "3 a", "4 ignored"))
		case 3:
			after = r.URL.Query().Get("starting_after")
			w.WriteHeader(http.StatusInternalServerError)
		default:
			fmt.Fprint(w, stripePage(false, "5 b"))
		}
	})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"Bearer " + key: 4}, keys)
	require.Equal(t, "4", after)
	require.Equal(t, 2, p.lists, "one list query a page")
	require.Equal(t, []int{2, 6, 1, 3, 2, 2}, []int{r.Pages, r.Listed, r.Ignored, r.Known, r.Missing, r.Started})
	require.Equal(t, map[string]int{"a": 1, "b": 1}, r.Types)
	require.Len(t, p.started, 2)
	require.Len(t, p.told, 1)
	require.Equal(t, 2, p.told[0].Result.Missing)
	require.WithinDuration(t, time.Now().Add(-time.Hour), r.First, time.Minute)

	// The second finds none, and tells nobody.
	r, err = sweeping(t, p, "stripe", sweep.Input{}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, stripePage(false, "1 a", "3 a", "5 b")) })
	require.NoError(t, err)
	require.Zero(t, r.Missing)
	require.Equal(t, 3, r.Known)
	require.Len(t, p.told, 1)
}

// TestSweepDryRun says what is missing, starts nothing and tells nobody.
func TestSweepDryRun(t *testing.T) {
	t.Parallel()
	p := &place{runs: map[string]bool{}}
	r, err := sweeping(t, p, "stripe", sweep.Input{DryRun: true}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, stripePage(false, "1 a")) })
	require.NoError(t, err)
	require.Equal(t, "1", r.Events[0].ID)
	require.Zero(t, r.Started)
	require.Empty(t, p.started)
	require.Empty(t, p.told)
}

// TestSweepRedelivers asks once for each event that is not there, and says how
// many of them did not come. What the provider refuses to send is counted, and
// keeps none of the others.
func TestSweepRedelivers(t *testing.T) {
	t.Parallel()
	p := &place{runs: map[string]bool{"s:there": true}, late: map[string]bool{"s:there": true}}
	asked := map[string]int{}
	at := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	r, err := sweeping(t, p, "github", sweep.Input{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			asked[r.URL.Path]++
			switch r.URL.Path {
			case "/deliveries/2/attempts":
				http.Error(w, "it cannot be sent again", http.StatusUnprocessableEntity)
			case "/deliveries/3/attempts":
				p.mu.Lock()
				p.runs["s:comes"] = true
				p.mu.Unlock()
				fallthrough
			default:
				w.WriteHeader(http.StatusAccepted)
			}
			return
		}
		item := func(id int, guid string) string {
			return fmt.Sprintf(`{"id":%d,"guid":%q,"event":"push","delivered_at":%q}`, id, guid, at)
		}
		fmt.Fprint(w, "["+strings.Join([]string{item(1, "there"), item(2, "refused"), item(3, "comes"), item(4, "lost"), item(5, "lost")}, ",")+"]")
	})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"/deliveries/2/attempts": 1, "/deliveries/3/attempts": 1, "/deliveries/4/attempts": 1}, asked)
	require.Equal(t, []int{3, 2, 1, 1}, []int{r.Missing, r.Redelivered, r.Waiting, r.Unread})
	require.Contains(t, r.Why, "it cannot be sent again")
	require.Empty(t, p.started)
}

// TestSweepFails ends with the reason, which is told and holds no key; the key
// goes nowhere else.
func TestSweepFails(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the key has left its host") }))
	t.Cleanup(elsewhere.Close)
	for name, tt := range map[string]struct {
		provider, want string
		answer         http.HandlerFunc
	}{
		"key": {"stripe", "answers 401: bad key <secret>", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad key "+key, http.StatusUnauthorized) }},
		"redirect": {"stripe", "a redirect is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}},
		"next": {"github", "not on the host of the API", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "<"+elsewhere.URL+`/deliveries>; rel="next"`)
			fmt.Fprintf(w, `[{"id":1,"guid":"g","event":"push","delivered_at":%q}]`, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
		}},
		"page": {"stripe", "the page is not JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &place{runs: map[string]bool{}}
			_, err := sweeping(t, p, tt.provider, sweep.Input{}, tt.answer)
			var said *temporal.ApplicationError
			require.ErrorAs(t, err, &said)
			require.True(t, said.NonRetryable())
			require.Contains(t, said.Message(), tt.want)
			require.NotContains(t, err.Error(), key)
			require.Len(t, p.told, 1)
			require.Equal(t, said.Message(), p.told[0].Failed)
			require.Empty(t, p.started)
		})
	}
}

// TestPublicAlone holds that a provider's own API is asked at public addresses
// alone: a name that leads inside is refused before anything is sent.
func TestPublicAlone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	t.Cleanup(server.Close)
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	found, _ := catalog.Lookup("stripe")
	receiver, err := found.Bind(provider.Binding{Secrets: []string{"s"}})
	require.NoError(t, err)
	asks, err := receiver.Reconciler(server.URL, key)
	require.NoError(t, err)
	clients := reconcile.NewClients()
	t.Cleanup(clients.Close)
	a := &reconcile.Activities{Client: &place{}, HTTP: clients, Source: func(string) (*reconcile.Source, error) {
		return &reconcile.Source{API: asks, Window: time.Hour, Key: key}, nil
	}}
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(a)
	_, err = env.ExecuteActivity(a.SweepPage, sweep.PageInput{Source: "s", Began: time.Now()})
	require.ErrorContains(t, err, "is not asked")
}
