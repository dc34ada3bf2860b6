package measure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// Overload says what a measurement of overload offers.
type Overload struct {
	// Seconds is how long each load is offered.
	Seconds int
	// Times are the loads, in multiples of the capacity that was measured.
	Times []float64
	// Apart runs edge and worker as two processes, not as one.
	Apart bool
	// Away is how many seconds Temporal is away in the last load; 0 leaves
	// that load out.
	Away int
	// Temporal is the server, to take it away.
	Temporal interface {
		Kill()
		Start() error
		Await(ctx context.Context) error
	}
}

// What an overload is held against.
const (
	// capacitySenders send one delivery after the other to find out the
	// capacity: enough to keep worker and server busy.
	capacitySenders = 8
	capacitySeconds = 10
	// settle is left out at the beginning of each load.
	settle = 5 * time.Second
	// lightPerSecond is what is offered after a load, for lightSeconds, to see
	// when the edge answers as usual again.
	lightPerSecond = 10
	lightSeconds   = 10
	// usual is the longest that an answer takes without a load.
	usual = time.Second
	// awayTimes is the load beside an outage, in multiples of the capacity.
	awayTimes = 2
	// returned is how long after its return Temporal is looked at.
	returned = 40
)

// overload offers more than can be worked off.
func (s *session) overload(ctx context.Context) (*OverloadFigures, error) {
	o := s.Overload
	only := []string(nil)
	name := hookyardOne
	if o.Apart {
		only, name = []string{"edge", "worker"}, hookyardTwo
	}
	system, err := s.hookyard(ctx, name, "load", s.taskQueue("load"), only...)
	if err != nil {
		return nil, err
	}
	f := &OverloadFigures{Name: name, Seconds: o.Seconds}
	if _, err := s.endToEndRound(ctx, system, warmUp, "warm"); err != nil {
		return nil, err
	}
	for i, times := range o.Times {
		if err := s.add(ctx, f, system, i, times, o.Seconds, nil); err != nil {
			return nil, fmt.Errorf("%g times the capacity: %w", times, err)
		}
	}
	if o.Away > 0 {
		if err := s.add(ctx, f, system, len(o.Times), awayTimes, o.Seconds/3+o.Away+returned, o); err != nil {
			return nil, fmt.Errorf("temporal away for %d s: %w", o.Away, err)
		}
	}
	return f, nil
}

// add offers a load. The capacity is measured before and after it, as what else
// the machine does changes from minute to minute.
func (s *session) add(ctx context.Context, f *OverloadFigures, system *contestant, i int, times float64, seconds int, away *Overload) error {
	before, err := s.capacity(ctx, system, fmt.Sprintf("cap%03dbefore", i)) // no name is the beginning of another one
	if err != nil {
		return err
	}
	load, err := s.overloaded(ctx, system, fmt.Sprintf("load%03d", i), before*times, seconds, away)
	if err != nil {
		return err
	}
	after, err := s.capacity(ctx, system, fmt.Sprintf("cap%03dafter", i))
	if err != nil {
		return err
	}
	load.Times, load.Capacity = times, [2]float64{before, after}
	if away != nil {
		load.Away = away.Away
	}
	load.rate()
	f.Loads = append(f.Loads, load)
	s.progress("overload: %g times the capacity: %s", times, &load)
	return nil
}

// capacity is how many events a second are worked off while some senders wait
// for each answer.
func (s *session) capacity(ctx context.Context, system *contestant, name string) (float64, error) {
	began := time.Now()
	for n := 0; time.Since(began) < capacitySeconds*time.Second; n++ {
		deliveries, err := s.factory.batch(fmt.Sprintf("%s%d", name, n), 50, usualBody)
		if err == nil {
			_, err = blast(ctx, capacitySenders, deliveries, system.send)
		}
		if err != nil {
			return 0, err
		}
	}
	ended := time.Now()
	system.close()
	closed, _, err := s.finished(ctx, system.id+":"+strings.TrimSuffix(s.factory.prefix(name), "_"))
	if err != nil {
		return 0, err
	}
	return perSecondIn(closed, began.Add(2*time.Second), ended), nil
}

