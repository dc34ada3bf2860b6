// Package trial proves that Hookyard loses nothing and does nothing twice. It
// runs the program as real processes, sends it signed events as providers do,
// and meanwhile kills processes, cuts connections and breaks what stands
// behind. Then it compares what the sender was told with what Temporal, the
// ledger and the downstream service hold.
//
// A seed decides which faults there are, when, and which events are sent: the
// same seed gives the same Plan. How the machine schedules the processes under
// it is not repeated, so that a seed which failed once need not fail each time.
//
// It knows the program by its commands, its config and its wire only. All of
// it stays on 127.0.0.1 and in one folder.
package trial
