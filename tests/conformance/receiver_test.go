package conformance

// receiver is a way to run an edge and a worker. The commands are given a
// config, and log JSON to standard error from the level debug on.
type receiver struct {
	edge   []string
	worker []string // empty where the edge's process works, too
	// journal says that each source has one: a delivery is then answered
	// "journaled", and one that comes again either that or "duplicate".
	journal bool
}

// together is hookyard as most people run it: one process.
func together() receiver { return receiver{edge: hookyardServe()} }

// apart is hookyard with an edge and a worker that know nothing of each other.
func apart() receiver {
	return receiver{edge: hookyardServe("--only=edge"), worker: hookyardServe("--only=worker")}
}

// withJournal is hookyard with a journal for each source.
func withJournal() receiver {
	r := together()
	r.journal = true
	return r
}

// withEdge is hookyard's worker behind an edge with the flaw; "none" for the
// same program without one.
func withEdge(flaw string) receiver {
	return receiver{edge: []string{flawed, "--only=edge", "--flaw=" + flaw}, worker: hookyardServe("--only=worker")}
}

// withWorker is hookyard's edge in front of a worker with the flaw.
func withWorker(flaw string) receiver {
	return receiver{edge: hookyardServe("--only=edge"), worker: []string{flawed, "--only=worker", "--flaw=" + flaw}}
}

func hookyardServe(flags ...string) []string {
	return append([]string{hookyard, "serve", "--log-level=debug", "--log-format=json"}, flags...)
}
