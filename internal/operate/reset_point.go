package operate

import (
	"errors"
	"fmt"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// point is where a Reset goes back to: the WorkflowTaskCompleted event whose
// decisions are to be taken anew. To redo a step it is the one that scheduled
// the step. Any later one has the step's failure before it, and so would only
// fail again.
type point struct {
	id   int64
	what string   // what comes after it
	also []string // steps before that one, which were made in the same task and so run again
}

// startPoint is the first decision of all.
func startPoint(events []*historypb.HistoryEvent) (point, error) {
	for _, e := range events {
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			return point{id: e.GetEventId(), what: "its start"}, nil
		}
	}
	return point{}, errors.New("no worker has taken it up yet, so there is nothing to go back to")
}

// stepPoint is the decision that scheduled the step last or, where its first
// attempt within the Workflow Task was enough, the decision that wrote it down.
// A step without an event of its own, such as the Workflow as a whole, is the
// decision in which it parked.
func stepPoint(events []*historypb.HistoryEvent, step string) (point, error) {
	for _, e := range slices.Backward(events) {
		a := e.GetActivityTaskScheduledEventAttributes()
		if name := a.GetActivityType().GetName(); name != "" && (name == step || name == activityType(step)) {
			return point{id: a.GetWorkflowTaskCompletedEventId(), what: step}, nil
		}
		if local, ok := asLocalAttempt(e); ok && (local.step == step || local.step == activityType(step)) {
			return point{id: local.decision, what: step, also: madeBefore(events, e.GetEventId(), local.decision)}, nil
		}
	}
	for _, p := range slices.Backward(parks(events)) {
		if slices.ContainsFunc(p.steps, func(s parking.Step) bool { return s.Name == step }) {
			return point{id: p.decision, what: step}, nil
		}
	}
	return point{}, &stepNotRun{fmt.Sprintf("step %q did not run in it%s", step, suggestStep(events, step))}
}

// stepNotRun is the error of a step that a history does not have.
type stepNotRun struct{ text string }

func (s *stepNotRun) Error() string { return s.text }

// wasAmended reports whether a run ended because its payload was amended.
func wasAmended(events []*historypb.HistoryEvent) bool {
	for _, d := range deeds(events) {
		if d.what == event.UpdateAmend && d.became == "" {
			return true
		}
	}
	return false
}

// madeBefore names the steps that were done in a decision before its given
// event.
func madeBefore(events []*historypb.HistoryEvent, id, decision int64) []string {
	var steps []string
	for _, e := range events {
		local, ok := asLocalAttempt(e)
		if ok && e.GetEventId() < id && local.decision == decision && local.failure == nil {
			steps = append(steps, local.step)
		}
	}
	return steps
}

// stoppedPoint is the point of what stopped the run: the step that parked
// last or, where none did, the step that failed last or, where none did, the
// decision to fail.
func stoppedPoint(events []*historypb.HistoryEvent) (point, error) {
	if len(events) == 0 {
		return point{}, errors.New("it has no history")
	}
	last := events[len(events)-1]
	switch last.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		return point{}, fmt.Errorf("it has completed, so no step stands out; say from where it is to run again, with --start or --step%s", namesOf(events))
	default:
	}
	if all := parks(events); len(all) > 0 {
		steps := all[len(all)-1].steps
		latest := slices.MaxFunc(steps, func(a, b parking.Step) int { return a.Since.Compare(b.Since) })
		return stepPoint(events, latest.Name)
	}
	if failures := stepFailures(events); len(failures) > 0 {
		return stepPoint(events, failures[len(failures)-1].step)
	}
	if failed := last.GetWorkflowExecutionFailedEventAttributes(); failed != nil {
		return point{id: failed.GetWorkflowTaskCompletedEventId(), what: "its failure"}, nil
	}
	return point{}, fmt.Errorf("nothing in it has failed; say from where it is to run again, with --start or --step%s", namesOf(events))
}

// park is a moment at which steps were parked.
type park struct {
	decision int64 // the event of the decision that wrote it down
	steps    []parking.Step
}

// parks reads them from what the run has written into its memo.
func parks(events []*historypb.HistoryEvent) []park {
	var all []park
	for _, e := range events {
		a := e.GetWorkflowPropertiesModifiedEventAttributes()
		parked, _ := eventrun.Decoded[parking.Parked](a.GetUpsertedMemo().GetFields()[event.ParkedMemo])
		if len(parked.Steps) > 0 {
			all = append(all, park{a.GetWorkflowTaskCompletedEventId(), parked.Steps})
		}
	}
	return all
}

// stepsIn lists what a Reset can go back to, in the order in which it ran.
func stepsIn(events []*historypb.HistoryEvent) []string {
	var names []string
	add := func(name string) {
		if name != "" && name != event.ReportActivity && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, e := range events {
		add(e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName())
		if local, ok := asLocalAttempt(e); ok {
			add(local.step)
		}
	}
	for _, p := range parks(events) {
		for _, s := range p.steps {
			add(activityType(s.Name))
		}
	}
	return names
}

// namesOf ends a message that asks for a step.
func namesOf(events []*historypb.HistoryEvent) string { return config.Suggest("", stepsIn(events)) }

// suggestStep ends a message about a step that is not there.
func suggestStep(events []*historypb.HistoryEvent, step string) string {
	names := stepsIn(events)
	if len(names) == 0 {
		return "; no step did, so only --start is left"
	}
	return config.Suggest(step, names)
}

// closedAs returns the type of the error that a run failed with, "" where it
// did not.
func closedAs(events []*historypb.HistoryEvent) string {
	if len(events) == 0 {
		return ""
	}
	failed := events[len(events)-1].GetWorkflowExecutionFailedEventAttributes()
	return failed.GetFailure().GetApplicationFailureInfo().GetType()
}

// resetFrom returns the run from which a Reset has made this one, "" where
// none has.
func resetFrom(events []*historypb.HistoryEvent) string {
	for _, e := range slices.Backward(events) {
		a := e.GetWorkflowTaskFailedEventAttributes()
		if a.GetCause() == enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW {
			return a.GetBaseRunId()
		}
	}
	return ""
}

// resolvedAfter names the steps that a person resolved by hand after an event:
// a Reset to it forgets that.
func resolvedAfter(events []*historypb.HistoryEvent, id int64) []string {
	var steps []string
	for _, e := range events {
		a := e.GetWorkflowExecutionSignaledEventAttributes()
		if e.GetEventId() < id || a.GetSignalName() != event.SignalResolve {
			continue
		}
		step := ""
		if input := a.GetInput().GetPayloads(); len(input) > 0 {
			said, _ := eventrun.Decoded[parking.Resolve](input[0])
			step = said.Step
		}
		steps = append(steps, command.PlainLine(step, 100))
	}
	return steps
}
