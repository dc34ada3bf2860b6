package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"github.com/hookyard/hookyard/tests/harness"
)

// Options say what is run, and on what.
type Options struct {
	// Program is the path of hookyard.
	Program string
	// DevServer is the path of the dev server, which is used unless Postgres
	// is set: then Temporal and the ledger are on PostgreSQL.
	DevServer string
	Postgres  *harness.Postgres
	// Folder is an existing, empty folder for everything that is written:
	// configs, databases, mail, logs and what the sender was answered.
	Folder string
	// Progress takes a line now and then.
	Progress io.Writer
}

// patience is how long the system may take to settle once nothing is wrong
// with it any more.
const patience = 3 * time.Minute

// DefaultDuration is how long so many events are sent for, unless somebody
// wants it otherwise: long enough for the faults, which do not get faster with
// fewer events.
func DefaultDuration(events int) time.Duration {
	const perSecond = 50
	return max(15*time.Second, time.Duration(events)*time.Second/perSecond)
}

// Run carries the plan out and reports what came of it. A report that is not
// OK is no error: an error means that nothing can be concluded. Everything
// that was started has ended when it returns.
func Run(ctx context.Context, o Options, p Plan) (report *Report, err error) {
	began := time.Now()
	var printing sync.Mutex
	say := func(format string, args ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Fprintf(o.Progress, "%6.1fs  "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	}
	say("starting Temporal, %d edges and %d workers", edges, workers)
	s, err := startSystem(ctx, o, p)
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	if err != nil {
		return nil, err
	}
	answered, err := s.logFile("sender")
	if err != nil {
		return nil, err
	}
	sender, err := newSender(p.Seed, s.edges, s.secrets, answered)
	if err != nil {
		return nil, err
	}
	s.targets[senderName] = sender

	say("sending %d events in %s, with %d faults, %d of them kills", len(p.Events), p.Duration, len(p.Faults), p.Kills())
	r := &Report{Seed: p.Seed, Journal: p.Journal, On: s.temporal.On, Duration: p.Duration, Events: len(p.Events)}
	healed, err := s.suffer(ctx, p, sender, r, say)
	if err != nil {
		return nil, err
	}
	if err := s.drained(ctx, say); err != nil {
		return nil, err
	}
	if err := s.recover(ctx, r, healed, say); err != nil {
		return nil, err
	}
	say("comparing what the sender was told with what is held")
	h, err := s.look(ctx, p.Events)
	if err != nil {
		return nil, err
	}
	reconcile(r, p.Events, sender.answers, h, s.downstream)
	r.EndedItself = map[string]int{}
	for name, process := range s.processes {
		if n := len(process.Ended()); n > 0 {
			r.EndedItself[name] = n
		}
	}
	return r, nil
}

// suffer sends the events while the faults happen, and returns when all of
// them are acknowledged, or patience has run out. healed is when the last
// fault ended.
func (s *system) suffer(ctx context.Context, p Plan, sender *sender, r *Report, say func(string, ...any)) (healed time.Time, err error) {
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		sender.send(sending, p.Events)
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for sleep(sending, 5*time.Second) {
			sent, acknowledged := sender.counts()
			say("%d of %d sent, %d acknowledged", sent, len(p.Events), acknowledged)
		}
	}()

	inject := &injector{targets: s.targets, say: say}
	err = inject.run(ctx, p.Faults)
	healed = time.Now()
	say("nothing is wrong any more")
	if err == nil {
		select {
		case <-sent:
		case <-time.After(max(patience, p.Duration)):
			say("giving up on what was not acknowledged by now")
		}
	}
	stopSending()
	<-sent
	<-watched
	r.Delivered = time.Since(healed)
	r.Faults = inject.applied
	slices.SortFunc(r.Faults, func(a, b Applied) int { return a.Began.Compare(b.Began) })
	r.Kills = map[string]int{}
	for _, f := range r.Faults {
		if f.Kind == Kill && f.Err == "" {
			kind, _, _ := strings.Cut(f.Target, "-")
			r.Kills[kind]++
		}
	}
	return healed, errors.Join(err, ctx.Err())
}

