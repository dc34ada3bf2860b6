package hookyardtest

// For the tests of what ends a test that is no testing.TB.
var (
	ReplayFile = replay
	Histories  = histories
	Record     = record
)
