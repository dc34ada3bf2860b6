// Package alert tells people about parked runs.
package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

// Activities tell people about parked runs. A worker registers the struct; its
// methods are the Activities. It may be used by many goroutines.
//
// A thousand runs that one outage parks are one trouble. So a run that parks
// is only reported, and a Workflow per source decides when to speak of it.
type Activities struct {
	// Client starts the Workflow and counts what is parked.
	Client Client
	// TaskQueue is where workers with these Activities poll.
	TaskQueue string
	// Config may be replaced while the worker runs. Until it is set, nothing
	// is reported.
	Config atomic.Pointer[Config]
}

// Config is the part of Activities that a reload changes.
type Config struct {
	// Channels are where messages go. With none, nothing is reported.
	Channels []*Channel
	// DigestEvery and EscalateAfter are the config's. A Workflow that is open
	// keeps those that it was started with.
	DigestEvery, EscalateAfter time.Duration
	// Links point into the Web UI.
	Links Links
}

// config returns the Config in use.
func (a *Activities) config() Config {
	if a == nil {
		return Config{}
	}
	if c := a.Config.Load(); c != nil {
		return *c
	}
	return Config{}
}

// Client is the part of client.Client that Activities uses.
type Client interface {
	ExecuteWorkflow(ctx context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	CountWorkflow(ctx context.Context, r *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error)
	ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
}

// Input is the argument of the Workflow event.AlertWorkflow. Histories hold it:
// its JSON names, and those of the types below, may be added to and not changed.
type Input struct {
	// Report is the run that parked first.
	Report        event.ParkedReport `json:"report"`
	DigestEvery   time.Duration      `json:"digest_every"`
	EscalateAfter time.Duration      `json:"escalate_after"`
	// Progress is set where a run continues an earlier one as new.
	Progress *Progress `json:"progress,omitempty"`
}

// Progress is what the Workflow knows of its source.
type Progress struct {
	// Told is how many runs the last message said are parked; 0 after one
	// that said that none is.
	Told int `json:"told"`
	// Seen is how many there were at the last look, and Zeros how often in a
	// row there were none.
	Seen  int `json:"seen"`
	Zeros int `json:"zeros"`
	// Pause is how long to wait before the next look.
	Pause time.Duration `json:"pause"`
	// NextDigest is when another number may be told.
	NextDigest time.Time `json:"next_digest"`
	Escalated  bool      `json:"escalated"`
}

// Count is what of a source is parked.
type Count struct {
	Runs int `json:"runs"`
	// Reasons counts the runs by why they are parked. It and Oldest are of
	// the 2,000 runs that started last, where more are parked.
	Reasons map[string]int `json:"reasons,omitempty"`
	// Oldest is the run that is parked the longest; nil where there is none.
	Oldest *Run `json:"oldest,omitempty"`
}

// Run is one of them.
type Run struct {
	WorkflowID string    `json:"workflow_id"`
	RunID      string    `json:"run_id"`
	Since      time.Time `json:"since"`
}

// ReportParked sees to it that somebody hears of a parked run. It starts the
// Workflow that tells of the source's parked runs; where that is running, it
// finds this one by itself. Without channels it does nothing.
//
// It is idempotent under the source, so a thousand reports start one Workflow
// and add nothing to its history. Every error is Unavailable.
func (a *Activities) ReportParked(ctx context.Context, r event.ParkedReport) error {
	config := a.config()
	if len(config.Channels) == 0 {
		return nil
	}
	_, err := a.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       event.AlertID(r.Source),
		TaskQueue:                a.TaskQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:            "alerts about " + r.Source,
	}, event.AlertWorkflow, Input{Report: r, DigestEvery: config.DigestEvery, EscalateAfter: config.EscalateAfter})
	if err != nil {
		return failure.Unavailable(ctx, 0, "start the alerts about source %q: %v", r.Source, err)
	}
	return nil
}

// parkedQuery finds the parked runs of a source.
func parkedQuery(source string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(source)
	return event.StateAttribute + `="` + event.StateParked + `" AND ` + event.SourceAttribute + `="` + quoted + `" AND ExecutionStatus="Running"`
}

// CountParked counts the parked runs of a source. A run that parked or went on
// within the last second or two may be counted as it was before.
//
// It only reads, so it may be attempted at will. Every error is Unavailable.
func (a *Activities) CountParked(ctx context.Context, source string) (Count, error) {
	counted, err := a.Client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: parkedQuery(source)})
	if err != nil {
		return Count{}, failure.Unavailable(ctx, 0, "count the parked runs of source %q: %v", source, err)
	}
	count := Count{Runs: int(counted.GetCount())}
	const page, pages = 500, 4
	var next []byte
	for range pages {
		if count.Runs == 0 {
			break
		}
		listed, err := a.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: parkedQuery(source), PageSize: page, NextPageToken: next,
		})
		if err != nil {
			return Count{}, failure.Unavailable(ctx, 0, "list the parked runs of source %q: %v", source, err)
		}
		for _, run := range listed.GetExecutions() {
			count.add(run)
		}
		if next = listed.GetNextPageToken(); len(next) == 0 {
			break
		}
	}
	return count, nil
}

func (c *Count) add(run *workflowpb.WorkflowExecutionInfo) {
	var reason string
	if json.Unmarshal(run.GetSearchAttributes().GetIndexedFields()[event.ReasonAttribute].GetData(), &reason) == nil && reason != "" {
		if c.Reasons == nil {
			c.Reasons = map[string]int{}
		}
		c.Reasons[reason]++
	}
	since := parkedSince(run)
	if c.Oldest == nil || since.Before(c.Oldest.Since) {
		c.Oldest = &Run{run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId(), since}
	}
}

// parkedSince returns when the first of a run's parked steps parked, which is
// in its memo; without one that can be read, when the run started.
func parkedSince(run *workflowpb.WorkflowExecutionInfo) time.Time {
	var parked struct {
		Steps []struct {
			Since time.Time `json:"since"`
		} `json:"steps"`
	}
	data := run.GetMemo().GetFields()[event.ParkedMemo].GetData()
	if err := json.Unmarshal(data, &parked); err != nil || len(parked.Steps) == 0 {
		return run.GetStartTime().AsTime()
	}
	since := parked.Steps[0].Since
	for _, step := range parked.Steps {
		if step.Since.Before(since) {
			since = step.Since
		}
	}
	return since.UTC()
}

// SendAlert sends a message to every channel, all at once. One that fails does
// not keep the others from theirs, and the next attempt is for it alone.
//
// It is idempotent as far as attempts remember which channels took the
// message: one whose answer is lost, or that answers late, gets it again.
// Every error is Unavailable. It names the channels and holds no URL.
func (a *Activities) SendAlert(ctx context.Context, notice Notice) error {
	config := a.config()
	var told []string // the channels that took it, by name
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &told); err != nil {
			told = nil // a message twice is better than none
		}
	}
	left := slices.DeleteFunc(slices.Clone(config.Channels), func(c *Channel) bool { return slices.Contains(told, c.Name()) })
	var failed []string
	for i, err := range SendAll(ctx, left, notice.message(config.Links)) {
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", left[i].Name(), err))
			continue
		}
		told = append(told, left[i].Name())
	}
	if len(failed) == 0 {
		return nil
	}
	activity.RecordHeartbeat(ctx, told)
	return failure.Unavailable(ctx, 0, "%d of %d channels did not take the message: %s", len(failed), len(config.Channels), strings.Join(failed, "; "))
}
