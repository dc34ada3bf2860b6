package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

// operator is what the commands for parked runs do, on one namespace.
type operator struct {
	client    client.Client
	payloads  *command.Payloads
	namespace string
	by, why   string // who does it, and for what reason; both may be empty
}

// newOperator connects to Temporal. The caller calls close.
func newOperator(ctx context.Context, env command.Env) (*operator, error) {
	logger := slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	options, err := command.ClientOptions(env, logger)
	if err != nil {
		return nil, err
	}
	payloads, err := command.FindPayloads(ctx, *env.Config, env)
	if err != nil {
		return nil, err
	}
	if err := payloads.Wire(&options); err != nil {
		return nil, err
	}
	c, err := command.Dial(ctx, options)
	if err != nil {
		return nil, err
	}
	return &operator{client: c, payloads: payloads, namespace: options.Namespace}, nil
}

func (o *operator) close() {
	o.client.Close()
	_ = o.payloads.Close() // nothing is written that could be lost
}

// list returns the runs that the filter takes, those that stopped first in
// front. It reads all pages before it returns, so that it is one set of runs,
// whatever parks meanwhile.
func (o *operator) list(ctx context.Context, f filter) ([]eventrun.Run, error) {
	var runs []eventrun.Run
	now := time.Now()
	for r, err := range eventrun.List(ctx, o.client, f.query()) {
		if _, ok := errors.AsType[*serviceerror.InvalidArgument](err); ok {
			return nil, fmt.Errorf("list runs: %w; does namespace %q have the Search Attributes? `hookyard setup` adds them", err, o.namespace)
		}
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		if f.takes(r, now) {
			runs = append(runs, r)
		}
	}
	slices.SortStableFunc(runs, func(a, b eventrun.Run) int {
		return cmp.Or(a.StoppedAt().Compare(b.StoppedAt()), strings.Compare(a.ID, b.ID))
	})
	return runs, nil
}

// describe returns the current run of a Workflow Id. Unlike a list, it is
// never behind.
func (o *operator) describe(ctx context.Context, id string) (eventrun.Run, error) {
	described, err := o.client.DescribeWorkflowExecution(ctx, id, "")
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return eventrun.Run{}, fmt.Errorf("there is no run %q in namespace %q; its id is <source>:<event id>, and `hookyard parked` lists those that are parked", id, o.namespace)
	}
	if err != nil {
		return eventrun.Run{}, fmt.Errorf("run %q: %w", id, err)
	}
	r := eventrun.New(described.GetWorkflowExecutionInfo())
	r.TaskAttempt = described.GetPendingWorkflowTask().GetAttempt()
	return r, nil
}

// resetOf returns the run that a Reset has put in a run's place, "" where none
// has.
func (o *operator) resetOf(ctx context.Context, r eventrun.Run) (string, error) {
	described, err := o.client.DescribeWorkflowExecution(ctx, r.ID, r.RunID)
	if err != nil {
		return "", err
	}
	return described.GetWorkflowExtendedInfo().GetResetRunId(), nil
}

// history returns all events of a run.
func (o *operator) history(ctx context.Context, id, runID string) ([]*historypb.HistoryEvent, error) {
	var events []*historypb.HistoryEvent
	pages := o.client.GetWorkflowHistory(ctx, id, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for pages.HasNext() {
		e, err := pages.Next()
		if err != nil {
			return nil, fmt.Errorf("history of run %q: %w", id, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// eventOf is eventOf with the payload itself, where the history has a reference.
func (o *operator) eventOf(ctx context.Context, events []*historypb.HistoryEvent) (event.Event, *commonpb.Payload, error) {
	ev, p, err := eventOf(events)
	if err != nil {
		return ev, nil, err
	}
	p, err = o.payloads.Store.Resolve(ctx, p)
	return ev, p, err
}

// needParked returns why a person cannot decide about the run, or about that
// step of it; "" is any step.
func needParked(r eventrun.Run, step string) error {
	switch {
	case !r.Open():
		return fmt.Errorf("run %q is closed (%s), so nothing waits in it; `%s reset %s` runs it again from one of its steps", r.ID, status(r), command.Invocation(), r.ID)
	case !r.Parked() && r.TaskAttempt > 1:
		return fmt.Errorf("nothing is parked in run %q, but its Workflow Task keeps failing (attempt %d): no worker can go on with it; `%s parked show %s` says why", r.ID, r.TaskAttempt, command.Invocation(), r.ID)
	case !r.Parked():
		return fmt.Errorf("nothing is parked in run %q: it goes on by itself", r.ID)
	case step == "":
		return nil
	}
	if !r.MayHave(step) {
		return fmt.Errorf("step %q is not parked in run %q%s", step, r.ID, config.Suggest(step, r.StepNames()))
	}
	return nil
}

// status is a run's state in a word or two.
func status(r eventrun.Run) string {
	switch {
	case r.Open() && r.TaskAttempt > 1:
		return "its Workflow Task keeps failing"
	case r.Held():
		return "held"
	case r.Parked():
		return "parked"
	case r.Status == enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "timed out"
	default:
		return strings.ToLower(r.Status.String())
	}
}

// somebody is who runs this program, as far as the environment tells.
func somebody(env command.Env) string {
	name := "unknown"
	for _, variable := range []string{"USER", "LOGNAME", "USERNAME"} {
		if value, _ := env.LookupEnv(variable); value != "" {
			name = value
			break
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

// ask puts a question on the terminal and returns the answer, in lower case.
func ask(ctx context.Context, env command.Env, question string) (string, error) {
	fmt.Fprint(env.Stderr, question)
	answer := make(chan string, 1)
	// Reading from a terminal cannot be interrupted. Where ctx ends first the
	// program is about to end, and this with it.
	go func() {
		answer <- readLine(env.Stdin)
	}()
	select {
	case text := <-answer:
		return strings.ToLower(strings.TrimSpace(text)), nil
	case <-ctx.Done():
		fmt.Fprintln(env.Stderr)
		return "", ctx.Err()
	}
}

// readLine reads no further than the line's end: what follows is for the next
// question, or for an editor.
func readLine(in io.Reader) string {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := in.Read(b)
		if n == 1 && b[0] == '\n' || err != nil {
			return string(line)
		}
		line = append(line, b[:n]...)
	}
}
