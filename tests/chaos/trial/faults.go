package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hookyard/hookyard/tests/harness"
)

// target is a part of the system that can be hurt.
type target interface {
	// begin starts the fault. The function that it returns, which is nil
	// only beside an error, ends it and puts everything right.
	begin(ctx context.Context, f Fault) (end func(context.Context) error, err error)
}

// victim is a process that is killed, and is started again when the fault
// ends.
type victim struct{ *harness.Supervised }

func (v victim) begin(context.Context, Fault) (func(context.Context) error, error) {
	v.Kill()
	return func(context.Context) error { return v.Start() }, nil
}

// Applied is a fault and when it really was.
type Applied struct {
	Fault
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Err is why it could not be had; empty if it could.
	Err string `json:"err,omitempty"`
}

// injector makes a plan's faults happen.
type injector struct {
	targets map[string]target
	say     func(format string, args ...any)

	mu      sync.Mutex
	applied []Applied
	failed  []error // what could not be put right
}

// run makes the faults happen and returns when the last of them has ended. If
// ctx ends, those that have begun are put right at once. The error is about
// what could not be: nothing can be concluded then.
func (i *injector) run(ctx context.Context, faults []Fault) error {
	var happening sync.WaitGroup
	began := time.Now()
	for _, f := range faults {
		if !sleep(ctx, f.At-time.Since(began)) {
			break
		}
		happening.Go(func() { i.apply(ctx, f) })
	}
	happening.Wait()
	return errors.Join(i.failed...)
}

func (i *injector) apply(ctx context.Context, f Fault) {
	a := Applied{Fault: f, Began: time.Now()}
	end, err := i.targets[f.Target].begin(ctx, f)
	if err != nil {
		a.Err = err.Error()
		i.say("%s: not possible: %v", f, err)
	} else {
		i.say("%s", f)
		sleep(ctx, f.For)
	}
	if end != nil {
		// What was broken is put right even if nobody waits any more.
		err = end(context.WithoutCancel(ctx))
	}
	a.Ended = time.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.applied = append(i.applied, a)
	if err != nil && a.Err == "" {
		i.failed = append(i.failed, fmt.Errorf("%s: put it right: %w", f, err))
	}
}
