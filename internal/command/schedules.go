package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
)

// scheduleQueue is the memo in which a Schedule of ours keeps its Task Queue:
// two programs may share a namespace, and each has Schedules of its own.
const scheduleQueue = "HookTaskQueue"

// KeepSchedules has Temporal's Schedules be those that the sources ask for:
// what is missing is created, what differs is changed, and what no source asks
// for any more is deleted. A Schedule that a person has paused stays paused. It
// returns what it did, a line each.
func KeepSchedules(ctx context.Context, c client.Client, taskQueue string, sources map[string]*ingest.Reconcile) (did []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		what, err := keepSchedule(ctx, c, taskQueue, name, sources[name].Every)
		if err != nil {
			return did, fmt.Errorf("schedule %q: %w", event.ReconcileID(name), err)
		}
		if what != "" {
			did = append(did, fmt.Sprintf("schedule %q: %s", event.ReconcileID(name), what))
		}
	}
	gone, err := forgottenSchedules(ctx, c, taskQueue, sources)
	if err != nil {
		return did, fmt.Errorf("list schedules: %w", err)
	}
	for _, id := range gone {
		if err := c.ScheduleClient().GetHandle(ctx, id).Delete(ctx); err != nil && !isNotFound(err) {
			return did, fmt.Errorf("delete schedule %q: %w", id, err)
		}
		did = append(did, fmt.Sprintf("schedule %q: deleted, as its source is not reconciled any more", id))
	}
	return did, nil
}

func isNotFound(err error) bool {
	_, missing := errors.AsType[*serviceerror.NotFound](err)
	return missing
}

// forgottenSchedules are those of this Task Queue that no source asks for.
func forgottenSchedules(ctx context.Context, c client.Client, taskQueue string, sources map[string]*ingest.Reconcile) (ids []string, err error) {
	list, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return nil, err
	}
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return nil, err
		}
		source, ours := event.ReconciledSource(entry.ID)
		if _, wanted := sources[source]; !ours || wanted {
			continue
		}
		var queue string
		if payload := entry.Memo.GetFields()[scheduleQueue]; payload != nil {
			if err := converter.GetDefaultDataConverter().FromPayload(payload, &queue); err != nil {
				continue // not one that this program has made
			}
		}
		if queue == taskQueue {
			ids = append(ids, entry.ID)
		}
	}
	return ids, nil
}

// keepSchedule creates or changes one Schedule.
func keepSchedule(ctx context.Context, c client.Client, taskQueue, source string, every time.Duration) (did string, err error) {
	spec := client.ScheduleSpec{
		Intervals: []client.ScheduleIntervalSpec{{Every: every}},
		// Sources do not all ask at the same moment.
		Jitter: min(every/10, 5*time.Minute),
	}
	action := &client.ScheduleWorkflowAction{
		ID: event.ReconcileID(source), Workflow: event.ReconcileWorkflow, TaskQueue: taskQueue,
		Args:          []any{sweep.Input{Source: source}},
		StaticSummary: "asks the provider of " + source + " for what never came",
	}
	_, err = c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: event.ReconcileID(source), Spec: spec, Action: action,
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		// The window is read again each time, so one sweep makes up for all
		// that were missed.
		CatchupWindow: time.Minute,
		Memo:          map[string]any{scheduleQueue: taskQueue},
	})
	if err == nil {
		return fmt.Sprintf("created, every %s", every), nil
	}
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return "", err
	}
	err = c.ScheduleClient().GetHandle(ctx, event.ReconcileID(source)).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			if scheduled(&schedule, spec, taskQueue) {
				return nil, temporal.ErrSkipScheduleUpdate
			}
			schedule.Spec, schedule.Action = &spec, action
			did = fmt.Sprintf("changed, every %s", every)
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	})
	return did, err
}

// scheduled reports whether a Schedule is as it should be.
func scheduled(s *client.Schedule, spec client.ScheduleSpec, taskQueue string) bool {
	action, ok := s.Action.(*client.ScheduleWorkflowAction)
	return ok && action.TaskQueue == taskQueue && action.Workflow == event.ReconcileWorkflow &&
		s.Spec != nil && slices.Equal(s.Spec.Intervals, spec.Intervals) && s.Spec.Jitter == spec.Jitter && len(s.Spec.Calendars) == 0 && len(s.Spec.CronExpressions) == 0
}
