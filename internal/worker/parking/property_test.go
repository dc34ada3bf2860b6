package parking_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

var (
	seeds = flag.Int("seeds", 150, "how many stories TestStories tells")
	seed  = flag.Uint64("seed", 1, "the first of them")
)

// code is a version of the Workflow. A deploy changes it for the next run of
// the chain.
type code int

const (
	good      code = iota
	returns        // an error, behind its steps
	panics         // in a coroutine, behind its steps
	otherType      // of A's result
	codes          // how many there are
)

// story is a random sequence of what goes wrong and what people do about it.
type story struct {
	*world
	t    *testing.T
	rng  *rand.Rand
	code code
	told []string // what happened, for whoever reads a failure

	left     int             // random deeds before the repair
	amends   int             // that were taken
	byHand   map[string]bool // steps that are done by hand, and not to be called
	finished bool            // discarded or canceled
	repairs  int             // deeds of the repair
}

func (s *story) tell(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

// workflow is A, then B and C at once.
func (s *story) workflow(ctx workflow.Context, _ event.Event, _ converter.RawValue) (string, error) {
	version := s.code
	ctx = options(ctx)
	var a string
	if version == otherType {
		var n struct{ N int }
		if err := workflow.ExecuteActivity(ctx, "A", "1").Get(ctx, &n); err != nil {
			return "", err
		}
	} else if err := workflow.ExecuteActivity(ctx, "A", "1").Get(ctx, &a); err != nil {
		return "", err
	}
	b, c := workflow.ExecuteActivity(ctx, "B", "1"), workflow.ExecuteActivity(ctx, "C", "1")
	var results [2]string
	if err := errors.Join(b.Get(ctx, &results[0]), c.Get(ctx, &results[1])); err != nil {
		return "", err
	}
	switch version {
	case returns:
		return "", errors.New("no rule for this order")
	case panics:
		workflow.Go(ctx, func(workflow.Context) { panic("no rule for this order") })
		return "", workflow.Sleep(ctx, time.Hour)
	default:
		return strings.Join([]string{a, results[0], results[1]}, " "), nil
	}
}

// parkedNow reads what the run's page says is parked.
func parkedNow(page string) []string {
	var names []string
	for rest := page; ; {
		_, after, found := strings.Cut(rest, "### Parked at `")
		if !found {
			return names
		}
		name, more, _ := strings.Cut(after, "`")
		names, rest = append(names, name), more
	}
}

// deed does one random thing to the world or to the run.
func (s *story) deed(r *run) {
	step := []string{"A", "B", "C"}[s.rng.IntN(3)]
	parked := parkedNow(r.details())
	pick := func() string {
		if len(parked) == 0 || s.rng.IntN(4) == 0 {
			return step // perhaps one that is not parked
		}
		return parked[s.rng.IntN(len(parked))]
	}
	switch s.rng.IntN(12) {
	case 0, 1:
		s.tell("%s breaks", step)
		s.set(step, 1_000_000, errors.New(step+" is down"))
	case 2:
		s.tell("%s says that another attempt is of no use", step)
		s.set(step, 1_000_000, temporal.NewNonRetryableApplicationError("no such customer", "Refused", nil))
	case 3, 4:
		s.tell("%s works again", step)
		s.set(step, 0, nil)
	case 5:
		s.tell("resume, parked: %q", parked)
		s.resumed(parked...)
		r.SignalWorkflow(event.SignalResume, parking.Resume{By: "ada"})
	case 6:
		name := pick()
		s.tell("resume %s, parked: %q", name, parked)
		s.resumed(name)
		r.SignalWorkflow(event.SignalResume, parking.Resume{Step: name})
	case 7:
		name := pick()
		result := []string{`"by hand"`, `7`, `{"N":1}`, `[]`, `null`}[s.rng.IntN(5)]
		s.tell("resolve %s with %s, parked: %q", name, result, parked)
		if slices.Contains(parked, name) {
			s.byHand[name] = true
		}
		r.SignalWorkflow(event.SignalResolve, parking.Resolve{Step: name, Result: json.RawMessage(result)})
	case 8:
		payload := []string{`{"n":2}`, `{"n":"x"}`, `{"n":1}`}[s.rng.IntN(3)]
		s.tell("amend with %s", payload)
		s.amend(r, payload)
	case 9:
		s.code = code(s.rng.IntN(int(codes)))
		s.tell("deploy version %d", s.code)
	case 10:
		if s.rng.IntN(6) == 0 {
			s.tell("cancel")
			s.finished = true
			r.CancelWorkflow()
		}
	case 11:
		if s.rng.IntN(4) == 0 {
			s.tell("discard, parked: %q", parked)
			s.finished = len(parked) > 0
			r.SignalWorkflow(event.SignalDiscard, parking.Discard{By: "ada", Why: "no"})
		}
	}
}

func (s *story) set(step string, failures int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[step], s.errors[step] = failures, err
}

// resumed notes steps that may be called again although they were done by hand.
func (s *story) resumed(names ...string) {
	for _, name := range names {
		delete(s.byHand, name)
	}
}

func (s *story) amend(r *run, payload string) {
	r.UpdateWorkflow(event.UpdateAmend, fmt.Sprint(len(s.told)), &testsuite.TestUpdateCallback{
		OnReject: func(err error) { require.ErrorContains(s.t, err, "cannot unmarshal", s.story()) },
		OnAccept: func() {},
		OnComplete: func(_ any, err error) {
			require.NoError(s.t, err, s.story())
			s.amends++
			clear(s.byHand) // everything runs again
		},
	}, parking.Amend{Payload: json.RawMessage(payload)})
}

// repair does what the runbook says, once: deploy correct code, mend the world,
// resume; where that does not do, amend with the same payload.
func (s *story) repair(r *run) {
	s.code = good
	for _, step := range []string{"A", "B", "C"} {
		s.set(step, 0, nil)
	}
	parked := parkedNow(r.details())
	if s.repairs++; s.repairs%6 == 0 {
		s.tell("repair: amend with the same payload, parked: %q", parked)
		s.amend(r, `{"n":1}`)
		return
	}
	s.tell("repair: resume, parked: %q", parked)
	s.resumed(parked...)
	r.SignalWorkflow(event.SignalResume, parking.Resume{})
}

func (s *story) story() string { return strings.Join(s.told, "\n") }

// TestStories tells random stories. In each state that a run reaches, it is
// closed because somebody closed it, or the documented commands complete it.
// What was done by hand is not done again unasked.
func TestStories(t *testing.T) {
	t.Parallel()
	for n := range *seeds {
		seed := *seed + uint64(n)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := &story{
				world: newWorld(), t: t, byHand: map[string]bool{},
				rng: rand.New(rand.NewPCG(seed, 0)),
			}
			s.left, s.code = 3+s.rng.IntN(15), code(s.rng.IntN(int(codes)))
			for _, step := range []string{"A", "B", "C"} {
				if s.rng.IntN(2) == 0 {
					s.set(step, 1_000_000, errors.New(step+" is down"))
				}
			}
			s.run()
		})
	}
}

