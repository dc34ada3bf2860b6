package measure

import (
	"fmt"
	"time"
)

// Report is what a session found. Its JSON names are for programs: they are
// added to and not changed.
type Report struct {
	Machine   Machine            `json:"machine"`
	Temporal  string             `json:"temporal"` // what was measured on, in words
	Events    int                `json:"events"`   // in a round
	Rounds    int                `json:"rounds"`
	Edge      []EdgeFigures      `json:"edge,omitempty"`
	Cost      *CostFigures       `json:"cost,omitempty"`
	EndToEnd  []EndToEndFigures  `json:"end_to_end,omitempty"`
	Memory    *MemoryFigures     `json:"memory,omitempty"`
	Soak      *SoakFigures       `json:"soak,omitempty"`
	Overload  *OverloadFigures   `json:"overload,omitempty"`
	Journaled []JournaledFigures `json:"journaled,omitempty"`
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

// CostFigures say what the edge spends on a delivery that it starts nothing for,
// when it has no time to sleep. Each is the median of the rounds.
type CostFigures struct {
	PerSecond       float64 `json:"per_second"`
	CPU             float64 `json:"cpu_us"` // of the edge's process, for one delivery; 0 is unknown
	VerifyPerSecond float64 `json:"verify_per_second"`
	VerifyCPU       float64 `json:"verify_cpu_us"` // of the handler that only verifies
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

// OverloadFigures say how a system stands more than it can work off.
type OverloadFigures struct {
	Name    string        `json:"name"`
	Seconds int           `json:"seconds"` // of each load
	Loads   []LoadFigures `json:"loads"`
}

// LoadFigures say what became of one load.
type LoadFigures struct {
	Times float64 `json:"times"`          // of the capacity
	Away  int     `json:"away,omitempty"` // seconds that Temporal was away meanwhile
	// Capacity is how many events a second were worked off while 8 senders
	// waited for each answer, before the load and after it.
	Capacity [2]float64 `json:"capacity"`
	Offered  float64    `json:"offered"` // new events a second; redeliveries come on top
	// Finished is how many runs completed in a second; after an outage, from
	// 5 s after Temporal's return on.
	Finished float64 `json:"finished"`
	// OfBest is Finished in parts of the higher Capacity.
	OfBest float64 `json:"of_best"`
	// Accepted, Refused and Unanswered count deliveries, redeliveries included.
	Accepted    int     `json:"accepted"`
	Refused     int     `json:"refused"`
	Unanswered  int     `json:"unanswered"` // within 10 s
	AcceptedP50 float64 `json:"accepted_p50_ms"`
	AcceptedP99 float64 `json:"accepted_p99_ms"`
	RefusedP50  float64 `json:"refused_p50_ms"`
	RefusedP99  float64 `json:"refused_p99_ms"`
	// Usual is how many seconds after the load a delivery was last refused, or
	// took longer than a second. Drained is when the last run had completed.
	Usual   float64 `json:"usual_after_s"`
	Drained float64 `json:"drained_after_s"`
	// Returned is how many seconds after Temporal's return runs complete at
	// 0.9 of the higher Capacity, over 3 s.
	Returned float64 `json:"returned_after_s,omitempty"`

	closed      []time.Time // when the runs completed
	back, ended time.Time   // Temporal; the load
}

// String says it in one line.
func (l *LoadFigures) String() string {
	return fmt.Sprintf("%.0f/s finished of %.0f/s, before and after %.0f/s; %d accepted (p99 %.0f ms), %d refused (p99 %.0f ms), %d unanswered; usual after %.1f s, drained after %.1f s",
		l.Finished, l.Offered, l.Capacity, l.Accepted, l.AcceptedP99, l.Refused, l.RefusedP99, l.Unanswered, l.Usual, l.Drained)
}

// returnedOver is the span over which the rate after an outage is taken.
const returnedOver = 3 * time.Second

// rate fills in what is held against the capacity.
func (l *LoadFigures) rate() {
	best := max(l.Capacity[0], l.Capacity[1])
	l.OfBest = ratio(l.Finished, best)
	for from := l.back; l.Away > 0 && from.Before(l.ended); from = from.Add(100 * time.Millisecond) {
		if perSecondIn(l.closed, from, from.Add(returnedOver)) >= 0.9*best {
			break
		}
		l.Returned = from.Add(100 * time.Millisecond).Sub(l.back).Seconds()
	}
}

// JournaledFigures say how one contestant acknowledges from its own store, each
// the median of the rounds.
type JournaledFigures struct {
	Name        string  `json:"name"`
	Concurrency int     `json:"concurrency"`
	PerSecond   float64 `json:"per_second"`
	P50         float64 `json:"p50_ms"` // of all rounds together
	P99         float64 `json:"p99_ms"`
	CPU         float64 `json:"cpu_us"` // of its process, for one delivery; not of PostgreSQL
	// Starts is how many Workflows were started a second meanwhile.
	Starts float64 `json:"starts_per_second,omitempty"`
	// OfAlone is PerSecond in parts of the handwritten handler's, and OfBeside in
	// parts of the same with bare starts beside it. P99Of and StartsOf are in
	// parts of the latter, where it starts anything.
	OfAlone  float64 `json:"per_second_of_handwritten"`
	OfBeside float64 `json:"per_second_of_handwritten_beside_starts,omitempty"`
	P99Of    float64 `json:"p99_of_handwritten"`
	StartsOf float64 `json:"starts_of_bare,omitempty"`
}
