package event

// ParkedReport describes one step that parked. It is the argument of
// ReportActivity and part of the alert Workflow's input, so histories hold it:
// its JSON names may be added to and not changed.
type ParkedReport struct {
	Source     string `json:"source"`
	EventType  string `json:"event_type,omitempty"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// Step is the name of the step that parked.
	Step   string     `json:"step"`
	Reason ParkReason `json:"reason"`
	// Error is the last error, at most 1 KiB of it.
	Error string `json:"error,omitempty"`
}
