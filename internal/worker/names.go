package worker

// ForwardActivity is the Activity that forwards an event. The config may name
// it under retry.
const ForwardActivity = "ForwardEvent"

// ActivityNames lists Hookyard's own Activities. A team's must have other
// names.
func ActivityNames() []string {
	return []string{ForwardActivity, "ReportParked", "CountParked", "SendAlert", "PauseOpen",
		"DeliverMessage", "StartDeliveries", "LookAtEndpoint", "HoldEndpoint", "ProbeEndpoint", "ReleaseEndpoint", "TellOfEndpoint", "ChallengeEndpoint", "ResendMessages",
		"SweepPage", "SweepArrived", "TellOfSweep",
	}
}
