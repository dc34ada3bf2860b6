package hookyardtest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard"
	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/worker"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// Options say what a run has around it. The zero Options are an App's Workflows
// with the Activities that hookyard.On was given, and the default Retry Policy.
type Options struct {
	// Fakes stand in for Activities, by name. They go before real ones.
	Fakes Fakes
	// Activities are real ones, connected for the test, such as
	// &activities.Shop{URL: server.URL}. Each replaces the value of its type
	// that hookyard.On was given. A nil pointer there is no real Activity.
	Activities []any
	// Config is the path of a hookyard.yaml whose `retry:` the run goes by. That
	// of a source counts where the Event's Source is its name. Secrets are not
	// looked up. "" means Hookyard's defaults, 40 attempts in more than a day.
	Config string
	// Timeout is how long a step of a real Activity may keep the run waiting,
	// by the machine's clock. Default 1 minute.
	Timeout time.Duration
}

// Step is a step that waits for a person: Name, Reason, Error and Attempts say
// which one and why. See event.ParkReason for the reasons.
type Step = parking.Step

// Call is one call of an Activity, with all its attempts.
type Call struct {
	// Activity is its name.
	Activity string
	// Args are the arguments as the Workflow passed them.
	Args []any
}

// Run is one run of the Workflow that the App has for an event. It has stopped:
// it is closed, or it waits for somebody.
type Run struct {
	t    testing.TB
	app  hookyard.App
	ev   Event
	o    Options
	cfg  *config.Config
	turn chan struct{} // the run has stopped
	deed chan func()   // what to do to it then; the environment's loop does it

	// The environment's loop changes these, and the test reads them while that
	// waits.
	env     *testsuite.TestWorkflowEnvironment
	pending int  // what the run waits for and nobody has to decide
	asked   bool // whether it is idle
	ending  bool
	parked  []Step
	calls   []Call
	closed  bool
	err     error // of a closed run
	broken  any   // what the environment panicked with
	refused error // of the last amend

	mu       sync.Mutex
	fakes    Fakes
	attempts map[string]int
	misuse   error
}

// Start runs the event's Workflow until it is closed, or until it waits for a
// person or for a Signal and nothing else is going on. Waits take no time. The
// run ends with the test.
func Start(t testing.TB, app hookyard.App, ev Event, o Options) *Run {
	t.Helper()
	if err := errors.Join(program(app).Check(), ev.handled(app)); err != nil {
		t.Fatal(err)
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	r := &Run{
		t: t, app: app, ev: ev, o: o, turn: make(chan struct{}), deed: make(chan func()),
		fakes: Fakes{}, attempts: map[string]int{},
	}
	for name, fake := range o.Fakes {
		r.Fake(name, fake)
	}
	var err error
	if r.cfg, err = configured(app, o.Config); err != nil {
		t.Fatalf("Options.Config: %v", err)
	}
	go r.chain()
	t.Cleanup(r.end)
	r.await()
	return r
}

// configured reads the config, with all that `check` looks at.
func configured(app hookyard.App, path string) (*config.Config, error) {
	if path == "" {
		const defaults = "sources: {test: {provider: stripe, secrets: [env:TEST]}}" // a config needs a source
		return config.Parse("hookyard.yaml", []byte(defaults), config.Options{SkipSecrets: true})
	}
	set, err := command.Load(path, command.Env{App: program(app)}, true)
	if err != nil {
		return nil, err
	}
	return set.Config, nil
}

// chain runs the Workflow, and each run that continues it.
func (r *Run) chain() {
	defer close(r.turn)
	defer func() {
		if broken := recover(); broken != nil {
			r.broken = broken
		}
	}()
	var (
		header  *commonpb.Header
		payload = r.ev.payload()
		startAt = r.ev.ReceivedAt
	)
	for {
		r.env = r.environment(header, startAt)
		r.pending, r.asked, r.parked = 0, false, nil
		r.env.ExecuteWorkflow(r.ev.WorkflowType(), r.ev.Event, payload)
		err := r.env.GetWorkflowError()
		var anew *workflow.ContinueAsNewError
		if !errors.As(err, &anew) || r.ending {
			r.closed, r.err = true, err
			return
		}
		var ev event.Event
		if err := converter.GetDefaultDataConverter().FromPayloads(anew.Input, &ev, &payload); err != nil {
			r.closed, r.err = true, fmt.Errorf("the run continues as new without an event: %w", err)
			return
		}
		header, startAt, r.ev.Event = anew.Header, r.env.Now(), ev
	}
}

// environment returns Temporal's test environment with what a worker has.
func (r *Run) environment(header *commonpb.Header, startAt time.Time) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	env := suite.NewTestWorkflowEnvironment()
	if header != nil {
		env.SetHeader(header)
	}
	if !startAt.IsZero() {
		env.SetStartTime(startAt)
	}
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: r.ev.WorkflowID()})
	env.SetTestTimeout(r.o.Timeout)
	env.SetWorkerOptions(sdkworker.Options{
		DeadlockDetectionTimeout: r.o.Timeout, // a machine that is busy is no deadlock
		Interceptors: []interceptor.WorkerInterceptor{
			&watcher{run: r, idle: func() { env.RegisterDelayedCallback(r.stopped, 0) }},
			worker.Interceptor(worker.Options{
				Policies: worker.NewPolicies(command.Policies(r.cfg)),
				Parking:  parking.Options{Fits: worker.Fits(r.app.Workflows)},
			}),
		},
	})
	if err := worker.Register(env, r.app.Workflows); err != nil {
		panic(err) //nolint:forbidigo // Start has checked it
	}
	for name, function := range r.real() {
		env.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: name})
	}
	env.RegisterDynamicActivity(r.dynamic, activity.DynamicRegisterOptions{})
	return env
}