// run goes through the runs of the chain.
func (s *story) run() {
	fits := func(_ string, _ event.Event, payload []byte) error {
		var v struct{ N int }
		return json.Unmarshal(payload, &v)
	}
	var previous *run
	for links := 0; ; links++ {
		require.Less(s.t, links, 60, "the chain has no end\n%s", s.story())
		r := newRun(s.t, s.workflow, parking.Options{Fits: fits})
		r.world = s.world
		if previous != nil {
			var anew *workflow.ContinueAsNewError
			require.ErrorAs(s.t, previous.GetWorkflowError(), &anew, s.story())
			r.SetHeader(anew.Header)
		}
		s.onCall = func(name string) {
			require.False(s.t, s.byHand[name], "%s was done by hand, and is called all the same\n%s", name, s.story())
		}
		s.tell("run %d, version %d", links+1, s.code)
		const most = 60
		for hour := range most {
			r.at(time.Duration(hour+1)*time.Hour, func() {
				require.Less(s.t, len(r.details()), 16<<10)
				switch {
				case s.finished:
				case s.left > 0:
					s.left--
					s.deed(r)
				default:
					s.repair(r)
				}
			})
		}
		r.start()
		err := r.GetWorkflowError()
		if _, ok := errors.AsType[*workflow.ContinueAsNewError](err); ok {
			previous = r
			continue
		}
		if s.finished {
			return // completed just before, discarded or canceled
		}
		require.NoError(s.t, err, s.story())
		s.t.Log(s.story())
		return
	}
}
