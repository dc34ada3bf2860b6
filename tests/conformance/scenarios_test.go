package conformance

// scenario is something that senders, networks and machines do, and what has
// to come of it. It requires of the site's verdict, never of a testing.T.
type scenario struct {
	name string
	run  func(*site)
}

// scenarios are all of them.
func scenarios() []scenario {
	return []scenario{
		{"a single delivery", single},
		{"the same delivery again", again},
		{"the same delivery 100 times at once", atOnce},
		{"deliveries in reverse order", reversed},

		{"signatures that are not the sender's", forged},
		{"signatures that are old", stale},

		{"bodies that hold no event", malformed},
		{"content types", contentTypes},
		{"bodies in chunks", chunks},
		{"a Content-Length that lies", lyingLength},

		{"a sender that gives up waiting", timeout},
		{"a connection cut before the body", cutBefore},
		{"a connection cut after the body", cutAfter},

		{"Temporal out of reach", unreachable},
		{"a restart between deliveries", restart},
		{"a crash between start and answer", crashBeforeAnswer},
		{"a crash between two steps", crashBetweenSteps},
		{"a crash after an effect", crashAfterEffect},

		{"what is logged and kept", redaction},
	}
}
