package parking

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// origin is where the result of a call comes from.
type origin int

const (
	fromStep    origin = iota // the step returned it in this run
	fromPerson                // a person resolved the step with it
	fromCarried               // the step returned it in a run that this one continues
)

// callTag is the metadata of a result that does not come from a step of this
// run. It holds the call's number.
const callTag = "hookyard-call"

// tagged returns the result for the Workflow's future.
func (c *call) tagged() any {
	if c.result == nil {
		return nil
	}
	result := c.result
	if c.origin != fromStep {
		metadata := maps.Clone(result.GetMetadata())
		if metadata == nil {
			metadata = map[string][]byte{}
		}
		metadata[callTag] = []byte(strconv.Itoa(c.number))
		result = &commonpb.Payload{Metadata: metadata, Data: result.GetData()}
	}
	return &commonpb.Payloads{Payloads: []*commonpb.Payload{result}}
}

func untagged(p *commonpb.Payload) *commonpb.Payload {
	if _, is := p.GetMetadata()[callTag]; !is {
		return p
	}
	metadata := maps.Clone(p.GetMetadata())
	delete(metadata, callTag)
	return &commonpb.Payload{Metadata: metadata, Data: p.GetData()}
}

// payloadOf returns JSON that a person gave as a step's result.
func payloadOf(result []byte) *commonpb.Payload {
	if len(result) == 0 || string(result) == "null" {
		return nil
	}
	return &commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)},
		Data:     result,
	}
}

// results is the DataConverter of a Workflow's function. A result of a step is
// decoded only when the Workflow asks for it, so only here does it show that a
// person's result, or one of an earlier run, does not fit the Workflow's code.
// Then it is the step that has to be repaired, and not the Workflow: Get waits
// for that.
type results struct {
	converter.DataConverter
	run *Run
	ctx workflow.Context // of the coroutine that decodes; nil outside of one
}

// WithWorkflowContext implements workflow.ContextAware.
func (d *results) WithWorkflowContext(ctx workflow.Context) converter.DataConverter {
	return &results{inWorkflow(ctx, d.DataConverter), d.run, ctx}
}

// inWorkflow is a DataConverter as the SDK uses it in a Workflow.
func inWorkflow(ctx workflow.Context, c converter.DataConverter) converter.DataConverter {
	if aware, ok := c.(workflow.ContextAware); ok {
		return aware.WithWorkflowContext(ctx)
	}
	return c
}

// WithContext implements workflow.ContextAware.
func (d *results) WithContext(ctx context.Context) converter.DataConverter {
	if aware, ok := d.DataConverter.(workflow.ContextAware); ok {
		return aware.WithContext(ctx)
	}
	return d.DataConverter
}

// FromPayloads implements converter.DataConverter.
func (d *results) FromPayloads(payloads *commonpb.Payloads, to ...any) error {
	c := d.tagged(payloads)
	if c == nil || len(to) != 1 {
		return d.DataConverter.FromPayloads(payloads, to...)
	}
	for {
		if c.result == nil { // it was resolved anew, with nothing
			return nil
		}
		err := d.FromPayload(untagged(c.result), to[0])
		if c.origin == fromStep { // a result of this run's own is the Workflow's to decode
			return err
		}
		wrong, recordErr := d.recorded(c, err)
		if recordErr != nil {
			return recordErr
		}
		if wrong == "" {
			return err
		}
		if err := d.run.repair(d.ctx, c, wrong); err != nil {
			return err
		}
	}
}

// tagged returns the call whose result the payloads are, if its result does not
// come from a step of this run.
func (d *results) tagged(payloads *commonpb.Payloads) *call {
	if d.ctx == nil || len(payloads.GetPayloads()) != 1 {
		return nil
	}
	tag, is := payloads.GetPayloads()[0].GetMetadata()[callTag]
	if !is {
		return nil
	}
	number, err := strconv.Atoi(string(tag))
	if err != nil || number < 0 || number >= len(d.run.calls) {
		return nil
	}
	return d.run.calls[number]
}

// recorded writes into the history whether the result fits, and reads it there
// in a replay: another type in the code of tomorrow must not change what this
// run has done.
func (d *results) recorded(c *call, decodeErr error) (wrong string, err error) {
	err = workflow.SideEffectWithOptions(d.ctx, workflow.SideEffectOptions{Summary: "does the result of " + event.Code(c.name) + " fit?"},
		func(workflow.Context) any {
			if decodeErr == nil {
				return ""
			}
			return Clip(decodeErr.Error(), maxError)
		}).Get(&wrong)
	return wrong, err
}

// repair gets another result for a call whose result does not fit. What a
// person did by hand never runs again unasked, so the call parks. A result of
// an earlier run is dropped, and the step runs again.
func (r *Run) repair(ctx workflow.Context, c *call, wrong string) error {
	var attempt workflow.Future
	c.done = false
	if c.origin == fromPerson {
		c.parked = &Step{Name: c.name, Reason: event.ReasonFailed, Started: workflow.Now(ctx), Error: Clip(fmt.Sprintf(
			"the result that was given by hand does not fit: %s; resolve the step with one that fits, or resume it to have it run", wrong), maxError)}
	} else {
		r.noteLine(ctx, fmt.Sprintf("the result of %s from before does not fit the code, so it runs again: %s", event.Code(c.name), event.Code(wrong)))
		workflow.GetLogger(ctx).Warn("a result of an earlier run does not fit; the step runs again", "step", c.name, "err", wrong)
		attempt = c.attempt()
	}
	return r.settle(ctx, c, attempt)
}