// finished waits until no run is open any more whose id starts so, and returns
// when each one completed.
func (s *session) finished(ctx context.Context, ids string) (closed []time.Time, drained time.Duration, err error) {
	began := time.Now()
	err = eventually(ctx, workedOffWithin, 500*time.Millisecond, "all Workflows complete", func(ctx context.Context) (bool, error) {
		open, err := s.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
			Namespace: s.Client.Namespace, Query: fmt.Sprintf("WorkflowId STARTS_WITH %q AND ExecutionStatus = 'Running'", ids),
		})
		return err == nil && open.GetCount() == 0, err
	})
	if err != nil {
		return nil, 0, err
	}
	drained = time.Since(began)
	var page []byte
	for {
		listed, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: s.Client.Namespace, PageSize: 1000, NextPageToken: page, Query: fmt.Sprintf("WorkflowId STARTS_WITH %q", ids),
		})
		if err != nil {
			return nil, 0, err
		}
		for _, run := range listed.GetExecutions() {
			if run.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				return nil, 0, fmt.Errorf("run %s is %s, not completed", run.GetExecution().GetWorkflowId(), run.GetStatus())
			}
			closed = append(closed, run.GetCloseTime().AsTime())
		}
		if page = listed.GetNextPageToken(); len(page) == 0 {
			return closed, drained, nil
		}
	}
}

// perSecondIn is how many of the times are within the span, for each second.
func perSecondIn(times []time.Time, from, to time.Time) float64 {
	n := 0
	for _, t := range times {
		if !t.Before(from) && t.Before(to) {
			n++
		}
	}
	return ratio(float64(n), to.Sub(from).Seconds())
}

// overloaded offers so many new events a second, beside the redeliveries of
// those that were refused. With away, Temporal is killed after a third of
// Overload.Seconds and started again later.
func (s *session) overloaded(ctx context.Context, system *contestant, name string, perSecond float64, seconds int, away *Overload) (load LoadFigures, err error) {
	w := system.wire(10 * time.Second)
	defer w.close()
	offered := &offer{factory: s.factory, name: name, post: w.post}
	began := time.Now()
	gone, back := make(chan error, 1), time.Time{}
	if away != nil {
		go func() { gone <- away.cycle(ctx, time.Duration(away.Seconds/3)*time.Second, &back) }()
	} else {
		gone <- nil
	}
	err = offered.run(ctx, perSecond, time.Duration(seconds)*time.Second)
	ended := time.Now()
	if err := errors.Join(err, <-gone); err != nil {
		return load, err
	}
	light := &offer{factory: s.factory, name: name + "light", post: w.post}
	if err := light.run(ctx, lightPerSecond, lightSeconds*time.Second); err != nil {
		return load, err
	}
	prefix := s.factory.prefix(name)
	closed, drained, err := s.finished(ctx, system.id+":"+prefix[:len(prefix)-1]) // the light load's, too
	if err != nil {
		return load, err
	}
	if lost := offered.accepted() + light.accepted() - len(closed); lost > 0 {
		return load, fmt.Errorf("%d events were accepted, and have no run", lost)
	}
	load = offered.figures()
	load.Offered = perSecond
	load.Finished = perSecondIn(closed, began.Add(settle), ended)
	load.closed = closed
	load.Usual = light.lastUnusual().Sub(ended).Seconds()
	load.Drained = (lightSeconds*time.Second + drained).Seconds()
	if away != nil {
		load.back, load.ended = back, ended
		load.Finished = perSecondIn(closed, back.Add(settle), ended)
	}
	return load, nil
}

// cycle takes Temporal away and brings it back.
func (o *Overload) cycle(ctx context.Context, after time.Duration, back *time.Time) error {
	if err := wait(ctx, after); err != nil {
		return err
	}
	o.Temporal.Kill()
	if err := wait(ctx, time.Duration(o.Away)*time.Second); err != nil {
		return errors.Join(err, o.Temporal.Start())
	}
	if err := o.Temporal.Start(); err != nil {
		return err
	}
	err := o.Temporal.Await(ctx)
	*back = time.Now()
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// taken reports whether the sender is done with its delivery.
func (r reply) taken() bool { return r.status == http.StatusOK }

// refused reports whether the sender was asked to come again.
func (r reply) refused() bool {
	return r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests
}
