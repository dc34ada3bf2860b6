package delivery

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"
)

// Look is what an endpoint is, as the watch sees it.
type Look struct {
	// State is an endpoint.State, or Deleted.
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
	// Told is the state that people were told of last.
	Told string `json:"told,omitempty"`
}

// Deleted is the state of an endpoint that is no more.
const Deleted = "deleted"

// The states that a watch acts on. They are those of the package endpoint, which
// Workflows do not import.
const (
	statePending = "pending"
	stateActive  = "active"
	stateFailing = "failing"
)

// Notice is a change of state, for those who are told.
type Notice struct {
	Endpoint string `json:"endpoint"`
	// Kind is "failing", "disabled" or "recovered".
	Kind string `json:"kind"`
	// State is the state that people are told of.
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
	// Change tells one change of state from the next.
	Change string `json:"change"`
}

// Watching is the input of Watch.
type Watching struct {
	Endpoint string `json:"endpoint"`
	// Held is whether new deliveries are held, in a run that goes on from
	// another one.
	Held bool `json:"held,omitempty"`
	// Probes is how many probes there were since the endpoint fails.
	Probes int `json:"probes,omitempty"`

	notices int
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
//
// People are told once of each state: the store knows of which one. So a watch
// may be started at will.
func Watch(ctx workflow.Context, w Watching) error {
	changed := workflow.GetSignalChannelWithOptions(ctx, SignalChanged, workflow.SignalChannelOptions{Description: "Look at the endpoint now. No input is needed."})
	for {
		for changed.ReceiveAsync(nil) { // one look is for all of them
		}
		failing, err := w.look(ctx)
		if err != nil {
			return err
		}
		if !failing {
			if changed.Len() > 0 { // it changed again meanwhile
				continue
			}
			return nil
		}
		early, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout: probeEvery[min(w.Probes, len(probeEvery)-1)], TimerOptions: workflow.TimerOptions{Summary: "before the next probe"},
		}, func() bool { return changed.Len() > 0 })
		if err != nil {
			return err
		}
		if early {
			continue
		}
		w.Probes++
		if err := workflow.ExecuteActivity(short(ctx, "let one delivery through"), ProbeActivity, w.Endpoint).Get(ctx, nil); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, WatchWorkflow, w)
		}
	}
}

func short(ctx workflow.Context, summary string) workflow.Context {
	return patient(ctx, summary, time.Minute)
}

// look does what the state of the endpoint asks for, and reports whether it
// fails.
func (w *Watching) look(ctx workflow.Context) (failing bool, err error) {
	var look Look
	if err := workflow.ExecuteActivity(short(ctx, "look at the endpoint"), LookActivity, w.Endpoint).Get(ctx, &look); err != nil {
		return false, err
	}
	failing = look.State == stateFailing
	if failing && !w.Held {
		if err := workflow.ExecuteActivity(short(ctx, "hold new deliveries"), PauseActivity, w.Endpoint, look.Why).Get(ctx, nil); err != nil {
			return false, err
		}
		w.Held = true
	}
	if look.State != look.Told && look.State != statePending && look.State != Deleted {
		w.tell(ctx, look)
	}
	if failing {
		return true, nil
	}
	w.Held, w.Probes = false, 0
	return false, workflow.ExecuteActivity(patient(ctx, "let go what is held", time.Hour), ReleaseActivity, w.Endpoint).Get(ctx, nil)
}

// tell has people told, for an hour at most. That nobody could be told is logged,
// and is no reason to stop the watch.
func (w *Watching) tell(ctx workflow.Context, look Look) {
	w.notices++
	n := Notice{
		Endpoint: w.Endpoint, Kind: look.State, State: look.State, Why: look.Why,
		Change: fmt.Sprintf("%s-%d", workflow.GetInfo(ctx).WorkflowExecution.RunID, w.notices),
	}
	if look.State == stateActive {
		n.Kind = "recovered"
	}
	ctx = workflow.WithScheduleToCloseTimeout(short(ctx, "tell of "+n.Kind), time.Hour)
	if err := workflow.ExecuteActivity(ctx, TellActivity, n).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("nobody could be told of an endpoint", "endpoint", w.Endpoint, "kind", n.Kind, "err", err)
	}
}
