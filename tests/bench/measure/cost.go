package measure

import (
	"context"
	"fmt"
)

// costEvents is how many deliveries a round of cost has: enough for seconds of CPU,
// which the kernel counts in steps of 10 ms.
const costEvents = 20_000

// cost measures what the edge itself spends, with events that no source wants and
// a sender that spends little. All run as fast as they can: a process that sleeps
// between two deliveries spends up to ten times as much on each, for waking up and
// on cold caches, and so does the least handler.
func (s *session) cost(ctx context.Context) (*CostFigures, error) {
	edge, err := s.hookyard(ctx, edgeItself, "unwanted", s.taskQueue(idle), "edge")
	if err != nil {
		return nil, err
	}
	verify, err := s.peer(ctx, edgeVerify, "verifying", "--verify-secret", s.path("secret"))
	if err != nil {
		return nil, err
	}
	contestants := []*contestant{edge.onWire(), verify.onWire()}
	rates, cpus := map[string][]float64{}, map[string][]float64{}
	for round := range s.Rounds {
		for _, c := range rotated(contestants, round) {
			deliveries, err := s.factory.unwanted(fmt.Sprintf("cost%d", round), costEvents, journalBody)
			if err != nil {
				return nil, err
			}
			before := c.used()
			l, err := blast(ctx, 16, deliveries, c.send)
			after := c.used()
			c.close()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			rates[c.name] = append(rates[c.name], l.perSecond())
			cpus[c.name] = append(cpus[c.name], float64((after.cpu-before.cpu).Microseconds())/costEvents)
		}
		s.progress("cost: round %d of %d, %.0f/s and %.0f µs, verify alone %.0f µs", round+1, s.Rounds, rates[edgeItself][round], cpus[edgeItself][round], cpus[edgeVerify][round])
	}
	return &CostFigures{
		PerSecond: median(rates[edgeItself]), CPU: median(cpus[edgeItself]),
		VerifyPerSecond: median(rates[edgeVerify]), VerifyCPU: median(cpus[edgeVerify]),
	}, nil
}
