package measure

// Report is what a session found. Its JSON names are for programs: they are
// added to and not changed.
type Report struct {
	Machine  Machine           `json:"machine"`
	Temporal string            `json:"temporal"` // what was measured on, in words
	Events   int               `json:"events"`   // in a round
	Rounds   int               `json:"rounds"`
	Edge     []EdgeFigures     `json:"edge,omitempty"`
	EndToEnd []EndToEndFigures `json:"end_to_end,omitempty"`
	Memory   *MemoryFigures    `json:"memory,omitempty"`
	Soak     *SoakFigures      `json:"soak,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

// EdgeFigures say how one contestant acknowledges.
type EdgeFigures struct {
	Name        string `json:"name"`
	Concurrency int    `json:"concurrency"`
	// PerSecond is the median of the rounds.
	PerSecond float64 `json:"per_second"`
	// The percentiles are of the deliveries of all rounds together.
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	// SentAgain counts, in all rounds, the attempts that were not
	// acknowledged. Any at all say that the machine was not fit to measure.
	SentAgain int64 `json:"sent_again"`
	// CPU is that of its process, for one delivery. The loop runs in the
	// sender's process, so its CPU is the sender's too. 0 is unknown.
	CPU float64 `json:"cpu_us"`
	// Bytes are those it reads and writes for one delivery, its connections
	// and its log included. 0 is unknown.
	Bytes float64 `json:"bytes"`
	// The ratios are to the bare start behind HTTP, each the median of those
	// within a round.
	PerSecondOfBare float64 `json:"per_second_of_bare"`
	P99OfBare       float64 `json:"p99_of_bare"`
	CPUBeyondBare   float64 `json:"cpu_us_beyond_bare"`
}

// EndToEndFigures say how one contestant works events off, as the median of
// the rounds.
type EndToEndFigures struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"per_second"`
	// P50 and P99 are of a Workflow, from its start to its end.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// CPU is that of its processes, for one event. 0 is unknown.
	CPU float64 `json:"cpu_us"`
	// PerSecondOfPlain is the ratio to the plain one in as many processes.
	PerSecondOfPlain float64 `json:"per_second_of_plain"`
	// Writes are those to Temporal's store for one event, by operation; nil
	// is unknown.
	Writes map[string]float64 `json:"writes"`
}

// HistoryWrites are the durable writes of an event's run, without those that
// lists are made of.
func (f EndToEndFigures) HistoryWrites() float64 {
	return f.Writes["CreateWorkflowExecution"] + f.Writes["UpdateWorkflowExecution"] + f.Writes["ConflictResolveWorkflowExecution"]
}

// VisibilityWrites are those that lists are made of.
func (f EndToEndFigures) VisibilityWrites() float64 {
	return f.Writes["RecordWorkflowExecutionStarted"] + f.Writes["RecordWorkflowExecutionClosed"] + f.Writes["UpsertWorkflowExecution"]
}

// MemoryFigures say what is resident at an edge, in bytes. 0 is unknown.
type MemoryFigures struct {
	Bodies   int   `json:"bodies"`
	BodySize int64 `json:"body_size"`
	Idle     int64 `json:"idle"` // after a hundred small deliveries
	Held     int64 `json:"held"` // with all bodies but their last bytes there
	Peak     int64 `json:"peak"` // ever
	// BeyondBodies is Peak less the bodies.
	BeyondBodies int64 `json:"beyond_bodies"`
	// Refused counts deliveries that were not acknowledged.
	Refused int `json:"refused"`
}

// SoakFigures say what the processes held over many events.
type SoakFigures struct {
	Events    int           `json:"events"`
	Seconds   float64       `json:"seconds"`
	Processes []SoakProcess `json:"processes"`
}

// SoakProcess is one of them.
type SoakProcess struct {
	Name    string   `json:"name"`
	RSS     Quarters `json:"rss_bytes"`
	Threads Quarters `json:"threads"`
	Files   Quarters `json:"files"` // open ones, connections included
}

// Quarters are the means of each quarter of the time.
type Quarters struct {
	Means [4]float64 `json:"means"`
	// Flat is whether the last is at most a tenth above the first.
	Flat bool `json:"flat"`
}
