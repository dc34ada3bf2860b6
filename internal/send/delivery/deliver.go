package delivery

import (
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// The Activities, by their names. The package attempt has them.
const (
	DeliverActivity = "DeliverMessage"
	StartActivity   = "StartDeliveries"
	LookActivity    = "LookAtEndpoint"
	PauseActivity   = "HoldEndpoint"
	ProbeActivity   = "ProbeEndpoint"
	ReleaseActivity = "ReleaseEndpoint"
	TellActivity    = "TellOfEndpoint"
	VerifyActivity  = "ChallengeEndpoint"
	ReplayActivity  = "ResendMessages"
)

// AttemptTimeout is the longest that an attempt may wait for an answer.
const AttemptTimeout = 30 * time.Second

// Register gives a worker the Workflows.
func Register(r interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
},
) {
	for name, w := range map[string]any{
		event.DeliveryWorkflow: Deliver, FanOutWorkflow: FanOut, WatchWorkflow: Watch,
		VerifyWorkflow: Verify, ReplayWorkflow: Replay, LaneWorkflow: Lane,
	} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
}

// Deliver is the Workflow of one message on its way to one endpoint. Its
// Activity is attempted by the endpoint's schedule: the Activity says when to
// come back, so a failed attempt costs no Workflow Task. When the schedule is
// used up the run parks, as the run of an event does.
//
// A run that cannot deliver, because the endpoint is disabled, closes as failed
// with the type event.ErrorUndelivered: a replay may start it again, and never
// one that delivered.
func Deliver(ctx workflow.Context, ev event.Event, ref Ref) (Outcome, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: AttemptTimeout + 30*time.Second, // to reach the store before and after
		Summary:             "deliver " + event.Code(ev.Type),
		// The Activity sets each wait itself. This is for a worker that died.
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 10 * time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Minute},
	})
	var outcome Outcome
	if err := workflow.ExecuteActivity(ctx, DeliverActivity, ev, ref).Get(ctx, &outcome); err != nil {
		return outcome, err
	}
	if outcome.State == Undelivered {
		return outcome, temporal.NewNonRetryableApplicationError(outcome.Why, event.ErrorUndelivered, nil, outcome)
	}
	return outcome, nil
}

// Fits holds a correction of a payload against the Workflow Type: a delivery has
// none, because its message is what was published.
func Fits(others func(workflowType string, ev event.Event, payload []byte) error) func(string, event.Event, []byte) error {
	return func(workflowType string, ev event.Event, payload []byte) error {
		if workflowType == event.DeliveryWorkflow {
			return errors.New("the message of a delivery is what was published; publish another one")
		}
		return others(workflowType, ev, payload)
	}
}

// patient are the options of an Activity that only reaches the store and
// Temporal, and so is attempted until it is done.
func patient(ctx workflow.Context, summary string, timeout time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: timeout,
		HeartbeatTimeout:    min(timeout, time.Minute),
		Summary:             summary,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}

// Page says which endpoints an Activity starts deliveries to.
type Page struct {
	Tenant  string `json:"tenant"`
	Message string `json:"message"`
	// After is the endpoint after which the page begins.
	After string `json:"after,omitempty"`
}

// Started is what became of a Page.
type Started struct {
	Count int `json:"count"`
	// Next is where the next page begins, "" after the last.
	Next string `json:"next,omitempty"`
}

// FanOut starts the deliveries of a message, a page of endpoints at a time, and
// returns how many there are. The deliveries are no children: however many there
// are, this history has some events for each page.
func FanOut(ctx workflow.Context, p Page) (int, error) {
	ctx = patient(ctx, "start deliveries", 5*time.Minute)
	for total := 0; ; {
		var started Started
		if err := workflow.ExecuteActivity(ctx, StartActivity, p).Get(ctx, &started); err != nil {
			return total, err
		}
		total += started.Count
		if p.After = started.Next; p.After == "" {
			return total, nil
		}
	}
}

// Verify challenges an endpoint until it proves itself, a few times.
func Verify(ctx workflow.Context, endpoint string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		Summary:             "challenge",
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 3, MaximumInterval: 10 * time.Minute, MaximumAttempts: 6},
	})
	return workflow.ExecuteActivity(ctx, VerifyActivity, endpoint).Get(ctx, nil)
}

