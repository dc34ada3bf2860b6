package measure

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	soakBatch  = 1000 // signed at once, and sent before they are stale
	soakSample = time.Second
)

// flatWithin is how much more the last quarter of a soak may have than the
// first one and still count as flat: a leak of even one small thing for each
// of 100,000 events is more.
const flatWithin = 1.10

// soak sends many events to an edge and a worker, and looks all the while at
// what they hold.
func (s *session) soak(ctx context.Context) (*SoakFigures, error) {
	system, err := s.hookyard(ctx, hookyardTwo, "soak", s.taskQueue("soak"), "edge", "worker")
	if err != nil {
		return nil, err
	}
	defer system.close()
	if _, err := s.endToEndRound(ctx, system, warmUp, "soakwarm"); err != nil {
		return nil, err
	}
	watched := watch(system.process, []string{"edge", "worker"})
	began := time.Now()
	for sent := 0; sent < s.Soak; {
		n := min(soakBatch, s.Soak-sent)
		name := fmt.Sprintf("soak%d", sent)
		deliveries, err := s.factory.batch(name, n, usualBody)
		if err == nil {
			_, err = blast(ctx, endToEndSenders, deliveries, system.send)
		}
		if err == nil {
			// The worker keeps up, so that what is seen is what it holds
			// for an event and not for a backlog.
			err = s.workedOff(ctx, system.id+":"+s.factory.prefix(name), n)
		}
		if err != nil {
			watched()
			return nil, fmt.Errorf("soak: after %d events: %w", sent, err)
		}
		sent += n
		s.progress("soak: %d of %d events, %s", sent, s.Soak, time.Since(began).Round(time.Second))
	}
	return &SoakFigures{Events: s.Soak, Seconds: time.Since(began).Seconds(), Processes: watched()}, nil
}

// watch samples the processes until the returned function is called, which
// says what was seen of each, under the given names.
func watch(processes []*process, names []string) func() []SoakProcess {
	quit, quitted := make(chan struct{}), make(chan struct{})
	samples := make([][]usage, len(processes))
	go func() {
		defer close(quitted)
		tick := time.NewTicker(soakSample)
		defer tick.Stop()
		for {
			for i, p := range processes {
				samples[i] = append(samples[i], p.usage())
			}
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	}()
	return sync.OnceValue(func() []SoakProcess {
		close(quit)
		<-quitted
		var seen []SoakProcess
		for i, name := range names {
			seen = append(seen, SoakProcess{
				Name:    name,
				RSS:     quartersOf(samples[i], func(u usage) int64 { return u.rss }),
				Threads: quartersOf(samples[i], func(u usage) int64 { return u.threads }),
				Files:   quartersOf(samples[i], func(u usage) int64 { return u.files }),
			})
		}
		return seen
	})
}

// quartersOf returns the mean of each quarter of the samples.
func quartersOf(samples []usage, figure func(usage) int64) Quarters {
	var q Quarters
	for i := range q.Means {
		var values []float64
		for _, u := range samples[i*len(samples)/4 : (i+1)*len(samples)/4] {
			values = append(values, float64(figure(u)))
		}
		q.Means[i] = mean(values)
	}
	q.Flat = q.Means[3] <= q.Means[0]*flatWithin
	return q
}
