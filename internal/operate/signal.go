package operate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/grpc/codes"

	"github.com/hookyard/hookyard/internal/eventrun"
)

// signal sends a signal to a parked run, once. Temporal drops a signal with a
// request id that it has seen, and the id stands for what is parked and what
// is to be done about it: the same command, given twice, resumes a step once,
// even where the worker has not yet got to the first signal.
func (o *operator) signal(ctx context.Context, r eventrun.Run, name string, input any, about ...string) error {
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(input)
	if err != nil {
		return err
	}
	if err := o.payloads.Store.Offload(ctx, payloads); err != nil {
		return err
	}
	request := &workflowservice.SignalWorkflowExecutionRequest{
		Namespace:         o.namespace,
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: r.ID, RunId: r.RunID},
		SignalName:        name,
		Input:             payloads,
		Identity:          o.by,
		RequestId:         signalID(r, name, about),
	}
	// The request id also makes it safe to send again what may have arrived.
	const most = 5
	for attempt := range most {
		err = o.sendSignal(ctx, request)
		if err == nil || !transient(err) {
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond << attempt):
		}
	}
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return errAlreadyDone // it was there a moment ago
	}
	if err != nil {
		return fmt.Errorf("run %q: %w", r.ID, err)
	}
	return nil
}

func (o *operator) sendSignal(ctx context.Context, request *workflowservice.SignalWorkflowExecutionRequest) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := o.client.WorkflowService().SignalWorkflowExecution(ctx, request)
	return err
}

func signalID(r eventrun.Run, name string, about []string) string {
	sum := sha256.New()
	for _, part := range append([]string{name}, about...) {
		fmt.Fprintf(sum, "%d:%s\n", len(part), part)
	}
	for _, s := range r.Steps {
		fmt.Fprintf(sum, "%q %s\n", s.Name, s.Since.UTC().Format(time.RFC3339Nano))
	}
	return "hookyard-" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// transient reports an error that another attempt may not meet.
func transient(err error) bool {
	switch serviceerror.ToStatus(err).Code() {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Aborted:
		return true
	default:
		return false
	}
}
