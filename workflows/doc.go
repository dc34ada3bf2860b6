// Package workflows holds what is done about each event: one file per event
// type, and one line for it in the program's main.
//
// A Workflow is plain Temporal code:
//
//	// Refund is what charge.refunded carries.
//	type Refund struct{ … }
//
//	// ChargeRefunded takes the payment out of the ledger.
//	func ChargeRefunded(ctx workflow.Context, ev event.Event, refund Refund) error {
//		var ledger *activities.Ledger
//		return workflow.ExecuteActivity(ctx, ledger.RecordRefund, …).Get(ctx, nil)
//	}
//
// with, in main,
//
//	hookyard.On("stripe.charge.refunded", workflows.ChargeRefunded, (*activities.Ledger)(nil)),
//
// The name before the first dot is the provider. Activity options need not be
// given: timeout and Retry Policy come from the config. Package hookyardtest
// runs a Workflow in a test.
//
// What a Workflow must hold to:
//
//   - It is deterministic. Clocks, random numbers, files, the network and the
//     environment belong in an Activity; `make check` looks for them, and a
//     test keeps the packages that hold them out of here.
//   - A history that is stored must replay. Changing the order of steps of a
//     Workflow that has open runs needs workflow.GetVersion.
//   - Every step with an effect passes ev.Key("<step>") along, which is the
//     same in every attempt and after a Reset.
//   - An error is returned, not hidden: the run then waits for a person.
package workflows
