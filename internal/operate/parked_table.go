package operate

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

// group is the parked steps that one cause may have: one source, step and reason,
// and errors that differ in numbers and ids at most.
type group struct {
	source, step string
	reason       string
	oldest       time.Time
	id, err      string // of the oldest
	steps        int
}

// unlike is what differs between two errors of one cause: ids, times, counts.
var unlike = regexp.MustCompile(`[0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]*`)

// grouped puts parked steps of one cause together, the oldest group first.
func grouped(runs []eventrun.Run) []*group {
	var groups []*group
	byCause := map[string]*group{}
	for _, r := range runs {
		for _, s := range stepsOf(r) {
			step, _, _ := strings.Cut(s.Name, "#") // the second of that name in one run
			cause := strings.Join([]string{r.Source, step, string(s.Reason), unlike.ReplaceAllString(s.Error, "0")}, "\x00")
			g := byCause[cause]
			if g == nil {
				g = &group{source: r.Source, step: step, reason: string(s.Reason)}
				byCause[cause] = g
				groups = append(groups, g)
			}
			if g.steps == 0 || s.Since.Before(g.oldest) {
				g.oldest, g.id, g.err = s.Since, r.ID, s.Error
			}
			g.steps++
		}
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return cmp.Or(a.oldest.Compare(b.oldest), strings.Compare(a.id, b.id)) })
	return groups
}

// stepsOf lists a run's parked steps, and one in their place where it names none.
// Steps that it has beyond those that it names are one more.
func stepsOf(r eventrun.Run) []parking.Step {
	steps := slices.Clone(r.Steps)
	if len(steps) == 0 {
		steps = []parking.Step{{Name: "?", Error: "it does not say what is parked; see its page in Temporal's Web UI"}}
	}
	if r.More > 0 {
		steps = append(steps, parking.Step{Name: fmt.Sprintf("and %d more", r.More), Since: r.StoppedAt()})
	}
	return steps
}

// printGroups prints two lines for each group: what is parked, and its error. No
// line is longer than width, which is 0 for no bound; a Workflow Id is never cut,
// as it is there to be copied.
func printGroups(out io.Writer, groups []*group, width int, now time.Time) error {
	rows := [][]string{{"STEPS", "SOURCE", "STEP", "REASON", "OLDEST", "WORKFLOW ID OF THE OLDEST"}}
	for _, g := range groups {
		rows = append(rows, []string{fmt.Sprint(g.steps), command.PlainLine(g.source, 60), command.PlainLine(g.step, 60), g.reason, age(g.oldest, now), g.id})
	}
	for i, line := range command.Columns(rows, width, len(rows[0])-1) {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
		if i == 0 || groups[i-1].err == "" {
			continue
		}
		most := 200
		if width > 0 {
			most = max(width-4, 20)
		}
		if _, err := fmt.Fprintln(out, "    "+command.PlainLine(groups[i-1].err, most)); err != nil {
			return err
		}
	}
	return nil
}

// printWide prints a line for each parked step, whatever the terminal's width.
func printWide(out io.Writer, runs []eventrun.Run, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WORKFLOW ID\tSOURCE\tTYPE\tSTEP\tREASON\tAGE\tATTEMPTS\tLAST ERROR")
	for _, r := range runs {
		for _, s := range stepsOf(r) {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Source, command.PlainLine(r.EventType, 60),
				command.PlainLine(s.Name, 60), s.Reason, age(s.Since, now), attempts(s), command.PlainLine(s.Error, 80))
		}
	}
	return table.Flush()
}
