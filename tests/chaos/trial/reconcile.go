package trial

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
)

// held is what the system holds when all is over.
type held struct {
	runs  map[string][]enumspb.WorkflowExecutionStatus // by Workflow Id
	rows  map[string]int                               // in the ledger, by Workflow Id
	mails map[string]int                               // by the start of the file's name
}

// look reads what Temporal, the ledger and the mail folder hold.
func (s *system) look(ctx context.Context, events []Event) (*held, error) {
	h := &held{}
	var err error
	if h.runs, err = s.runs(ctx); err != nil {
		return nil, err
	}
	for _, e := range events {
		// The list can be behind, the description cannot.
		if len(h.runs[e.WorkflowID()]) > 0 {
			continue
		}
		described, err := s.client.DescribeWorkflowExecution(ctx, e.WorkflowID(), "")
		if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("describe run %q: %w", e.WorkflowID(), err)
		}
		h.runs[e.WorkflowID()] = append(h.runs[e.WorkflowID()], described.GetWorkflowExecutionInfo().GetStatus())
	}
	if h.rows, err = s.ledger.rows(ctx); err != nil {
		return nil, err
	}
	h.mails, err = countMails(filepath.Join(s.folder, "mail"))
	return h, err
}

// runs lists every run of the namespace.
func (s *system) runs(ctx context.Context) (map[string][]enumspb.WorkflowExecutionStatus, error) {
	found := map[string][]enumspb.WorkflowExecutionStatus{}
	request := &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000}
	for {
		page, err := s.client.ListWorkflow(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		for _, run := range page.GetExecutions() {
			id := run.GetExecution().GetWorkflowId()
			found[id] = append(found[id], run.GetStatus())
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return found, nil
		}
	}
}

// countMails counts the files of a mail folder by their names, up to the
// digest at their end.
func countMails(folder string) (map[string]int, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, ".eml") {
			counts[name[:strings.LastIndexByte(name, '-')]]++
		}
	}
	return counts, nil
}

// mailName is how the file of a mail begins.
func mailName(e Event) string { return strings.NewReplacer(":", "_").Replace(e.Key("SendReceipt")) }

// Range is the least and the most of a number over all events.
type Range struct {
	Least int `json:"least"`
	Most  int `json:"most"`
}

// with is the range with one more number in it.
func (r Range) with(n int, first bool) Range {
	if first {
		return Range{n, n}
	}
	return Range{min(r.Least, n), max(r.Most, n)}
}

func (r Range) String() string {
	if r.Least == r.Most {
		return fmt.Sprint(r.Least)
	}
	return fmt.Sprintf("%d to %d", r.Least, r.Most)
}

// reconcile compares what the sender was told with what is held, and writes
// into the report what it finds.
func reconcile(r *Report, events []Event, told map[string]*answers, h *held, d *downstream) {
	for i, e := range events {
		id := e.WorkflowID()
		a, sent := told[id]
		if sent {
			r.Sent++
		} else {
			a = &answers{}
		}
		r.reconcileAnswers(id, a, len(h.runs[id]))
		r.Workflows = r.Workflows.with(len(h.runs[id]), i == 0)
		r.reconcileRuns(id, h.runs[id])
		effects := countEffects(r, e, h, d)
		r.Effects = r.Effects.with(effects, i == 0)
		if effects != 1 {
			r.breaks("%s had %d effects", id, effects)
		}
	}
	r.reconcileStrangers(events, h, d)
}

// reconcileAnswers looks at what was told about one event.
func (r *Report) reconcileAnswers(id string, a *answers, runs int) {
	r.Deliveries += a.Deliveries
	if a.Acknowledged.IsZero() {
		r.breaks("%s was never acknowledged, in %d deliveries", id, a.Deliveries)
	} else {
		r.Acknowledged++
		if runs == 0 {
			r.Missing++
			r.breaks("%s was acknowledged, and there is no Workflow of it", id)
		}
	}
	if a.Accepted > 1 {
		r.breaks("%s was answered \"accepted\" %d times: it was started as often", id, a.Accepted)
	}
	r.Journaled += a.Journaled
	if r.Journal && a.Accepted > 0 || !r.Journal && a.Journaled > 0 {
		r.breaks("%s was answered \"accepted\" %d times and \"journaled\" %d times; whether its source has a journal: %t", id, a.Accepted, a.Journaled, r.Journal)
	}
	if a.Other > 0 {
		r.breaks("%s was answered neither \"accepted\", \"journaled\" nor \"duplicate\" by %d deliveries that were acknowledged", id, a.Other)
	}
}

// reconcileRuns looks at the runs of one event.
func (r *Report) reconcileRuns(id string, runs []enumspb.WorkflowExecutionStatus) {
	if len(runs) > 1 {
		r.breaks("%s has %d Workflows", id, len(runs))
	}
	for _, status := range runs {
		if status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			r.breaks("%s has not completed: its Workflow is %s", id, strings.ToLower(status.String()))
		}
	}
}

// reconcileStrangers looks for what belongs to no event that was sent.
func (r *Report) reconcileStrangers(events []Event, h *held, d *downstream) {
	known := map[string]bool{} // whatever may be there
	for _, e := range events {
		for _, name := range []string{e.WorkflowID(), mailName(e), e.Key("Forward"), e.Key("TriggerBuild")} {
			known[name] = true
		}
	}
	strange := func(what string, names iter.Seq[string]) {
		for name := range names {
			if !known[name] {
				r.breaks("%s of %q, an event that was never sent", what, name)
			}
		}
	}
	strange("there is a Workflow", maps.Keys(h.runs))
	strange("the ledger has a row", maps.Keys(h.rows))
	strange("there is a mail", maps.Keys(h.mails))
	strange("the downstream service was called under the key", slices.Values(d.keys()))
}

// countEffects returns how often an event had the effect that its source has.
func countEffects(r *Report, e Event, h *held, d *downstream) int {
	switch e.Source {
	case payments:
		r.Rows += h.rows[e.WorkflowID()]
		r.Mails += h.mails[mailName(e)]
		if n := h.mails[mailName(e)]; n != 1 {
			r.breaks("%s has %d mails", e.WorkflowID(), n)
		}
		return h.rows[e.WorkflowID()]
	case forwards:
		return called(r, d, e.Key("Forward"), sha256.Sum256(e.body(nil)), &r.Forwards)
	default:
		return called(r, d, e.Key("TriggerBuild"), [sha256.Size]byte{}, &r.Builds)
	}
}

func called(r *Report, d *downstream, key string, sum [sha256.Size]byte, count *int) int {
	done, calls, err := d.took(key, sum)
	if err != nil {
		r.breaks("%v", err)
	}
	r.Repeated += max(calls-1, 0)
	if !done {
		return 0
	}
	*count++
	return 1
}
