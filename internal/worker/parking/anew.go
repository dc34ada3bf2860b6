package parking

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"
)

// call is one call of a step.
type call struct {
	name   string
	args   []any
	done   bool
	result *commonpb.Payload // nil where the step returns nothing
}

// legacy is what a run that starts over leaves to the next.
type legacy struct {
	// Done holds, by key, the calls that need not be made again, each with
	// the marshaled Payload of its result; empty where there is none.
	Done map[string][]byte `json:"done,omitempty"`
	// Failed is set where the function as a whole failed: the next run parks
	// before it enters it.
	Failed *Step `json:"failed,omitempty"`
	// Released is set where the run was held and is so no longer.
	Released bool `json:"released,omitempty"`
	// Log is who did what so far.
	Log []string `json:"log,omitempty"`
}

// legacyKey is the header in which it is left.
const legacyKey = "hookyard-legacy"

// maxDone is how many bytes of results are left, since a start may be 2 MiB.
// What is beyond it runs again, under the same idempotency key.
const maxDone = 512 << 10

// keys name calls by what is called with which arguments, and by how often it
// was before. Where the arguments cannot be encoded, the SDK says so.
type keys map[string]int

func (k keys) next(c *call) string {
	sum := sha256.New()
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

// calling notes a call and, where the run before has made it, its result.
func (r *run) calling(name string, args []any) *call {
	c := &call{name: name, args: args}
	r.calls = append(r.calls, c)
	if len(r.legacy.Done) == 0 {
		return c
	}
	data, done := r.legacy.Done[r.keys.next(c)]
	if done && len(data) > 0 {
		c.result = &commonpb.Payload{}
		done = proto.Unmarshal(data, c.result) == nil
	}
	c.done = done
	return c
}

// finish notes that a call is done.
func (c *call) finish(result *commonpb.Payload) { c.done, c.result = true, result }

// leave returns what is left to the next run.
func (r *run) leave() legacy {
	left, names, size := legacy{Done: map[string][]byte{}, Failed: r.failed, Released: r.legacy.Released, Log: r.log}, keys{}, 0
	for _, c := range r.calls {
		key := names.next(c)
		if !c.done {
			continue
		}
		var data []byte
		if c.result != nil {
			var err error
			if data, err = (proto.MarshalOptions{Deterministic: true}).Marshal(c.result); err != nil {
				continue
			}
		}
		if size += len(key) + 2*len(data); size > maxDone {
			break
		}
		left.Done[key] = data
	}
	return left
}

// inherit returns what the run before has left.
func inherit(ctx workflow.Context) legacy {
	var left legacy
	if p := interceptor.WorkflowHeader(ctx)[legacyKey]; p != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(p, &left); err != nil {
			workflow.GetLogger(ctx).Error("what the run before has done cannot be read; it is done again", "err", err)
		}
	}
	return left
}

// startOver closes the run in favour of a new one under the same Workflow Id.
func (r *run) startOver(ctx workflow.Context) error {
	r.clear(ctx)
	r.leaves = true
	return workflow.NewContinueAsNewError(ctx, workflow.GetInfo(ctx).WorkflowType.Name, r.args...)
}

// NewContinueAsNewError leaves what is done to the next run, where this one
// starts over. A Workflow that continues as new of its own accord starts a new
// piece of work.
func (o *outbound) NewContinueAsNewError(ctx workflow.Context, function any, args ...any) error {
	if o.run.leaves {
		p, err := converter.GetDefaultDataConverter().ToPayload(o.run.leave())
		if err != nil {
			return err
		}
		interceptor.WorkflowHeader(ctx)[legacyKey] = p
	}
	return o.Next.NewContinueAsNewError(ctx, function, args...)
}
