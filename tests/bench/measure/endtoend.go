package measure

import (
	"context"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// endToEndSenders is how many deliveries are under way at once while events
// are worked off: enough that the worker never waits for one.
const endToEndSenders = 64

// workedOffWithin bounds the wait for the last Workflow of a round after the
// last one that completed.
const workedOffWithin = 3 * time.Minute

// The names of what is compared. The plain ones use what the SDK does by
// default.
const (
	hookyardOne = "hookyard, one process"
	hookyardTwo = "hookyard, edge and worker"
	plainOne    = "plain, one process"
	plainTwo    = "plain, starter and worker"
)

// plainOf says which ceiling each is held against.
var plainOf = map[string]string{hookyardOne: plainOne, hookyardTwo: plainTwo, plainOne: plainOne, plainTwo: plainTwo}

// endToEnd compares how events are worked off: from the start of the first
// Workflow to the end of the last one.
func (s *session) endToEnd(ctx context.Context) ([]EndToEndFigures, error) {
	contestants, err := s.endToEndContestants(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range contestants {
		if _, err := s.endToEndRound(ctx, c, warmUp, "warm"); err != nil {
			return nil, err
		}
	}
	rounds := make([]map[string]endToEndRound, s.Rounds)
	for round := range rounds {
		rounds[round] = map[string]endToEndRound{}
		for _, c := range rotated(contestants, round) {
			r, err := s.endToEndRound(ctx, c, s.Events, fmt.Sprintf("e2e%d", round))
			if err != nil {
				return nil, err
			}
			rounds[round][c.name] = r
		}
		s.progress("end to end: round %d of %d, %.0f/s in one process, plain %.0f/s", round+1, s.Rounds,
			rounds[round][hookyardOne].perSecond, rounds[round][plainOne].perSecond)
	}
	var figures []EndToEndFigures
	for _, c := range contestants {
		each, err := s.writesOf(ctx, c)
		if err != nil {
			return nil, err
		}
		figures = append(figures, summarizeEndToEnd(c.name, rounds, each))
	}
	return figures, nil
}

func (s *session) endToEndContestants(ctx context.Context) ([]*contestant, error) {
	one, err := s.hookyard(ctx, hookyardOne, "one", s.taskQueue("one"))
	if err != nil {
		return nil, err
	}
	two, err := s.hookyard(ctx, hookyardTwo, "two", s.taskQueue("two"), "edge", "worker")
	if err != nil {
		return nil, err
	}
	plain, err := s.peer(ctx, plainOne, "plain1", "--task-queue", s.taskQueue("plain1"), "--ledger", s.path("plain1.db"))
	if err != nil {
		return nil, err
	}
	split, err := s.peer(ctx, plainTwo, "plain2", "--task-queue", s.taskQueue("plain2"))
	if err != nil {
		return nil, err
	}
	worker, err := s.start("plain2-worker", s.Peer[0], slices.Concat(s.Peer[1:], []string{"--task-queue", s.taskQueue("plain2"), "--ledger", s.path("plain2.db")})...)
	if err != nil {
		return nil, err
	}
	split.process = append(split.process, worker)
	return []*contestant{one, plain, two, split}, nil
}

// endToEndRound is what one contestant did in one round.
type endToEndRound struct {
	perSecond float64
	p50, p99  float64 // ms, from the start of a Workflow to its end
	cpu       float64 // µs of the contestant's processes, for one event
}

func (s *session) endToEndRound(ctx context.Context, c *contestant, n int, name string) (endToEndRound, error) {
	deliveries, err := s.factory.batch(name, n, usualBody)
	if err != nil {
		return endToEndRound{}, err
	}
	before := c.used()
	_, err = blast(ctx, endToEndSenders, deliveries, c.send)
	c.close()
	if err != nil {
		return endToEndRound{}, fmt.Errorf("%s: %w", c.name, err)
	}
	ids := c.id + ":" + s.factory.prefix(name)
	if err := s.workedOff(ctx, ids, n); err != nil {
		return endToEndRound{}, fmt.Errorf("%s: %w; the end of its log: %s", c.name, err, c.process[len(c.process)-1].lastWords())
	}
	after := c.used()
	took, lasted, err := s.runs(ctx, ids)
	if err != nil {
		return endToEndRound{}, err
	}
	return endToEndRound{
		perSecond: float64(n) / took.Seconds(),
		p50:       percentile(lasted, 500), p99: percentile(lasted, 990),
		cpu: float64((after.cpu - before.cpu).Microseconds()) / float64(n),
	}, nil
}

// workedOff waits until so many Workflows have completed. The wait is given
// up when none has completed for a while.
func (s *session) workedOff(ctx context.Context, ids string, n int) error {
	completed := int64(-1)
	for {
		before := completed
		err := eventually(ctx, workedOffWithin, 200*time.Millisecond, "another Workflow completes", func(ctx context.Context) (bool, error) {
			counted, err := s.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
				Namespace: s.Client.Namespace, Query: fmt.Sprintf("WorkflowId STARTS_WITH %q AND ExecutionStatus = 'Completed'", ids),
			})
			if err != nil {
				return false, err
			}
			completed = counted.GetCount()
			return completed > before, nil
		})
		if err != nil {
			return fmt.Errorf("%d of %d Workflows have completed: %w", max(completed, 0), n, err)
		}
		if completed >= int64(n) {
			return nil
		}
	}
}

