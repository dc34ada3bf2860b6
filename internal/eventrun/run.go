// Package eventrun reads what Temporal says about the run of an event.
package eventrun

import (
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/payload"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// Run is an event's run, as Temporal lists and describes it.
type Run struct {
	ID, RunID         string
	WorkflowType      string
	Source, EventType string
	Status            enumspb.WorkflowExecutionStatus
	Started, Closed   time.Time      // Closed is zero in an open run
	Steps             []parking.Step // the first steps that are parked, in the order in which they parked
	More              int            // how many other steps are parked
	TaskAttempt       int32          // of the Workflow Task; more than 1 where it keeps failing, 0 where that is not known
}

// New reads what Temporal says about a run. What is missing or cannot
// be read stays empty: a run is listed all the same.
func New(info *workflowpb.WorkflowExecutionInfo) Run {
	r := Run{
		ID:           info.GetExecution().GetWorkflowId(),
		RunID:        info.GetExecution().GetRunId(),
		WorkflowType: info.GetType().GetName(),
		Status:       info.GetStatus(),
		Started:      info.GetStartTime().AsTime(),
	}
	if info.GetCloseTime() != nil {
		r.Closed = info.GetCloseTime().AsTime()
	}
	attributes := info.GetSearchAttributes().GetIndexedFields()
	r.Source, _ = Decoded[string](attributes[event.SourceAttribute])
	r.EventType, _ = Decoded[string](attributes[event.TypeAttribute])
	memo := info.GetMemo().GetFields()[event.ParkedMemo]
	if payload.IsEncrypted(memo) { // with a key that this program does not have
		r.Steps = []parking.Step{{
			Name: "(encrypted)", Since: r.Started,
			Error: fmt.Sprintf("what is parked is encrypted with key %q; add that key to encryption.keys", payload.KeyID(memo)),
		}}
		return r
	}
	parked, _ := Decoded[parking.Parked](memo)
	r.Steps, r.More = parked.Steps, parked.More
	return r
}

// Decoded reads a payload as the worker has written it.
func Decoded[T any](p *commonpb.Payload) (value T, ok bool) {
	ok = p != nil && converter.GetDefaultDataConverter().FromPayload(p, &value) == nil
	return value, ok
}

// Open reports a run that can still be sent something.
func (r Run) Open() bool { return r.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING }

// Parked reports a run that waits for a person, if only to end a pause.
func (r Run) Parked() bool { return r.Open() && len(r.Steps) > 0 }

// Held reports a run that waits for the end of a pause.
func (r Run) Held() bool { return r.Parked() && r.Steps[0].Reason == event.ReasonPaused }

// StoppedAt is when the run came to a stop: when it closed or, in an open run,
// since when its oldest parked step is parked.
func (r Run) StoppedAt() time.Time {
	if !r.Open() || len(r.Steps) == 0 {
		return r.Closed
	}
	return slices.MinFunc(r.Steps, func(a, b parking.Step) int { return a.Since.Compare(b.Since) }).Since
}

// StepNames lists the parked steps that the run names.
func (r Run) StepNames() []string {
	var names []string
	for _, s := range r.Steps {
		names = append(names, s.Name)
	}
	return names
}

// MayHave reports whether the run has a parked step of that name. Where more are
// parked than it names, only the run itself knows.
func (r Run) MayHave(step string) bool {
	_, named := r.Step(step)
	return named || r.More > 0
}

// Reasons lists why the run is parked, each reason once.
func (r Run) Reasons() string {
	var reasons []string
	for _, s := range r.Steps {
		reasons = append(reasons, string(s.Reason))
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), ",")
}

// Step returns the parked step of that name.
func (r Run) Step(name string) (parking.Step, bool) {
	i := slices.IndexFunc(r.Steps, func(s parking.Step) bool { return s.Name == name })
	if i < 0 {
		return parking.Step{}, false
	}
	return r.Steps[i], true
}

// StillAs reports whether the run still waits for what it waited for when it
// was listed: it is the same run, and one of the steps has been parked all
// along. A step that was resumed and has parked again is another matter.
func (r Run) StillAs(listed Run) bool {
	if r.RunID != listed.RunID || r.Status != listed.Status {
		return false
	}
	if len(listed.Steps) == 0 {
		return true // listed as closed, and closed runs do not change
	}
	return slices.ContainsFunc(listed.Steps, func(was parking.Step) bool {
		is, parked := r.Step(was.Name)
		return parked && is.Since.Equal(was.Since)
	})
}
