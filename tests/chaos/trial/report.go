package trial

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what a run has found. Its JSON is for programs: fields may be
// added, and none is renamed.
type Report struct {
	Seed     uint64        `json:"seed"`
	Journal  bool          `json:"journal"` // each source had one
	On       string        `json:"temporal_on"`
	Duration time.Duration `json:"duration_ns"` // of the sending and of the faults

	Events       int   `json:"events"`
	Sent         int   `json:"sent"`
	Deliveries   int   `json:"deliveries"`
	Acknowledged int   `json:"acknowledged"`
	Journaled    int   `json:"journaled"` // deliveries that were answered so
	Missing      int   `json:"acknowledged_but_missing"`
	Workflows    Range `json:"workflows_per_event"`
	Effects      Range `json:"effects_per_event"`
	Rows         int   `json:"ledger_rows"`
	Mails        int   `json:"mails"`
	Forwards     int   `json:"forwards"`
	Builds       int   `json:"builds"`
	// Repeated counts calls downstream that came under a key once more.
	Repeated int `json:"repeated_calls"`

	Parked      []ParkedGroup  `json:"parked"`
	Kills       map[string]int `json:"kills"` // by the kind of process
	Faults      []Applied      `json:"faults"`
	EndedItself map[string]int `json:"ended_by_itself"` // processes that were started again, by name

	// Delivered and Recovered are the times from the end of the last fault
	// to the last acknowledgement, and until all Workflows had completed.
	Delivered time.Duration `json:"delivered_after_ns"`
	Recovered time.Duration `json:"recovered_after_ns"`

	// Broken says what should not have been, at most mostBroken of it, and
	// BrokenCount how much of it there is.
	Broken      []string `json:"broken"`
	BrokenCount int      `json:"broken_count"`
}

const mostBroken = 20

func (r *Report) breaks(format string, args ...any) {
	if r.BrokenCount++; len(r.Broken) < mostBroken {
		r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
	}
}

// OK reports whether nothing was broken.
func (r *Report) OK() bool { return r.BrokenCount == 0 }

// JSON writes the report for programs.
func (r *Report) JSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Table writes the report for people.
func (r *Report) Table(out io.Writer) error {
	line := func(what string, n any, note string) {
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%8v  %-26s  %s", n, what, note), " "))
	}
	fmt.Fprintf(out, "seed %d, %d faults in %s, Temporal on %s\n\n", r.Seed, len(r.Faults), r.Duration.Round(time.Second), r.On)
	line("sent", r.Sent, fmt.Sprintf("in %d deliveries", r.Deliveries))
	line("acknowledged", r.Acknowledged, r.journaledNote())
	line("acknowledged but missing", r.Missing, "")
	line("Workflows per event", r.Workflows, "")
	line("effects per event", r.Effects, fmt.Sprintf("%d ledger rows, %d mails, %d forwards, %d builds; %d calls repeated under their key", r.Rows, r.Mails, r.Forwards, r.Builds, r.Repeated))
	line("steps parked", r.parkedCount(), r.parkedNote())
	line("kills", sum(r.Kills), list(r.Kills))
	line("ended by themselves", sum(r.EndedItself), list(r.EndedItself))
	line("until all was acknowledged", r.Delivered.Round(100*time.Millisecond), "after the last fault")
	line("until all was completed", r.Recovered.Round(100*time.Millisecond), "after the last fault")
	for _, g := range r.Parked {
		because := "NOTHING EXPLAINS IT: " + g.Error
		if len(g.Causes) > 0 {
			var kinds []string
			for _, kind := range g.Causes {
				kinds = append(kinds, string(kind))
			}
			because = strings.Join(kinds, ", ")
		}
		fmt.Fprintf(out, "  parked: %d %s, %s: %s\n", g.Count, g.Step, g.Reason, because)
	}
	for _, f := range r.Faults {
		if f.Err != "" {
			fmt.Fprintf(out, "  not possible: %s: %s\n", f.Fault, f.Err)
		}
	}
	for _, text := range r.Broken {
		fmt.Fprintf(out, "  BROKEN: %s\n", text)
	}
	if more := r.BrokenCount - len(r.Broken); more > 0 {
		fmt.Fprintf(out, "  BROKEN: and %d more\n", more)
	}
	return nil
}

func (r *Report) journaledNote() string {
	if !r.Journal {
		return ""
	}
	return fmt.Sprintf("from disk, in %d deliveries", r.Journaled)
}

func (r *Report) parkedCount() int {
	n := 0
	for _, g := range r.Parked {
		n += g.Count
	}
	return n
}

func (r *Report) parkedNote() string {
	unexplained := 0
	for _, g := range r.Parked {
		if len(g.Causes) == 0 {
			unexplained += g.Count
		}
	}
	switch {
	case r.parkedCount() == 0:
		return ""
	case unexplained == 0:
		return "each explained by a fault, and resumed"
	default:
		return fmt.Sprintf("%d of them not explained by any fault", unexplained)
	}
}

func sum(counts map[string]int) int {
	n := 0
	for _, count := range counts {
		n += count
	}
	return n
}

// list writes "edge 2, worker 1".
func list(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