// runs asks the server when its Workflows started and ended: by its own
// clock, so that asking adds nothing.
func (s *session) runs(ctx context.Context, ids string) (took time.Duration, lasted []time.Duration, err error) {
	var first, last time.Time
	var page []byte
	for {
		listed, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: s.Client.Namespace, PageSize: 1000, NextPageToken: page, Query: fmt.Sprintf("WorkflowId STARTS_WITH %q", ids),
		})
		if err != nil {
			return 0, nil, err
		}
		for _, run := range listed.GetExecutions() {
			if run.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				return 0, nil, fmt.Errorf("run %s is %s, not completed", run.GetExecution().GetWorkflowId(), run.GetStatus())
			}
			started, closed := run.GetStartTime().AsTime(), run.GetCloseTime().AsTime()
			if first.IsZero() || started.Before(first) {
				first = started
			}
			if closed.After(last) {
				last = closed
			}
			lasted = append(lasted, closed.Sub(started))
		}
		if page = listed.GetNextPageToken(); len(page) == 0 {
			return last.Sub(first), lasted, nil
		}
	}
}

// writesOf counts what one contestant alone has written to Temporal's store,
// in a batch of its own: the counters need seconds to stand still.
func (s *session) writesOf(ctx context.Context, c *contestant) (map[string]float64, error) {
	if s.MetricsURL == "" {
		return nil, nil
	}
	s.progress("end to end: counting the writes of %s", c.name)
	before, err := s.settled(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.endToEndRound(ctx, c, warmUp, "writes"); err != nil {
		return nil, err
	}
	after, err := s.settled(ctx)
	return after.since(before, warmUp), err
}

func summarizeEndToEnd(name string, rounds []map[string]endToEndRound, each map[string]float64) EndToEndFigures {
	of := func(figure func(mine, plain endToEndRound) float64) float64 {
		var values []float64
		for _, round := range rounds {
			values = append(values, figure(round[name], round[plainOf[name]]))
		}
		return median(values)
	}
	return EndToEndFigures{
		Name:             name,
		PerSecond:        of(func(r, _ endToEndRound) float64 { return r.perSecond }),
		P50:              of(func(r, _ endToEndRound) float64 { return r.p50 }),
		P99:              of(func(r, _ endToEndRound) float64 { return r.p99 }),
		CPU:              of(func(r, _ endToEndRound) float64 { return r.cpu }),
		PerSecondOfPlain: of(func(r, plain endToEndRound) float64 { return ratio(r.perSecond, plain.perSecond) }),
		Writes:           each,
	}
}
