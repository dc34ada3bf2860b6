package parking

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"github.com/hookyard/hookyard/event"
)

// carriedOver is the state passed to the run that continues this one.
type carriedOver struct {
	// Done holds, by key, the calls that need not be made again.
	Done map[string]carriedResult `json:"done,omitempty"`
	// Parked holds, by key, the calls that are parked and that nobody has
	// decided about. They stay parked.
	Parked map[string]Step `json:"parked,omitempty"`
	// Failed is set where the function as a whole failed: the next run parks
	// before it enters the function.
	Failed *Step `json:"failed,omitempty"`
	// Released is set where the run was held and is no longer.
	Released bool `json:"released,omitempty"`
	// Log is who did what so far.
	Log []string `json:"log,omitempty"`
}

// carriedResult is the result of a call.
type carriedResult struct {
	// Payload is the marshaled Payload; empty where the step returns nothing.
	Payload []byte `json:"payload,omitempty"`
	// ByHand is set where a person gave the result.
	ByHand bool `json:"by_hand,omitempty"`
}

// carriedOverKey is the header that holds it.
const carriedOverKey = "hookyard-carried-over"

const (
	// maxDone is how many bytes of results are carried over, since the start
	// of a run may have 2 MiB. A call whose result does not fit runs again,
	// under the same idempotency key.
	maxDone = 512 << 10
	// maxParked is how many bytes of parked calls are carried over. What does
	// not fit runs again.
	maxParked = 128 << 10
	// carriedError is how much of a parked call's error is carried over.
	carriedError = 200
)

// keys name calls by their Activity and arguments, and by how often the
// Workflow made the same call before.
type keys map[string]int

func (k keys) next(c *call) string {
	sum := sha256.New()
	// Arguments that cannot be encoded are reported by the SDK.
	if encoded, err := converter.GetDefaultDataConverter().ToPayloads(c.args...); err == nil {
		for _, p := range encoded.GetPayloads() {
			sum.Write(p.GetData())
			sum.Write([]byte{0})
		}
	}
	key := c.name + ":" + hex.EncodeToString(sum.Sum(nil)[:16])
	k[key]++
	return fmt.Sprintf("%s:%d", key, k[key])
}

// lookUp gives a call what the run before has of it.
func (r *Run) lookUp(c *call) {
	if len(r.carried.Done) == 0 && len(r.carried.Parked) == 0 {
		return
	}
	key := r.keys.next(c)
	if step, parked := r.carried.Parked[key]; parked {
		c.parked = &step
	}
	carried, done := r.carried.Done[key]
	if !done {
		return
	}
	var result *commonpb.Payload
	if len(carried.Payload) > 0 {
		result = &commonpb.Payload{}
		if proto.Unmarshal(carried.Payload, result) != nil {
			return
		}
	}
	c.finish(result, fromCarried)
	if carried.ByHand {
		c.origin = fromPerson
	}
}

// carryOver returns what the next run is given.
func (r *Run) carryOver() carriedOver {
	next := carriedOver{
		Done: map[string]carriedResult{}, Parked: map[string]Step{},
		Failed: r.failed, Released: r.carried.Released, Log: r.log,
	}
	done, parked := r.toCarry()
	size := 0
	for _, p := range parked {
		p.step.Error = Clip(p.step.Error, carriedError)
		if size += len(p.key) + len(p.step.Name) + len(p.step.Error) + 200; size <= maxParked {
			next.Parked[p.key] = p.step
		}
	}
	next.carryResults(done, r.started)
	return next
}

// doneCall is a call with a result, and parkedCall one that waits for a person.
type (
	doneCall struct {
		key, name string
		data      []byte // the marshaled Payload; empty for no result
		byHand    bool
	}
	parkedCall struct {
		key  string
		step Step
	}
)

// toCarry returns the calls that are done or parked: those of this run, and then
// those that it was given and has not come to, which are for the run after it.
func (r *Run) toCarry() (done []doneCall, parked []parkedCall) {
	names, made := keys{}, map[string]bool{}
	for _, c := range r.calls {
		key := names.next(c)
		made[key] = true
		switch {
		case c.done:
			data, err := marshaled(c.result)
			if err == nil {
				done = append(done, doneCall{key: key, name: c.name, data: data, byHand: c.origin == fromPerson})
			}
		case c.parked != nil:
			parked = append(parked, parkedCall{key, *c.parked})
		}
	}
	for _, key := range workflow.DeterministicKeys(r.carried.Parked) {
		if !made[key] {
			parked = append(parked, parkedCall{key, r.carried.Parked[key]})
		}
	}
	for _, key := range workflow.DeterministicKeys(r.carried.Done) {
		if !made[key] {
			name, _, _ := strings.Cut(key, ":")
			done = append(done, doneCall{key: key, name: name, data: r.carried.Done[key].Payload, byHand: r.carried.Done[key].ByHand})
		}
	}
	return done, parked
}

func marshaled(result *commonpb.Payload) ([]byte, error) {
	if result == nil {
		return nil, nil
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(untagged(result))
}

// carryResults keeps results up to maxDone, those that a person gave first. Of
// these, one that is too large parks again: its step must not run unasked.
func (next *carriedOver) carryResults(done []doneCall, now time.Time) {
	slices.SortStableFunc(done, func(a, b doneCall) int {
		switch {
		case a.byHand == b.byHand:
			return 0
		case a.byHand:
			return -1
		default:
			return 1
		}
	})
	size := 0
	for _, d := range done {
		needs := len(d.key) + 2*len(d.data) + 32
		switch {
		case size+needs <= maxDone:
			size += needs
			next.Done[d.key] = carriedResult{Payload: d.data, ByHand: d.byHand}
		case d.byHand:
			next.Parked[d.key] = Step{
				Name: d.name, Reason: event.ReasonFailed, Started: now, Since: now,
				Error: fmt.Sprintf("it was done by hand, and its result of %d bytes is too large to be kept; resolve it again, with a smaller one", len(d.data)),
			}
		}
	}
}

// readCarriedOver returns what the run before has passed on.
func (r *Run) readCarriedOver(ctx workflow.Context) carriedOver {
	var carried carriedOver
	if p := interceptor.WorkflowHeader(ctx)[carriedOverKey]; p != nil {
		if err := inWorkflow(ctx, r.options.DataConverter).FromPayload(p, &carried); err != nil {
			workflow.GetLogger(ctx).Error("what the run before has done cannot be read; it is done again", "err", err)
		}
	}
	return carried
}

// startOver closes the run in favour of a new one under the same Workflow Id.
func (r *Run) startOver(ctx workflow.Context) error {
	r.carries = true
	return workflow.NewContinueAsNewError(ctx, workflow.GetInfo(ctx).WorkflowType.Name, r.args...)
}

// NewContinueAsNewError passes on what is done, where this package starts the
// run over. A Workflow that continues as new of its own accord begins a new
// piece of work.
func (s *steps) NewContinueAsNewError(ctx workflow.Context, function any, args ...any) error {
	if s.run.carries {
		p, err := converter.GetDefaultDataConverter().ToPayload(s.run.carryOver())
		if err != nil {
			return err
		}
		interceptor.WorkflowHeader(ctx)[carriedOverKey] = p
	}
	return s.Next.NewContinueAsNewError(ctx, function, args...)
}