// real returns the real Activities by name, less those with a fake.
func (r *Run) real() map[string]any {
	all := map[string]any{}
	var values []any
	for _, h := range r.app.Workflows {
		values = append(values, h.Activities()...)
	}
	for _, v := range append(values, r.o.Activities...) {
		value := reflect.ValueOf(v)
		if value.Kind() == reflect.Func {
			name := runtime.FuncForPC(value.Pointer()).Name()
			all[strings.TrimSuffix(name[strings.LastIndex(name, ".")+1:], "-fm")] = v
			continue
		}
		if value.Kind() == reflect.Pointer && value.IsNil() {
			continue
		}
		for i := range value.NumMethod() {
			all[value.Type().Method(i).Name] = value.Method(i).Interface()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(all, func(name string, _ any) bool { _, faked := r.fakes[name]; return faked })
	return all
}

// stopped hands the run to the test, if there is nothing that it still waits
// for, and does what the test says.
func (r *Run) stopped() {
	r.asked = false
	if r.pending > 0 || r.env.IsWorkflowCompleted() {
		return
	}
	if r.ending { // it does not end when it is canceled
		panic("the run was canceled at the end of the test, and goes on") //nolint:forbidigo // chain recovers it; nothing else ends the environment
	}
	r.turn <- struct{}{}
	do := <-r.deed
	do()
	r.asked = true
	r.env.RegisterDelayedCallback(r.stopped, 0)
}

// await waits until the run stops.
func (r *Run) await() {
	r.t.Helper()
	<-r.turn
	r.mu.Lock()
	misuse := r.misuse
	r.misuse = nil
	r.mu.Unlock()
	switch {
	case r.broken != nil:
		r.t.Fatalf("the test environment gave up: %v", r.broken)
	case misuse != nil:
		r.t.Fatal(misuse)
	}
}

// act does something to the run, and waits until it stops again.
func (r *Run) act(what string, do func()) {
	r.t.Helper()
	if r.closed || r.broken != nil {
		r.t.Fatalf("cannot %s: %s", what, r.state())
	}
	r.deed <- do
	r.await()
}

// end cancels a run that waits, for its goroutines to end.
func (r *Run) end() {
	if !r.closed && r.broken == nil {
		r.deed <- func() {
			r.ending = true
			r.env.CancelWorkflow()
		}
	}
	for range r.turn { // it is closed once the run is
	}
}

// state says where the run is.
func (r *Run) state() string {
	switch {
	case r.closed && r.err != nil:
		return fmt.Sprintf("the run closed as failed: %v", r.err)
	case r.closed:
		return "the run completed"
	case len(r.parked) == 0:
		return "the run waits for something other than a step or a person, such as a Signal; send it with Signal"
	}
	var all []string
	for _, s := range r.parked {
		all = append(all, fmt.Sprintf("%s (%s after %d attempts: %s)", s.Name, s.Reason, s.Attempts, s.Error))
	}
	return "the run is parked at " + strings.Join(all, ", at ")
}

// Completed ends the test unless the run completed.
func (r *Run) Completed() {
	r.t.Helper()
	if !r.closed || r.err != nil {
		r.t.Fatalf("want a run that completed, but %s", r.state())
	}
}

// Discarded ends the test unless the run closed as discarded.
func (r *Run) Discarded() {
	r.t.Helper()
	if !r.closed || r.err == nil || !strings.Contains(r.err.Error(), "type: "+event.ErrorDiscarded) {
		r.t.Fatalf("want a run that was discarded, but %s", r.state())
	}
}

// Parked ends the test unless that step is parked for that reason, and returns
// it. The step's name is that of its Activity, with "#2" and so on where several
// of one name are parked, or event.WholeWorkflow for the Workflow's function:
// it returned an error, panicked, or the payload does not fit. Of more than ten
// parked steps, the first ten are known.
func (r *Run) Parked(step string, reason event.ParkReason) Step {
	r.t.Helper()
	i := slices.IndexFunc(r.parked, func(s Step) bool { return s.Name == step && s.Reason == reason })
	if r.closed || i < 0 {
		r.t.Fatalf("want a run that is parked at %s (%s), but %s", step, reason, r.state())
	}
	return r.parked[i]
}

// Fake replaces what an Activity does from now on, as Fakes has it. A real
// Activity that has run already stays real until the run starts over.
func (r *Run) Fake(name string, fake any) {
	r.t.Helper()
	known := slices.Sorted(maps.Keys(r.knownActivities()))
	if err := checkFake(name, fake, known); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fakes[name] = fake
}

// knownActivities are the names that a step of the App can have.
func (r *Run) knownActivities() map[string]bool {
	known := map[string]bool{}
	for _, name := range program(r.app).ActivityNames() {
		known[name] = true
	}
	return known
}

// Resume has a parked step tried again, "" for all of them, and runs on until
// the run stops.
func (r *Run) Resume(step string) {
	r.t.Helper()
	r.needParked("resume", step)
	r.act("resume", func() { r.env.SignalWorkflow(event.SignalResume, parking.Resume{Step: step, By: "test"}) })
}

// Resolve says that a parked step was done by hand, with this result, and runs
// on until the run stops. A step that returns nothing has the result nil.
func (r *Run) Resolve(step string, result any) {
	r.t.Helper()
	r.needParked("resolve", step)
	var raw json.RawMessage
	if result != nil {
		var err error
		if raw, err = json.Marshal(result); err != nil {
			r.t.Fatalf("the result of %q: %v", step, err)
		}
	}
	r.act("resolve", func() {
		r.env.SignalWorkflow(event.SignalResolve, parking.Resolve{Step: step, Result: raw, By: "test"})
	})
}

// Discard gives the event up, and runs on until the run is closed.
func (r *Run) Discard(why string) {
	r.t.Helper()
	r.needParked("discard", "")
	r.act("discard", func() { r.env.SignalWorkflow(event.SignalDiscard, parking.Discard{By: "test", Why: why}) })
}

// Amend starts the Workflow over with this payload, and runs on until the run
// stops. It ends the test where the payload does not fit the Workflow.
func (r *Run) Amend(payload []byte) {
	r.t.Helper()
	r.refused = nil
	r.act("amend", func() {
		r.env.UpdateWorkflow(event.UpdateAmend, "", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { r.refused = err }, OnAccept: func() {}, OnComplete: func(any, error) {},
		}, parking.Amend{Base64: base64.StdEncoding.EncodeToString(payload), By: "test"})
	})
	if r.refused != nil {
		r.t.Fatalf("the amended payload is refused: %v", r.refused)
	}
}

// Signal sends a Signal of the Workflow's own, and runs on until the run stops.
func (r *Run) Signal(name string, value any) {
	r.t.Helper()
	r.act("signal", func() { r.env.SignalWorkflow(name, value) })
}

func (r *Run) needParked(what, step string) {
	r.t.Helper()
	if r.closed || !slices.ContainsFunc(r.parked, func(s Step) bool { return step == "" || s.Name == step }) {
		r.t.Fatalf("cannot %s %q: %s", what, step, r.state())
	}
}

// Calls returns the calls of an Activity so far, "" for those of all, in order.
// To resume a step calls it again. A result that was kept is no call.
func (r *Run) Calls(name string) []Call {
	var calls []Call
	for _, c := range r.calls {
		if name == "" || c.Activity == name {
			calls = append(calls, c)
		}
	}
	return calls
}

// Attempts returns how many attempts there were of an Activity so far.
func (r *Run) Attempts(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts[name]
}

// Called ends the test unless the last call of the Activity had these
// arguments. They are compared by go-cmp.
func (r *Run) Called(name string, args ...any) {
	r.t.Helper()
	calls := r.Calls(name)
	if len(calls) == 0 {
		r.t.Fatalf("want a call of %s, but %s, and the calls were %q", name, r.state(), r.names())
	}
	if diff := cmp.Diff(args, calls[len(calls)-1].Args); diff != "" {
		r.t.Fatalf("%s was called with other arguments (-want +got):\n%s", name, diff)
	}
}

// NotCalled ends the test if there was a call of the Activity.
func (r *Run) NotCalled(name string) {
	r.t.Helper()
	if !r.knownActivities()[name] {
		r.t.Fatal(checkFake(name, nil, slices.Sorted(maps.Keys(r.knownActivities()))))
	}
	if n := len(r.Calls(name)); n > 0 {
		r.t.Fatalf("want no call of %s, and there were %d", name, n)
	}
}

func (r *Run) names() []string {
	names := []string{}
	for _, c := range r.calls {
		names = append(names, c.Activity)
	}
	return names
}
