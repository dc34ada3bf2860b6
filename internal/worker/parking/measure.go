package parking

import (
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// The counters that a worker keeps. Dashboards hold their names.
const (
	countParked    = "hookyard_steps_parked_total"
	countResumed   = "hookyard_steps_resumed_total"
	countResolved  = "hookyard_steps_resolved_total"
	countDiscarded = "hookyard_runs_discarded_total"
)

// count counts what happens to a run, and not what is replayed of it: the
// SDK's counters know the difference. The labels are the source and, where
// there is one, the reason.
func (r *Run) count(ctx workflow.Context, counter string, reason event.ParkReason) {
	ev, _ := r.Event()
	labels := map[string]string{"source": ev.Source}
	if workflow.GetInfo(ctx).WorkflowType.Name == event.DeliveryWorkflow {
		labels["source"] = event.EndpointsLabel
	}
	if reason != "" {
		labels["reason"] = string(reason)
	}
	workflow.GetMetricsHandler(ctx).WithTags(labels).Counter(counter).Inc(1)
}
