package parking

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"
)

// call is one call of a step and, once it is done, its result. A run that
// starts over passes its calls on, so that what is done is not done again.
type call struct {
	// Key is the step's type, a digest of its arguments, and how often it
	// was called with them before.
	Key  string `json:"key"`
	Nth  int    `json:"nth,omitempty"`
	Data []byte `json:"result,omitempty"` // of a Payload; none where the step returns nothing
}

// headerKey is the header in which calls are passed on.
const headerKey = "hookyard-finished"

// maxInherited is how much of them is passed on, in bytes: a start may be
// 2 MiB. What is beyond it runs again, under the same idempotency key.
const maxInherited = 512 << 10

// callOf identifies a call. Arguments that cannot be encoded are the SDK's to
// complain about.
func (r *run) callOf(name string, args []any) call {
	sum := sha256.New()
	if encoded, err := converter.GetDefaultDataConverter().ToPayloads(args...); err == nil {
		for _, p := range encoded.GetPayloads() {
			sum.Write(p.GetData())
			sum.Write([]byte{0})
		}
	}
	c := call{Key: name + ":" + hex.EncodeToString(sum.Sum(nil)[:16])}
	if r.calls == nil {
		r.calls = map[string]int{}
	}
	c.Nth = r.calls[c.Key]
	r.calls[c.Key]++
	return c
}

// resultOf returns the result of a call that an earlier run has made.
func (r *run) resultOf(c call) (result *commonpb.Payload, done bool) {
	for _, f := range r.finished {
		if f.Key != c.Key || f.Nth != c.Nth {
			continue
		}
		if len(f.Data) == 0 {
			return nil, true
		}
		result = &commonpb.Payload{}
		return result, proto.Unmarshal(f.Data, result) == nil
	}
	return nil, false
}

// finish keeps a call's result.
func (r *run) finish(c call, result *commonpb.Payload) {
	if result != nil {
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(result)
		if err != nil {
			return // it will run again
		}
		c.Data = data
	}
	r.finished = append(r.finished, c)
}

// isLong reports a history that should not get longer.
func (r *run) isLong(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

// startOver closes the run in favour of a new one under the same Workflow Id.
func (r *run) startOver(ctx workflow.Context) error {
	r.parked = nil
	r.show(ctx)
	r.passesOn = true
	return workflow.NewContinueAsNewError(ctx, workflow.GetInfo(ctx).WorkflowType.Name, r.args...)
}

// NewContinueAsNewError passes on what is done, where the run starts over by
// itself. A Workflow that continues as new of its own accord starts a new
// piece of work.
func (o *outbound) NewContinueAsNewError(ctx workflow.Context, function any, args ...any) error {
	if data := o.run.inheritance(); data != nil && o.run.passesOn {
		interceptor.WorkflowHeader(ctx)[headerKey] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)},
			Data:     data,
		}
	}
	return o.Next.NewContinueAsNewError(ctx, function, args...)
}

// inheritance is what is passed on: the calls, the latest left out where they
// are too much.
func (r *run) inheritance() []byte {
	for n := len(r.finished); n > 0; n /= 2 {
		if data, err := json.Marshal(r.finished[:n]); err == nil && len(data) <= maxInherited {
			return data
		}
	}
	return nil
}

// inherited returns what the run before has passed on.
func inherited(ctx workflow.Context) []call {
	p := interceptor.WorkflowHeader(ctx)[headerKey]
	if p == nil {
		return nil
	}
	var calls []call
	if err := json.Unmarshal(p.GetData(), &calls); err != nil {
		workflow.GetLogger(ctx).Error("what the run before has done cannot be read; it is done again", "err", err)
		return nil
	}
	return calls
}
