package event

import "strings"

// PauseWorkflow is the Workflow Type of a pause. While a run of it is open
// under PauseID, the edges start the source's events as held. Open runs are
// matched to their Workflow by it: never rename it.
const PauseWorkflow = "hookyard.pause"

// SignalUnpause ends a pause; its input is an Unpause, or nothing.
const SignalUnpause = "unpause"

// PauseMemo is the memo in which a pause keeps its Pause, for lists.
const PauseMemo = "HookPause"

// Pause is the argument of PauseWorkflow: who paused the source and why.
type Pause struct {
	Source string `json:"source"`
	By     string `json:"by,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Unpause is what PauseWorkflow returns: who ended the pause and why.
type Unpause struct {
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

const pauseID = "hookyard/pause/"

// PauseID returns the Workflow Id of a source's pause. No event has such an
// id, since theirs hold no slash.
func PauseID(source string) string { return pauseID + source }

// PausedSource returns the source of the pause with that Workflow Id.
func PausedSource(workflowID string) (source string, ok bool) {
	return strings.CutPrefix(workflowID, pauseID)
}
