package conformance

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// verdict takes down what a scenario finds wrong, where a test would fail: of
// a flawed receiver it is what we want to see.
type verdict struct {
	mu    sync.Mutex
	found []string
}

// Errorf and FailNow make a verdict something that require can report to.
func (v *verdict) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.found = append(v.found, fmt.Sprintf(format, args...))
}

// FailNow ends the scenario, as it ends a test.
func (v *verdict) FailNow() { runtime.Goexit() }

func (v *verdict) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.found, "\n")
}

// judge runs the scenario at the site and returns what it found wrong; "" if
// nothing.
func judge(s scenario, at *site) string {
	over := make(chan struct{})
	go func() { // a goroutine of its own, for FailNow to end
		defer close(over)
		s.run(at)
	}()
	<-over
	return at.v.String()
}
