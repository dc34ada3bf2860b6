package operate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// eventOf returns what a run was started with: the event's header and its
// payload, as it was amended last, since amending begins a new run.
func eventOf(events []*historypb.HistoryEvent) (event.Event, *commonpb.Payload, error) {
	if len(events) > 0 {
		input := events[0].GetWorkflowExecutionStartedEventAttributes().GetInput().GetPayloads()
		if len(input) == 2 {
			if ev, ok := eventrun.Decoded[event.Event](input[0]); ok {
				return ev, input[1], nil
			}
		}
	}
	return event.Event{}, nil, errors.New("it is no run of an event: it was not started by an edge of Hookyard's")
}

// deed is something that somebody did to a run.
type deed struct {
	at              time.Time
	what, step      string
	by, why, became string
}

func (d deed) String() string {
	text := d.at.UTC().Format(time.DateTime) + "  " + d.what
	if d.step != "" {
		text += " " + command.PlainLine(d.step, 100)
	}
	if d.by != "" {
		text += ", by " + command.PlainLine(d.by, 100)
	}
	if d.why != "" {
		text += ": " + command.PlainLine(d.why, 500)
	}
	if d.became != "" {
		text += " (" + command.PlainLine(d.became, 200) + ")"
	}
	return text
}

// deeds reads who did what out of a history.
func deeds(events []*historypb.HistoryEvent) []deed {
	var done []deed
	updates := map[string]int{} // by id, where they stand in done
	for _, e := range events {
		var d deed
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
			a := e.GetWorkflowExecutionSignaledEventAttributes()
			d = deedOf(a.GetSignalName(), a.GetInput(), a.GetIdentity())
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED:
			request := e.GetWorkflowExecutionUpdateAdmittedEventAttributes().GetRequest()
			d = deedOf(request.GetInput().GetName(), request.GetInput().GetArgs(), request.GetMeta().GetIdentity())
			updates[request.GetMeta().GetUpdateId()] = len(done)
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
			request := e.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest()
			if request == nil { // it was admitted before
				continue
			}
			d = deedOf(request.GetInput().GetName(), request.GetInput().GetArgs(), request.GetMeta().GetIdentity())
			updates[request.GetMeta().GetUpdateId()] = len(done)
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
			a := e.GetWorkflowExecutionUpdateCompletedEventAttributes()
			if i, ok := updates[a.GetMeta().GetUpdateId()]; ok && a.GetOutcome().GetFailure() != nil {
				done[i].became = "refused: " + a.GetOutcome().GetFailure().GetMessage()
			}
			continue
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			a := e.GetWorkflowTaskFailedEventAttributes()
			if a.GetCause() != enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW {
				continue
			}
			d.what, d.why, d.became = "reset", a.GetFailure().GetMessage(), "from run "+a.GetBaseRunId()
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
			a := e.GetWorkflowExecutionCancelRequestedEventAttributes()
			d.what, d.by, d.why = "cancel", a.GetIdentity(), a.GetCause()
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
			a := e.GetWorkflowExecutionTerminatedEventAttributes()
			d.what, d.by, d.why = "terminate", a.GetIdentity(), a.GetReason()
		default:
			continue
		}
		d.at = e.GetEventTime().AsTime()
		done = append(done, d)
	}
	return done
}

// deedOf reads what people say with a signal or an update. One that names
// nobody comes from a program or from the Web UI, whose identity has to do.
func deedOf(what string, input *commonpb.Payloads, identity string) deed {
	d := deed{what: what, by: identity}
	if len(input.GetPayloads()) > 0 {
		said, _ := eventrun.Decoded[parking.Resume](input.GetPayloads()[0]) // the others have its fields, too
		d.step, d.by, d.why = said.Step, cmp.Or(said.By, identity), said.Why
	}
	return d
}

// chain reads a run and the runs that it continues, the oldest in front: to
// amend a run, or to resume one as a whole, begins a new one. Runs that are no
// longer kept are missing.
func (o *operator) chain(ctx context.Context, r eventrun.Run) (all []deed, last []*historypb.HistoryEvent, err error) {
	const most = 50 // a person has read enough by then
	runID := r.RunID
	for range most {
		events, err := o.history(ctx, r.ID, runID)
		if _, gone := errors.AsType[*serviceerror.NotFound](err); gone && last != nil {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if last == nil {
			last = events
		}
		all = append(deeds(events), all...)
		if len(events) == 0 {
			break
		}
		if runID = events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId(); runID == "" {
			break
		}
	}
	return all, last, nil
}

// lastError returns the whole last error of a step, "" where the history does
// not have it: the memo has no more than its beginning.
func lastError(events []*historypb.HistoryEvent, step string) string {
	for _, f := range slices.Backward(stepFailures(events)) {
		if f.step == step {
			return temporal.GetDefaultFailureConverter().FailureToError(f.failure).Error()
		}
	}
	return ""
}

// taskFailure returns why the Workflow Task failed last, "" where the history
// does not say: the server writes down the first of several failures in a row.
func taskFailure(events []*historypb.HistoryEvent) string {
	for _, e := range slices.Backward(events) {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			return ""
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			return e.GetWorkflowTaskFailedEventAttributes().GetFailure().GetMessage()
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
			return "the worker gave no answer in time: it may have died of it, or hang"
		default:
		}
	}
	return ""
}

// localAttempt is a first attempt that was made within a Workflow Task. What
// becomes of it is a marker, and the marker's decision holds every other one
// that was made in the same task.
type localAttempt struct {
	step     string
	decision int64              // the event of the WorkflowTaskCompleted
	failure  *failurepb.Failure // nil where it succeeded
}

// asLocalAttempt reads the marker that the SDK writes for a local Activity.
func asLocalAttempt(e *historypb.HistoryEvent) (localAttempt, bool) {
	a := e.GetMarkerRecordedEventAttributes()
	data := a.GetDetails()["data"].GetPayloads()
	if a.GetMarkerName() != "LocalActivity" || len(data) != 1 {
		return localAttempt{}, false
	}
	marker, ok := eventrun.Decoded[struct{ ActivityType string }](data[0])
	return localAttempt{marker.ActivityType, a.GetWorkflowTaskCompletedEventId(), a.GetFailure()}, ok
}

// stepFailure is an Activity that failed after its last attempt, or at a first
// one within a Workflow Task.
type stepFailure struct {
	step    string
	failure *failurepb.Failure
}

func stepFailures(events []*historypb.HistoryEvent) []stepFailure {
	var all []stepFailure
	scheduled := map[int64]string{}
	for _, e := range events {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			scheduled[e.GetEventId()] = e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_FAILED:
			a := e.GetActivityTaskFailedEventAttributes()
			all = append(all, stepFailure{scheduled[a.GetScheduledEventId()], a.GetFailure()})
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
			a := e.GetActivityTaskTimedOutEventAttributes()
			all = append(all, stepFailure{scheduled[a.GetScheduledEventId()], a.GetFailure()})
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			if local, ok := asLocalAttempt(e); ok && local.failure != nil {
				all = append(all, stepFailure{local.step, local.failure})
			}
		default:
		}
	}
	return all
}

// activityType is what a parked step's name says without the number that tells
// several of one type apart.
func activityType(step string) string {
	name, number, _ := strings.Cut(step, "#")
	if _, err := strconv.Atoi(number); err == nil {
		return name
	}
	return step
}
