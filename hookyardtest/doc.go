// Package hookyardtest is for the tests of a team's Workflows. It needs no
// Temporal server: a Workflow runs in the test environment of Temporal's SDK,
// where waits take no time, with all that Hookyard puts around it.
//
//	func TestChargeRefunded(t *testing.T) {
//		ev := hookyardtest.Sample(t, app(), "stripe", "charge.refunded")
//		run := hookyardtest.Start(t, app(), ev, hookyardtest.Options{
//			Fakes: hookyardtest.Fakes{"RecordRefund": errors.New("the shop is down")},
//		})
//		run.Parked("RecordRefund", event.ReasonExhausted)
//		run.Fake("RecordRefund", nil)
//		run.Resume("")
//		run.Completed()
//	}
//
// Replay holds the Workflows against histories of earlier runs, and records
// such histories.
//
// Each function that takes a testing.TB ends the test where something is
// wrong, and says what to do. So it must be called by the test's own goroutine.
package hookyardtest
