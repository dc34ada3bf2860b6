// Package sweep is the Workflow that asks a provider what has happened and has
// what never came started.
package sweep

import (
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// The names of the Activities.
const (
	PageActivity    = "SweepPage"
	ArrivedActivity = "SweepArrived"
	TellActivity    = "TellOfSweep"
)

// ProgressQuery is the Query that a sweep answers with its Result so far.
const ProgressQuery = "progress"

// Input is the Workflow's argument. Histories hold it: its JSON names, and those
// of the types below, may be added to and not changed.
type Input struct {
	Source string `json:"source"`
	// Since is how far back to look; 0 for the source's window.
	Since time.Duration `json:"since,omitempty"`
	// DryRun starts nothing and asks for nothing to be delivered again.
	DryRun bool `json:"dry_run,omitempty"`
	// By is who asked for the sweep; empty for the Schedule.
	By string `json:"by,omitempty"`
	// Progress is set where a run continues an earlier one as new.
	Progress *Progress `json:"progress,omitempty"`
}

// Progress is where a sweep is.
type Progress struct {
	Result Result          `json:"result"`
	Began  time.Time       `json:"began"`
	Next   json.RawMessage `json:"next,omitempty"`
	Asked  []string        `json:"asked,omitempty"`
}

// PageInput is the argument of the Activity that reads a page.
type PageInput struct {
	Source string        `json:"source"`
	Since  time.Duration `json:"since,omitempty"`
	DryRun bool          `json:"dry_run,omitempty"`
	// Began is when the sweep began, from which its window is counted.
	Began time.Time `json:"began"`
	// Cursor is what the page before gave as Next; none for the first page.
	Cursor json.RawMessage `json:"cursor,omitempty"`
}

// PageResult is what became of a page.
type PageResult struct {
	Result Result `json:"result"`
	// Next is the cursor of the next page; none after the last one.
	Next json.RawMessage `json:"next,omitempty"`
	// Asked are the Workflow Ids of the events that the provider was asked to
	// deliver again.
	Asked []string `json:"asked,omitempty"`
}

// Result is what a sweep has found.
type Result struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Pages int       `json:"pages"`
	// Listed counts the events of the lists. Of them, Ignored are wanted by no
	// route, Known are there, and Missing are not.
	Listed  int `json:"listed"`
	Ignored int `json:"ignored,omitempty"`
	Known   int `json:"known"`
	Missing int `json:"missing"`
	// Of those that are missing, Started were started from the list, and
	// Redelivered the provider was asked to deliver again. Of the latter,
	// Waiting had not come when the sweep ended.
	Started     int `json:"started,omitempty"`
	Redelivered int `json:"redelivered,omitempty"`
	Waiting     int `json:"waiting,omitempty"`
	// Unread counts the items that are no events, and those that the provider
	// did not want to deliver again; Why is said of one of them.
	Unread int    `json:"unread,omitempty"`
	Why    string `json:"why,omitempty"`
	// Types counts the missing events by type: at most MaxTypes, the others
	// under "others".
	Types map[string]int `json:"types,omitempty"`
	// First and Last are the times of the oldest and the newest of them, where
	// the list has times.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Events are the first MaxEvents of them.
	Events []Event `json:"events,omitempty"`
}

// Event is one that was missing.
type Event struct {
	ID   string    `json:"id"`
	Type string    `json:"type,omitempty"`
	At   time.Time `json:"at,omitzero"`
}

// Bounds of what a Result and a Workflow hold.
const (
	MaxTypes  = 20
	MaxEvents = 50
	maxAsked  = 1000
	others    = "others"
)

// Add notes a missing event.
func (r *Result) Add(e Event) {
	r.Missing++
	r.count(e.Type, 1)
	r.span(e.At, e.At)
	if len(r.Events) < MaxEvents {
		r.Events = append(r.Events, e)
	}
}

func (r *Result) count(eventType string, n int) {
	if r.Types == nil {
		r.Types = map[string]int{}
	}
	if _, there := r.Types[eventType]; !there && len(r.Types) >= MaxTypes {
		eventType = others
	}
	r.Types[eventType] += n
}

func (r *Result) span(first, last time.Time) {
	if !first.IsZero() && (r.First.IsZero() || first.Before(r.First)) {
		r.First = first
	}
	if last.After(r.Last) {
		r.Last = last
	}
}

// merge adds what a page has found.
func (r *Result) merge(page Result) {
	r.From, r.To = page.From, page.To
	r.Pages++
	r.Listed += page.Listed
	r.Ignored += page.Ignored
	r.Known += page.Known
	r.Missing += page.Missing
	r.Started += page.Started
	r.Redelivered += page.Redelivered
	r.Unread += page.Unread
	if r.Why == "" {
		r.Why = page.Why
	}
	for _, eventType := range workflow.DeterministicKeys(page.Types) {
		r.count(eventType, page.Types[eventType])
	}
	r.span(page.First, page.Last)
	r.Events = append(r.Events, page.Events[:min(len(page.Events), MaxEvents-len(r.Events))]...)
}

