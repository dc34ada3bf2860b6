package parking

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/event"
)

// amendable is the validator of the Update amend.
func (r *Run) amendable(ctx workflow.Context, a Amend) error {
	_, err := r.corrected(workflow.GetInfo(ctx).WorkflowType.Name, a)
	return err
}

// amend is the handler of the Update amend. The run starts over and keeps
// nothing of what was done with the payload before, even where that is the same:
// so it is the way out of every other repair that went wrong.
func (r *Run) amend(ctx workflow.Context, a Amend) (string, error) {
	payload, err := r.corrected(workflow.GetInfo(ctx).WorkflowType.Name, a)
	if err != nil {
		return "", err
	}
	r.args = []any{r.args[0], converter.NewRawValue(payload)}
	r.calls, r.failed = nil, nil
	r.carried.Done, r.carried.Parked = nil, nil
	r.note(ctx, event.UpdateAmend, "", a.By, a.Why)
	r.end(r.startOver)
	return fmt.Sprintf("starting over with a payload of %d bytes", len(payload.GetData())), nil
}

// corrected returns the amended payload, or what is wrong with it.
func (r *Run) corrected(workflowType string, a Amend) (*commonpb.Payload, error) {
	ev, ok := r.Event()
	if !ok || r.payload() == nil {
		return nil, errors.New("this Workflow has no event whose payload could be amended")
	}
	body, encoding := []byte(a.Payload), converter.MetadataEncodingJSON
	switch {
	case (len(a.Payload) == 0) == (a.Base64 == ""):
		return nil, errors.New(`give either "payload" or "payload_base64"`)
	case a.Base64 != "":
		var err error
		if body, err = base64.StdEncoding.DecodeString(a.Base64); err != nil {
			return nil, fmt.Errorf(`"payload_base64": %w`, err)
		}
		if !json.Valid(body) {
			encoding = converter.MetadataEncodingBinary
		}
	}
	if r.options.Fits != nil {
		if err := r.options.Fits(workflowType, ev, body); err != nil {
			return nil, err
		}
	}
	return &commonpb.Payload{
		Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding)},
		Data:     body,
	}, nil
}