// Resend is the input of Replay.
type Resend struct {
	Endpoint string    `json:"endpoint"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	// Only is one of the constants below.
	Only string `json:"only"`
	// DryRun counts, and starts nothing.
	DryRun bool `json:"dry_run,omitempty"`
	// PerSecond is how many deliveries are started in a second.
	PerSecond float64 `json:"per_second"`
	// AfterID is the message at Since after which to go on.
	AfterID string `json:"after_id,omitempty"`
	// Count is how many were started before.
	Count int `json:"count,omitempty"`
}

// What is sent again.
const (
	OnlyMissing = "missing" // what has no delivery, or one that closed undelivered
	OnlyFailed  = "failed"  // what closed undelivered or is parked
	OnlyAll     = "all"     // also what was delivered
)

// Resent is what became of a page of a replay.
type Resent struct {
	Count   int       `json:"count"`
	Since   time.Time `json:"since"`
	AfterID string    `json:"after_id,omitempty"`
	Done    bool      `json:"done"`
}

// Progress is the answer to QueryProgress.
type Progress struct {
	Endpoint string `json:"endpoint"`
	Count    int    `json:"count"`
	Done     bool   `json:"done"`
}

// Replay starts deliveries of an endpoint again, page by page, and returns how
// many. A replay that is interrupted goes on where it was.
func Replay(ctx workflow.Context, r Resend) (int, error) {
	done := false
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryProgress, func() (Progress, error) {
		return Progress{Endpoint: r.Endpoint, Count: r.Count, Done: done}, nil
	}, workflow.QueryHandlerOptions{Description: "How far the replay is."})
	if err != nil {
		return 0, err
	}
	ctx = patient(ctx, "send again", 10*time.Minute)
	for {
		var page Resent
		if err := workflow.ExecuteActivity(ctx, ReplayActivity, r).Get(ctx, &page); err != nil {
			return r.Count, err
		}
		r.Count += page.Count
		if done = page.Done; done {
			return r.Count, nil
		}
		r.Since, r.AfterID = page.Since, page.AfterID
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return r.Count, workflow.NewContinueAsNewError(ctx, ReplayWorkflow, r)
		}
	}
}

// Next is one message in a lane.
type Next struct {
	Tenant    string    `json:"tenant"`
	Message   string    `json:"message"`
	Type      string    `json:"type"`
	Published time.Time `json:"published"`
}

// Queue is the input of Lane: what an earlier run has left.
type Queue struct {
	Endpoint string `json:"endpoint"`
	Waiting  []Next `json:"waiting,omitempty"`
}

// laneRuns is how many deliveries one run of a lane has.
const laneRuns = 500

// Lane delivers the messages of one ordered endpoint, one after the other. A
// message that cannot be delivered keeps those behind it waiting, until it is
// delivered, discarded, or the endpoint is disabled.
func Lane(ctx workflow.Context, q Queue) error {
	next := workflow.GetSignalChannel(ctx, SignalNext)
	for done := 0; ; done++ {
		for n := (Next{}); next.ReceiveAsync(&n); n = (Next{}) {
			q.Waiting = append(q.Waiting, n)
		}
		switch {
		case len(q.Waiting) == 0:
			return nil
		case done >= laneRuns || workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			return workflow.NewContinueAsNewError(ctx, LaneWorkflow, q)
		}
		n := q.Waiting[0]
		child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            ID(q.Endpoint, n.Message),
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
			TypedSearchAttributes: Attributes(q.Endpoint, n.Type, n.Tenant, n.Message, false),
		})
		ev := Event(q.Endpoint, n.Message, n.Type, n.Published, false)
		if err := workflow.ExecuteChildWorkflow(child, event.DeliveryWorkflow, ev, Ref{Tenant: n.Tenant, Lane: true}).Get(ctx, nil); err != nil && ctx.Err() != nil {
			return err
		}
		q.Waiting = q.Waiting[1:]
	}
}

// Attributes are the Search Attributes of a delivery.
func Attributes(endpoint, eventType, tenant, message string, held bool) temporal.SearchAttributes {
	updates := []temporal.SearchAttributeUpdate{
		temporal.NewSearchAttributeKeyKeyword(event.SourceAttribute).ValueSet(endpoint),
		temporal.NewSearchAttributeKeyKeyword(event.TypeAttribute).ValueSet(eventType),
		temporal.NewSearchAttributeKeyKeyword(event.MessageAttribute).ValueSet(MessageKey(tenant, message)),
	}
	if held {
		updates = append(updates, temporal.NewSearchAttributeKeyKeyword(event.StateAttribute).ValueSet(event.StateHeld))
	}
	return temporal.NewSearchAttributes(updates...)
}