// Notice is what people are told of a sweep.
type Notice struct {
	Source string `json:"source"`
	Result Result `json:"result"`
	// Failed is why the sweep ended early; empty where it did not.
	Failed string `json:"failed,omitempty"`
	// Over says that sweeps work again.
	Over bool `json:"over,omitempty"`
}

// looks are the waits before the sweep looks whether what was asked for has
// come.
func looks() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute}
}

// Workflow is event.ReconcileWorkflow. It reads the source's window page by
// page; each page is one Activity, so that a worker that dies costs one page.
// It keeps no cursor between sweeps: what is known costs one list query a page.
func Workflow(ctx workflow.Context, in Input) (Result, error) {
	p := in.Progress
	if p == nil {
		p = &Progress{Began: workflow.Now(ctx)}
	}
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Result, error) { return p.Result, nil }); err != nil {
		return Result{}, err
	}
	for {
		var page PageResult
		err := workflow.ExecuteActivity(pageOptions(ctx), PageActivity, PageInput{
			Source: in.Source, Since: in.Since, DryRun: in.DryRun, Began: p.Began, Cursor: p.Next,
		}).Get(ctx, &page)
		if err != nil {
			tellFailed(ctx, in, p.Result, err)
			return p.Result, err
		}
		p.Result.merge(page.Result)
		p.Next = page.Next
		p.Asked = append(p.Asked, page.Asked[:min(len(page.Asked), maxAsked-len(p.Asked))]...)
		if len(p.Next) == 0 {
			break
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Progress = p
			return Result{}, workflow.NewContinueAsNewError(ctx, event.ReconcileWorkflow, in)
		}
	}
	if err := awaitAsked(ctx, p); err != nil {
		return p.Result, err
	}
	tellFound(ctx, in, p.Result)
	return p.Result, nil
}

// awaitAsked looks whether what the provider was asked to deliver again has
// come. The next sweep asks again for what has not.
func awaitAsked(ctx workflow.Context, p *Progress) error {
	for _, wait := range looks() {
		if len(p.Asked) == 0 {
			break
		}
		if err := workflow.Sleep(ctx, wait); err != nil {
			return err
		}
		var missing []string
		if err := workflow.ExecuteActivity(shortOptions(ctx), ArrivedActivity, p.Asked).Get(ctx, &missing); err != nil {
			return err
		}
		p.Asked = missing
	}
	p.Result.Waiting = len(p.Asked)
	return nil
}

// tellFound has people told of what was missing: once for each sweep that has
// found something, but not again of the same events that do not come.
func tellFound(ctx workflow.Context, in Input, found Result) {
	if in.DryRun {
		return
	}
	recovered := in.By == "" && workflow.GetLastError(ctx) != nil
	var before Result
	if in.By == "" && workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, &before); err != nil {
			before = Result{}
		}
	}
	same := before.Waiting > 0 && before.Waiting == found.Missing && found.Waiting == found.Missing
	if found.Missing == 0 && !recovered || same {
		return
	}
	tell(ctx, Notice{Source: in.Source, Result: found, Over: recovered})
}

// tellFailed has people told of a sweep that failed, unless the one before it
// failed as well.
func tellFailed(ctx workflow.Context, in Input, found Result, failed error) {
	if in.DryRun || in.By != "" || workflow.GetLastError(ctx) != nil || temporal.IsCanceledError(failed) {
		return
	}
	tell(ctx, Notice{Source: in.Source, Result: found, Failed: reason(failed)})
}

// tell does not fail a sweep: what was missing is started, whoever hears of it.
func tell(ctx workflow.Context, n Notice) {
	n.Result.Events = nil // the run's result has them
	if err := workflow.ExecuteActivity(shortOptions(ctx), TellActivity, n).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("nobody was told of a sweep", "source", n.Source, "err", err)
	}
}

func pageOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Minute,
		HeartbeatTimeout:    10 * time.Second, // after which another worker takes over
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute, MaximumAttempts: 20},
	})
}

func shortOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 3, MaximumInterval: 10 * time.Minute, MaximumAttempts: 12},
	})
}

// Register gives a worker, or a replay, the Workflow.
func Register(r interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
},
) {
	r.RegisterWorkflowWithOptions(Workflow, workflow.RegisterOptions{Name: event.ReconcileWorkflow})
}

// String says in a line what a sweep has found.
func (r *Result) String() string {
	return fmt.Sprintf("%d listed, %d there, %d ignored, %d missing", r.Listed, r.Known, r.Ignored, r.Missing)
}
