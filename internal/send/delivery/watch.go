package delivery

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// Look is what an endpoint is, as the watch sees it.
type Look struct {
	// State is an endpoint.State, or Deleted.
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
}

// Deleted is the state of an endpoint that is no more.
const Deleted = "deleted"

// The states that a watch acts on. They are those of the package endpoint, which
// Workflows do not import.
const (
	stateActive   = "active"
	stateFailing  = "failing"
	stateDisabled = "disabled"
)

// Notice is a change of state, for those who are told.
type Notice struct {
	Endpoint string `json:"endpoint"`
	// Kind is "failing", "disabled" or "recovered".
	Kind string `json:"kind"`
	Why  string `json:"why,omitempty"`
	// Change tells one change of state from the next.
	Change string `json:"change"`
}

// Watching is the input of Watch.
type Watching struct {
	Endpoint string `json:"endpoint"`
	// Told is the state that people were told of last, in a run that goes on
	// from another one.
	Told string `json:"told,omitempty"`
	// Probes is how many probes there were.
	Probes int `json:"probes,omitempty"`
}

// probeEvery are the waits between the probes of a failing endpoint; the last
// one is for all that follow.
//
//nolint:gochecknoglobals // a constant list
var probeEvery = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}

// Watch looks after an endpoint from the moment that it fails until it is
// active again, disabled or deleted.
//
// While the endpoint fails, new deliveries are held: each would take a minute of
// a worker to learn what is known. One of them is let through from time to time,
// and the others follow when it is delivered. When the endpoint is disabled,
// those that are held close as undelivered, and their messages are kept.
func Watch(ctx workflow.Context, w Watching) error {
	changed := workflow.GetSignalChannelWithOptions(ctx, SignalChanged, workflow.SignalChannelOptions{Description: "Look at the endpoint now. No input is needed."})
	for {
		for changed.ReceiveAsync(nil) { // one look is for all of them
		}
		var look Look
		short := patient(ctx, "look at the endpoint", time.Minute)
		if err := workflow.ExecuteActivity(short, LookActivity, w.Endpoint).Get(ctx, &look); err != nil {
			return err
		}
		if look.State != stateFailing {
			return w.end(ctx, look)
		}
		if w.Told != stateFailing {
			if err := workflow.ExecuteActivity(short, PauseActivity, w.Endpoint, look.Why).Get(ctx, nil); err != nil {
				return err
			}
			w.tell(ctx, stateFailing, look.Why)
			w.Told = stateFailing
		}
		wait := probeEvery[min(w.Probes, len(probeEvery)-1)]
		early, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout: wait, TimerOptions: workflow.TimerOptions{Summary: "before the next probe"},
		}, func() bool { return changed.Len() > 0 })
		if err != nil {
			return err
		}
		if early {
			continue
		}
		w.Probes++
		if err := workflow.ExecuteActivity(short, ProbeActivity, w.Endpoint).Get(ctx, nil); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, WatchWorkflow, w)
		}
	}
}

// end lets the deliveries go that were held, and has people told.
func (w *Watching) end(ctx workflow.Context, look Look) error {
	release := workflow.ExecuteActivity(patient(ctx, "let go what is held", time.Hour), ReleaseActivity, w.Endpoint)
	if err := release.Get(ctx, nil); err != nil {
		return err
	}
	switch {
	case look.State == stateDisabled:
		w.tell(ctx, stateDisabled, look.Why)
	case look.State == stateActive && w.Told == stateFailing:
		w.tell(ctx, "recovered", look.Why)
	}
	return nil
}

// tell has people told, for an hour at most. That nobody could be told is logged,
// and is no reason to stop the watch.
func (w *Watching) tell(ctx workflow.Context, kind, why string) {
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	ctx = workflow.WithScheduleToCloseTimeout(patient(ctx, "tell of "+kind, time.Minute), time.Hour)
	err := workflow.ExecuteActivity(ctx, TellActivity, Notice{Endpoint: w.Endpoint, Kind: kind, Why: why, Change: run + "-" + kind}).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Error("nobody could be told of an endpoint", "endpoint", w.Endpoint, "kind", kind, "err", err)
	}
}
