package measure

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// idle is the Task Queue of Workflows that no worker is there for: only their
// start is measured.
const idle = "idle"

// warmUp is how many events go ahead of the first round, and count for
// nothing.
const warmUp = 100

// edge compares, at each concurrency, how deliveries are acknowledged.
func (s *session) edge(ctx context.Context) ([]EdgeFigures, error) {
	contestants, err := s.edgeContestants(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range contestants {
		if _, err := s.edgeRound(ctx, c, 16, warmUp, "warm"); err != nil {
			return nil, err
		}
	}
	var figures []EdgeFigures
	for _, senders := range s.Concurrency {
		rounds := make([]map[string]edgeRound, s.Rounds)
		for round := range rounds {
			rounds[round] = map[string]edgeRound{}
			for _, c := range rotated(contestants, round) {
				name := fmt.Sprintf("%d-%d", senders, round)
				r, err := s.edgeRound(ctx, c, senders, s.Events, name)
				if err != nil {
					return nil, err
				}
				rounds[round][c.name] = r
			}
			s.progress("edge, %d at once: round %d of %d, %.0f/s, bare %.0f/s", senders, round+1, s.Rounds,
				rounds[round][edgeItself].perSecond(), rounds[round][edgeBare].perSecond())
		}
		for _, c := range contestants {
			figures = append(figures, summarize(c.name, senders, rounds))
		}
	}
	return figures, nil
}

// The names of what is compared.
const (
	edgeItself = "edge"
	edgeBare   = "bare start behind HTTP"
	edgeLoop   = "bare start in a loop"
	edgeVerify = "verify behind HTTP"
)

func (s *session) edgeContestants(ctx context.Context) ([]*contestant, error) {
	itself, err := s.hookyard(ctx, edgeItself, "edge", s.taskQueue(idle), "edge")
	if err != nil {
		return nil, err
	}
	bare, err := s.peer(ctx, edgeBare, "bare", "--task-queue", s.taskQueue(idle))
	if err != nil {
		return nil, err
	}
	verify, err := s.peer(ctx, edgeVerify, "verify", "--verify-secret", s.path("secret"))
	if err != nil {
		return nil, err
	}
	loop := &contestant{
		name: edgeLoop, id: "loop", close: func() {},
		send: func(ctx context.Context, d delivery) error {
			starter := bareStarter{s.temporal, s.taskQueue(idle), "loop"}
			return starter.start(ctx, d.event("loop"), d.body)
		},
	}
	return []*contestant{itself, bare, loop, verify}, nil
}

// edgeRound is what one contestant did in one round.
type edgeRound struct {
	load
	cpu   float64 // µs of the contestant's, for one delivery
	bytes float64 // read and written, for one delivery
}

func (s *session) edgeRound(ctx context.Context, c *contestant, senders, n int, name string) (edgeRound, error) {
	deliveries, err := s.factory.batch(name, n, usualBody)
	if err != nil {
		return edgeRound{}, err
	}
	before := c.used()
	l, err := blast(ctx, senders, deliveries, c.send)
	after := c.used()
	c.close()
	if err != nil {
		return edgeRound{}, fmt.Errorf("%s: %w", c.name, err)
	}
	return edgeRound{
		load:  l,
		cpu:   float64((after.cpu - before.cpu).Microseconds()) / float64(n),
		bytes: float64(after.bytes-before.bytes) / float64(n),
	}, nil
}

// summarize takes the median of the rounds for what depends on the machine's
// mood, and the mean for what does not and is counted coarsely. Percentiles
// are of all deliveries, since a round alone has too few for the rare ones.
func summarize(name string, senders int, rounds []map[string]edgeRound) EdgeFigures {
	each := func(figure func(mine, bare edgeRound) float64) []float64 {
		var values []float64
		for _, round := range rounds {
			values = append(values, figure(round[name], round[edgeBare]))
		}
		return values
	}
	var latencies []time.Duration
	var again int64
	for _, round := range rounds {
		again += round[name].again
		latencies = append(latencies, round[name].latencies...)
	}
	p99 := func(r edgeRound) float64 { return percentile(slices.Clone(r.latencies), 990) }
	return EdgeFigures{
		Name: name, Concurrency: senders,
		PerSecond:       median(each(func(r, _ edgeRound) float64 { return r.perSecond() })),
		P50:             percentile(latencies, 500),
		P99:             percentile(latencies, 990),
		P999:            percentile(latencies, 999),
		SentAgain:       again,
		CPU:             mean(each(func(r, _ edgeRound) float64 { return r.cpu })),
		Bytes:           mean(each(func(r, _ edgeRound) float64 { return r.bytes })),
		PerSecondOfBare: median(each(func(r, bare edgeRound) float64 { return ratio(r.perSecond(), bare.perSecond()) })),
		P99OfBare:       median(each(func(r, bare edgeRound) float64 { return ratio(p99(r), p99(bare)) })),
		CPUBeyondBare:   mean(each(func(r, bare edgeRound) float64 { return r.cpu - bare.cpu })),
	}
}
