package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

// repairAll does the repair to every run that the filter takes now.
func repairAll(ctx context.Context, env command.Env, o *operator, what repair, f *repairFlags) error {
	runs, err := o.list(ctx, f.only)
	if err != nil {
		return err
	}
	kind := "parked"
	if f.only.failed {
		kind = "failed"
	}
	if len(runs) == 0 {
		_, err := fmt.Fprintf(env.Stdout, "No %s run fits; nothing to do.\n", kind)
		return err
	}
	does, did := what.words()
	printBreakdown(env.Stderr, runs)
	if !f.yes {
		answer, err := ask(ctx, env, fmt.Sprintf("%s %s? [y/N] ", capital(does), command.Count(len(runs), kind+" run")))
		if err != nil {
			return err
		}
		if answer != "y" && answer != "yes" {
			fmt.Fprintln(env.Stderr, "Nothing was done.")
			return command.ErrSilent
		}
	}
	b := bulk{
		do:       func(ctx context.Context, r eventrun.Run) error { return repairListed(ctx, o, what, r) },
		rate:     f.rate,
		progress: progressOn(env.Stderr),
	}
	t := b.run(ctx, runs)
	t.print(env.Stdout, did)
	if err := ctx.Err(); err != nil {
		fmt.Fprintln(env.Stdout, "Interrupted. Run the same command again for the rest.")
		return err
	}
	if err := reportNew(ctx, env.Stdout, o, f.only, runs); err != nil {
		return err
	}
	if t.failed > 0 {
		return command.ErrSilent
	}
	return nil
}

// repairListed does the repair to a run if it still waits for what it waited
// for when it was listed.
func repairListed(ctx context.Context, o *operator, what repair, listed eventrun.Run) error {
	now, err := o.describe(ctx, listed.ID)
	if err != nil {
		return err
	}
	if !now.StillAs(listed) {
		return errAlreadyDone
	}
	_, err = what.do(ctx, o, now)
	return err
}

// reportNew counts the runs that have come to fit while others were repaired.
func reportNew(ctx context.Context, out io.Writer, o *operator, f filter, before []eventrun.Run) error {
	now, err := o.list(ctx, f)
	if err != nil {
		return err
	}
	known := map[string]eventrun.Run{}
	for _, r := range before {
		known[r.ID] = r
	}
	more := 0
	for _, r := range now {
		// The list may be behind, and show what is repaired as it was.
		if listed, ok := known[r.ID]; !ok || !r.StillAs(listed) {
			more++
		}
	}
	if more > 0 {
		fmt.Fprintf(out, "%s since; run it again for them.\n", command.Count(more, "more run")+" stopped")
	}
	return nil
}

// printBreakdown says what is about to be touched.
func printBreakdown(out io.Writer, runs []eventrun.Run) {
	type group struct{ source, reasons string }
	sizes := map[group]int{}
	for _, r := range runs {
		sizes[group{r.Source, r.Reasons()}]++
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, g := range slices.SortedFunc(maps.Keys(sizes), func(a, b group) int {
		return strings.Compare(a.source+"\x00"+a.reasons, b.source+"\x00"+b.reasons)
	}) {
		fmt.Fprintf(table, "%8d\t%s\t%s\n", sizes[g], g.source, g.reasons)
	}
	_ = table.Flush() // what cannot be printed can be reported nowhere else
}

// bulk does one thing to many runs: a few at once, so many per second, each to
// its end. It stops between runs when its context ends.
type bulk struct {
	do       func(ctx context.Context, r eventrun.Run) error
	rate     float64
	progress progress
}

const (
	// bulkWorkers is how many runs are worked on at once: enough to reach
	// the rate, few enough to leave the server to others.
	bulkWorkers = 8
	// bulkPatience is how long one run may take.
	bulkPatience = time.Minute
)

// run returns once every run was dealt with or, after ctx has ended, those
// that were begun.
func (b bulk) run(ctx context.Context, runs []eventrun.Run) *tally {
	t := &tally{total: len(runs), kinds: map[string]*failure{}}
	stopped := b.progress.show(t)
	defer stopped()

	var workers sync.WaitGroup
	defer workers.Wait()
	todo := make(chan eventrun.Run)
	defer close(todo)
	for range bulkWorkers {
		workers.Go(func() {
			for r := range todo {
				t.add(r, b.one(ctx, r))
			}
		})
	}
	limiter := rate.NewLimiter(rate.Limit(b.rate), 1)
	for _, r := range runs {
		if limiter.Wait(ctx) != nil {
			break
		}
		select {
		case todo <- r:
		case <-ctx.Done():
		}
	}
	return t
}

// one is not interrupted: what is half sent would have to be looked after.
func (b bulk) one(ctx context.Context, r eventrun.Run) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bulkPatience)
	defer cancel()
	return b.do(ctx, r)
}

// tally counts what became of the runs.
type tally struct {
	total int

	mu                    sync.Mutex
	done, already, failed int
	kinds                 map[string]*failure
}

// failure is one kind of error, with some of the runs that had it.
type failure struct {
	count    int
	examples []string
}

const mostExamples = 3

func (t *tally) add(r eventrun.Run, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.done++
	case errors.Is(err, errAlreadyDone):
		t.already++
	default:
		t.failed++
		// The same error of two runs differs in what names the run.
		kind := strings.NewReplacer(r.ID, "ID", r.RunID, "RUN").Replace(err.Error())
		if t.kinds[kind] == nil {
			t.kinds[kind] = &failure{}
		}
		f := t.kinds[kind]
		if f.count++; len(f.examples) < mostExamples {
			f.examples = append(f.examples, r.ID)
		}
	}
}

// counts returns how many runs were dealt with, and how many of them failed.
func (t *tally) counts() (handled, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done + t.already + t.failed, t.failed
}

// print says what was done and what was not, each kind of error once.
func (t *tally) print(out io.Writer, did string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(out, "%d of %d %s", t.done, t.total, did)
	if t.already > 0 {
		fmt.Fprintf(out, ", %d already done", t.already)
	}
	if t.failed > 0 {
		fmt.Fprintf(out, ", %d failed", t.failed)
	}
	if left := t.total - t.done - t.already - t.failed; left > 0 {
		fmt.Fprintf(out, ", %d not tried", left)
	}
	fmt.Fprintln(out, ".")
	byCount := slices.SortedFunc(maps.Keys(t.kinds), func(a, b string) int {
		if n := t.kinds[b].count - t.kinds[a].count; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for _, kind := range byCount {
		f := t.kinds[kind]
		fmt.Fprintf(out, "  %d failed: %s\n      %s", f.count, command.PlainLine(kind, 400), strings.Join(f.examples, ", "))
		if f.count > len(f.examples) {
			fmt.Fprintf(out, " and %d more", f.count-len(f.examples))
		}
		fmt.Fprintln(out)
	}
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }
