package hookyardtest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/hookyardtest"
)

// A Workflow whose second step is down, until it is resumed.
func ExampleStart() {
	t := &example{} // a test has its *testing.T
	defer t.end()

	ev := hookyardtest.Sample(t, app(), "stripe", "invoice.paid")
	run := hookyardtest.Start(t, app(), ev, hookyardtest.Options{Fakes: hookyardtest.Fakes{
		"Reserve": 20, // its result
		"Notify":  errors.New("the mail server is down"),
	}})
	step := run.Parked("Notify", event.ReasonExhausted)
	fmt.Println("parked:", step.Error)
	run.Called("Reserve", ev.Key("Reserve"))

	run.Fake("Notify", nil)
	run.Resume("")
	run.Completed()
	fmt.Println("calls of Reserve:", len(run.Calls("Reserve")))
	// Output:
	// parked: the mail server is down
	// calls of Reserve: 1
}

// One test for all histories in a folder.
func ExampleReplay() {
	_ = func(t *testing.T) {
		hookyardtest.Replay(t, app(), "testdata/histories")
	}
}

// example is a testing.TB for an example.
type example struct {
	testing.TB
	cleanups []func()
}

func (e *example) Helper()                           {}
func (e *example) Cleanup(f func())                  { e.cleanups = append(e.cleanups, f) }
func (e *example) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (e *example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (e *example) end() {
	for _, f := range e.cleanups {
		f()
	}
}