// recover waits until every run has completed or is parked, has the parked
// ones explained, and resumes them until all have completed.
func (s *system) recover(ctx context.Context, r *Report, healed time.Time, say func(string, ...any)) error {
	const rounds = 5 // what is not through by then will never be
	seen := map[parkedKey]bool{}
	for range rounds {
		runs, err := s.settle(ctx, seen, say)
		if err != nil {
			return err
		}
		r.Recovered = time.Since(healed)
		if len(runs) == 0 {
			return nil
		}
		groups := explain(runs, r.Faults)
		for _, g := range groups {
			if len(g.Causes) == 0 {
				r.breaks("%d runs are parked at %s (%s), and no fault explains it: %s: %s", g.Count, g.Step, g.Reason, g.Example, g.Error)
			}
		}
		r.Parked = append(r.Parked, groups...)
		say("%d runs are parked; resuming them", len(runs))
		if _, err := s.run(ctx, "resume", "--all", "--yes", "--by", "chaos", "--why", "the fault is over", "--rate", "200"); err != nil {
			return err
		}
	}
	r.breaks("runs parked again and again, after they had been resumed %d times", rounds)
	return nil
}

// drained waits until nothing is left in the journals, or nothing has left them
// for as long as patience lasts.
func (s *system) drained(ctx context.Context, say func(string, ...any)) error {
	if !s.journal {
		return nil
	}
	least, changed := math.MaxInt, time.Now()
	for {
		left := 0
		for i := range edges {
			n, err := s.waiting(ctx, edgeName(i))
			if err != nil {
				return err
			}
			left += n
		}
		if left < least {
			least, changed = left, time.Now()
		}
		switch {
		case left == 0:
			return nil
		case time.Since(changed) > patience:
			say("giving up on %d events that have stayed in the journals for %s", left, patience)
			return nil
		}
		say("%d events are in the journals", left)
		if !sleep(ctx, 5*time.Second) {
			return ctx.Err()
		}
	}
}

// waiting returns how many events are in the journal of an edge.
func (s *system) waiting(ctx context.Context, edge string) (events int, err error) {
	out, err := s.run(ctx, "journal", "--json", "--config", filepath.Join(s.folder, edge+".yaml"))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(out) {
		var depth struct{ Events int }
		if err := json.Unmarshal(line, &depth); err != nil {
			return 0, fmt.Errorf("journal of %s: %w", edge, err)
		}
		events += depth.Events
	}
	return events, nil
}

// settle waits until the runs that are open are those that are parked, and
// returns these. Steps that were seen parked before do not count: lists can
// show them a moment longer.
func (s *system) settle(ctx context.Context, seen map[parkedKey]bool, say func(string, ...any)) ([]parkedRun, error) {
	const poll = time.Second
	least, deadline := int64(math.MaxInt64), time.Now()
	for round := 0; ; round++ {
		open, err := s.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: `ExecutionStatus = "Running"`})
		if err != nil {
			return nil, fmt.Errorf("count open runs: %w", err)
		}
		if open.GetCount() < least {
			least, deadline = open.GetCount(), time.Now().Add(patience)
		}
		listed, err := s.parked(ctx)
		if err != nil {
			return nil, err
		}
		parked := unseen(listed, seen)
		if int(open.GetCount()) == len(parked) {
			for _, run := range parked {
				run.mark(seen)
			}
			return parked, nil
		}
		if round%5 == 0 {
			say("%d runs are open, %d of them parked", open.GetCount(), len(parked))
		}
		if time.Now().After(deadline) {
			say("giving up on runs that neither completed nor parked within %s", patience)
			return nil, nil
		}
		if !sleep(ctx, poll) {
			return nil, ctx.Err()
		}
	}
}
