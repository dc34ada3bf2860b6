package measure

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes the report for people.
func (r *Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%d CPUs, %s/%s, %s; %s\n", r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Temporal)
	if r.Soak == nil && r.Overload == nil && r.Journaled == nil {
		fmt.Fprintf(t, "the median of %d rounds of %d events each; compare the ratios, not the figures\n", r.Rounds, r.Events)
	}
	r.edgeTable(t)
	r.costTable(t)
	r.endToEndTable(t)
	r.memoryTable(t)
	r.soakTable(t)
	r.overloadTable(t)
	r.journaledTable(t)
	return t.Flush()
}

func (r *Report) edgeTable(t io.Writer) {
	concurrency := 0
	for _, f := range r.Edge {
		if f.Concurrency != concurrency {
			concurrency = f.Concurrency
			fmt.Fprintf(t, "\nacknowledged, %d at once\tper second\tof bare\tp50 ms\tp99 ms\tof bare\tp99.9 ms\tCPU µs\tbeyond bare\tbytes\tsent again\t\n", concurrency)
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%s\t%d\t\n", f.Name, f.PerSecond, f.PerSecondOfBare,
			f.P50, f.P99, f.P99OfBare, f.P999, known(f.CPU), beyond(f), known(f.Bytes), f.SentAgain)
	}
}

func (r *Report) costTable(t io.Writer) {
	if r.Cost == nil {
		return
	}
	fmt.Fprint(t, "\nan event that no source wants, 16 at once\tper second\tCPU µs\tbeyond verify\t\n")
	fmt.Fprintf(t, "edge\t%.0f\t%s\t%+.0f\t\n", r.Cost.PerSecond, known(r.Cost.CPU), r.Cost.CPU-r.Cost.VerifyCPU)
	fmt.Fprintf(t, "%s\t%.0f\t%s\t-\t\n", edgeVerify, r.Cost.VerifyPerSecond, known(r.Cost.VerifyCPU))
}

// beyond is nothing where the CPU is unknown or somebody else's as well.
func beyond(f EdgeFigures) string {
	if f.CPU == 0 || f.Name == edgeLoop {
		return "-"
	}
	return fmt.Sprintf("%+.0f", f.CPUBeyondBare)
}

func (r *Report) endToEndTable(t io.Writer) {
	if len(r.EndToEnd) == 0 {
		return
	}
	fmt.Fprint(t, "\nworked off, one step\tper second\tof plain\tp50 ms\tp99 ms\tCPU µs\twrites\tof lists\t\n")
	for _, f := range r.EndToEnd {
		history, lists := "unknown", "unknown"
		if f.Writes != nil {
			history, lists = fmt.Sprintf("%.1f", f.HistoryWrites()), fmt.Sprintf("%.1f", f.VisibilityWrites())
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.1f\t%.1f\t%s\t%s\t%s\t\n", f.Name, f.PerSecond, f.PerSecondOfPlain, f.P50, f.P99,
			known(f.CPU), history, lists)
	}
}

func (r *Report) memoryTable(t io.Writer) {
	m := r.Memory
	if m == nil {
		return
	}
	fmt.Fprintf(t, "\nresident at the edge, %d bodies of %s at once\tidle\theld\tpeak\tbeyond the bodies\trefused\t\n", m.Bodies, mebibytes(m.BodySize))
	if m.Peak == 0 {
		fmt.Fprintf(t, "edge%s\t%d\t\n", strings.Repeat("\tunknown", 4), m.Refused)
		return
	}
	fmt.Fprintf(t, "edge\t%s\t%s\t%s\t%s\t%d\t\n", mebibytes(m.Idle), mebibytes(m.Held), mebibytes(m.Peak), mebibytes(m.BeyondBodies), m.Refused)
}

func (r *Report) soakTable(t io.Writer) {
	if r.Soak == nil {
		return
	}
	fmt.Fprintf(t, "\n%d events in %.0f s, mean of each quarter\tfirst\tsecond\tthird\tlast\tflat\t\n", r.Soak.Events, r.Soak.Seconds)
	for _, p := range r.Soak.Processes {
		quarters(t, p.Name+", MiB resident", p.RSS, 1<<20)
		quarters(t, p.Name+", threads", p.Threads, 1)
		quarters(t, p.Name+", open files", p.Files, 1)
	}
}

func quarters(t io.Writer, name string, q Quarters, unit float64) {
	flat := map[bool]string{true: "yes", false: "no"}[q.Flat]
	if q.Means == [4]float64{} {
		flat = "unknown"
	}
	fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%s\t\n", name, q.Means[0]/unit, q.Means[1]/unit, q.Means[2]/unit, q.Means[3]/unit, flat)
}

// known formats a figure that is 0 only where nobody could tell.
func known(value float64) string {
	if value == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.0f", value)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (r *Report) overloadTable(t io.Writer) {
	f := r.Overload
	if f == nil {
		return
	}
	fmt.Fprintf(t, "\n%s\n", f.Name)
	fmt.Fprint(t, "times the capacity\tbefore/s\tafter/s\toffered/s\tfinished/s\tof best\taccepted\tp50 ms\tp99 ms\trefused\tp50 ms\tp99 ms\tunanswered\tusual after s\tdrained after s\treturned after s\t\n")
	for _, l := range f.Loads {
		name := fmt.Sprintf("%g", l.Times)
		if l.Away > 0 {
			name = fmt.Sprintf("%g, Temporal away for %d s", l.Times, l.Away)
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t%d\t%.0f\t%.0f\t%d\t%.1f\t%.1f\t%d\t%.1f\t%.1f\t%.1f\t\n", name, l.Capacity[0], l.Capacity[1], l.Offered, l.Finished, l.OfBest,
			l.Accepted, l.AcceptedP50, l.AcceptedP99, l.Refused, l.RefusedP50, l.RefusedP99, l.Unanswered, l.Usual, l.Drained, l.Returned)
	}
}

func (r *Report) journaledTable(t io.Writer) {
	concurrency := 0
	for _, f := range r.Journaled {
		if f.Concurrency != concurrency {
			concurrency = f.Concurrency
			fmt.Fprintf(t, "\nacknowledged, %d at once\tper second\tof handwritten\tof it beside starts\tp50 ms\tp99 ms\tof handwritten\tCPU µs\tstarts/s\tof bare\t\n", concurrency)
		}
		beside, starts, of := "-", "-", "-"
		if f.OfBeside > 0 {
			beside, starts, of = fmt.Sprintf("%.2f", f.OfBeside), fmt.Sprintf("%.0f", f.Starts), fmt.Sprintf("%.2f", f.StartsOf)
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%s\t%.2f\t%.2f\t%.2f\t%s\t%s\t%s\t\n", f.Name, f.PerSecond, f.OfAlone, beside, f.P50, f.P99, f.P99Of,
			known(f.CPU), starts, of)
	}
}
