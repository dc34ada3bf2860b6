package worker

// ForwardActivity is the Activity that forwards an event.
const ForwardActivity = "ForwardEvent"

// RouteActivities lists the Activities that bring an event to where its route
// says. The config may name them under retry.
func RouteActivities() []string {
	return []string{ForwardActivity, "SignalWorkflow", "UpdateWorkflow", "CompleteActivity"}
}

// ActivityNames lists Hookyard's own Activities. A team's must have other
// names.
func ActivityNames() []string {
	return append(RouteActivities(), "ReportParked", "CountParked", "SendAlert", "PauseOpen",
		"DeliverMessage", "StartDeliveries", "LookAtEndpoint", "HoldEndpoint", "ProbeEndpoint", "ReleaseEndpoint", "TellOfEndpoint", "ChallengeEndpoint", "ResendMessages",
		"SweepPage", "SweepArrived", "TellOfSweep",
	)
}
