// Package reconcile asks providers what has happened, and has what never came
// started. Its Workflow is in package sweep; this package has its Activities.
package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/reconcile/sweep"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

// Source is a source that is reconciled.
type Source struct {
	API *provider.Reconciler
	// Window is how far back a sweep looks, and Settle how old an event has to
	// be before it counts as missing.
	Window, Settle time.Duration
	// OwnURL says that the operator has given the address of the API, so that
	// it may be any address.
	OwnURL bool
	// Key is the key of the API. It is taken out of whatever the API says.
	Key string
	// Event returns the Event of a listed delivery, and whether the source
	// wants it.
	Event func(d *provider.Delivery, identity provider.Identity) (ev event.Event, wanted bool)
	// Start starts the Event's Workflow. It returns false where it is there.
	Start func(ctx context.Context, ev event.Event, identity provider.Identity) (started bool, err error)
}

// Activities are those of a sweep. A worker registers the struct; its methods
// are the Activities. It may be used by many goroutines.
type Activities struct {
	// Source returns the source of that name as the config has it now, or an
	// error that says why it is not reconciled.
	Source func(name string) (*Source, error)
	Client Client
	HTTP   *Clients
	// Tell has people told.
	Tell func(ctx context.Context, n sweep.Notice) error
	// Events counts events by source and outcome, and Pages pages by source
	// and result.
	Events, Pages metric.Int64Counter
	// Now is the clock; nil for time.Now.
	Now func() time.Time
}

// Client is the part of client.Client that Activities uses.
type Client interface {
	ListWorkflow(ctx context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error)
	DescribeWorkflowExecution(ctx context.Context, workflowID, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error)
}

func (a *Activities) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// SweepPage reads one page of the list, and has what is missing started or
// delivered again. What Temporal knows costs one list query.
//
// It may be attempted at will: an event is started once, and an attempt does
// not ask again for what the one before has asked for, as far as that is known.
// An API that cannot be reached, or says to come back later, is Unavailable,
// with the wait that it asks for; every other refusal is permanent.
func (a *Activities) SweepPage(ctx context.Context, in sweep.PageInput) (sweep.PageResult, error) {
	page, err := a.sweepPage(ctx, in)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	if refused, ours := errors.AsType[*refusedError](err); ours {
		err = refused.cause // the SDK knows its own errors alone
	}
	a.count(ctx, a.Pages, in.Source, "result", result, 1)
	return page, err
}

func (a *Activities) sweepPage(ctx context.Context, in sweep.PageInput) (sweep.PageResult, error) {
	source, err := a.Source(in.Source)
	if err != nil {
		return sweep.PageResult{}, failure.Permanent(failure.TypeNotConfigured, "%v", err)
	}
	at, err := cursor(source, in)
	if err != nil {
		return sweep.PageResult{}, failure.Permanent(failure.TypeBadPayload, "the cursor of the sweep cannot be read: %v", err)
	}
	var asked []string // by an earlier attempt of this Activity
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &asked); err != nil {
			asked = nil // to ask twice is better than not at all
		}
	}
	p := &page{activities: a, source: source, at: at, in: in, result: sweep.PageResult{Asked: asked, Result: sweep.Result{From: at.From, To: at.To}}}
	stop := p.keepBeating(ctx)
	defer stop()
	if err := p.read(ctx); err != nil {
		return sweep.PageResult{}, err
	}
	if err := p.settle(ctx); err != nil {
		return sweep.PageResult{}, err
	}
	p.countAll(ctx)
	return p.result, nil
}

// cursor is where the page begins.
func cursor(s *Source, in sweep.PageInput) (at provider.Cursor, err error) {
	if len(in.Cursor) > 0 {
		err = json.Unmarshal(in.Cursor, &at)
		return at, err
	}
	since := in.Since
	if since == 0 {
		since = s.Window
	}
	return provider.Cursor{From: in.Began.Add(-min(since, s.API.Keeps())), To: in.Began.Add(-s.Settle)}, nil
}

// page is one page of a list, while it is worked on.
type page struct {
	activities *Activities
	source     *Source
	at         provider.Cursor
	in         sweep.PageInput
	items      []provider.Item
	found      []found
	result     sweep.PageResult
	asked      atomic.Pointer[[]string] // of the result, for heartbeats
}

// beatEvery is how often the server hears that the worker is alive.
const beatEvery = 3 * time.Second

// beat tells the server what was asked for, so that another attempt need not ask
// again.
func (p *page) beat(ctx context.Context) {
	asked := slices.Clone(p.result.Asked)
	p.asked.Store(&asked)
	activity.RecordHeartbeat(ctx, asked)
}

// keepBeating does so until stop is called, however long an answer takes.
func (p *page) keepBeating(ctx context.Context) (stop func()) {
	p.beat(ctx)
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx, *p.asked.Load())
			}
		}
	})
	return func() {
		cancel()
		beating.Wait()
	}
}

// found is an event of the page that the source wants.
type found struct {
	item     int // of page.items
	event    event.Event
	identity provider.Identity
}

// read gets the page, and finds the events in it.
func (p *page) read(ctx context.Context) error {
	a, api := p.activities, p.source.API
	req, err := api.Request(ctx, p.at)
	if err != nil {
		return failure.Permanent(failure.TypeRefused, "page of the list: %v", err)
	}
	header, body, err := a.HTTP.get(ctx, p.source, req, a.now())
	if err != nil {
		return err
	}
	items, next, err := api.Read(p.at, header, body)
	if err != nil {
		return failure.Permanent(failure.TypeRefused, "page of the list: %v", err)
	}
	if next != nil {
		if p.result.Next, err = json.Marshal(next); err != nil {
			return failure.Permanent(failure.TypeBadPayload, "cursor of the next page: %v", err)
		}
	}
	for i := range items {
		if err := p.complete(ctx, &items[i]); err != nil {
			return err
		}
		if items[i].Err != nil {
			p.unread(items[i].Err)
			continue
		}
		for _, identity := range items[i].Events {
			p.result.Result.Listed++
			ev, wanted := p.source.Event(items[i].Delivery, identity)
			if !wanted {
				p.result.Result.Ignored++
				continue
			}
			p.found = append(p.found, found{i, ev, identity})
		}
	}
	p.items = items
	return nil
}

// complete gets the rest of an item, where the list does not have it.
func (p *page) complete(ctx context.Context, item *provider.Item) error {
	a, api := p.activities, p.source.API
	var detail []byte
	req, err := api.DetailRequest(ctx, p.at, *item)
	if err != nil {
		item.Err = err
	}
	if req != nil && item.Err == nil {
		if _, detail, err = a.HTTP.get(ctx, p.source, req, a.now()); err != nil {
			return err
		}
	}
	api.Complete(ctx, p.at, item, detail, a.now())
	return nil
}

func (p *page) unread(why error) {
	p.result.Result.Unread++
	if p.result.Result.Why == "" {
		p.result.Result.Why = failure.Printable(why.Error(), 300)
	}
}

// settle has what is missing started, or delivered again.
func (p *page) settle(ctx context.Context) error {
	ids := make([]string, len(p.found))
	for i, f := range p.found {
		ids[i] = f.event.WorkflowID()
	}
	known, err := p.activities.known(ctx, ids)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, f := range p.found {
		id := ids[i]
		if known[id] || seen[id] { // one event may be listed twice, as two deliveries
			p.result.Result.Known++
			continue
		}
		seen[id] = true
		if err := p.missing(ctx, f, id); err != nil {
			return err
		}
	}
	return nil
}

// missing does what is to be done about an event that the list query has not
// found. It may have been started a moment ago: the start decides, and before a
// redelivery a question that is never behind.
func (p *page) missing(ctx context.Context, f found, id string) error {
	r := &p.result.Result
	missed := sweep.Event{ID: f.event.ID, Type: f.event.Type, At: p.items[f.item].At}
	switch redelivers := p.source.API.Redelivers(); {
	case p.in.DryRun, redelivers:
		there, err := p.activities.there(ctx, id)
		if err != nil {
			return err
		}
		if there {
			r.Known++
			return nil
		}
		if p.in.DryRun {
			r.Add(missed)
			return nil
		}
		return p.redeliver(ctx, f, id, missed)
	default:
		started, err := p.source.Start(ctx, f.event, f.identity)
		if err != nil {
			return failure.Unavailable(ctx, 0, "start %s: %v", id, err)
		}
		if !started {
			r.Known++
			return nil
		}
		r.Add(missed)
		r.Started++
		return nil
	}
}

func (p *page) redeliver(ctx context.Context, f found, id string, missed sweep.Event) error {
	r := &p.result.Result
	if slices.Contains(p.result.Asked, id) {
		r.Add(missed)
		r.Redelivered++
		return nil
	}
	a := p.activities
	req, err := p.source.API.RedeliverRequest(ctx, p.at, p.items[f.item])
	if err == nil {
		_, _, err = a.HTTP.get(ctx, p.source, req, a.now())
	}
	r.Add(missed)
	var refused *refusedError
	switch {
	case err == nil:
		r.Redelivered++
		p.result.Asked = append(p.result.Asked, id)
		p.beat(ctx)
	case req == nil, errors.As(err, &refused) && refused.ofItem():
		p.unread(err) // the others are asked for all the same
	default:
		return err
	}
	return nil
}

func (p *page) countAll(ctx context.Context) {
	if p.in.DryRun {
		return
	}
	r := p.result.Result
	for outcome, n := range map[string]int{"known": r.Known, "ignored": r.Ignored, "started": r.Started, "redelivered": r.Redelivered, "unread": r.Unread} {
		p.activities.count(ctx, p.activities.Events, p.in.Source, "outcome", outcome, n)
	}
}

func (*Activities) count(ctx context.Context, c metric.Int64Counter, source, label, value string, n int) {
	if c != nil {
		c.Add(ctx, int64(n), metric.WithAttributes(attribute.String("source", source), attribute.String(label, value)))
	}
}

// atOnce is how many Workflow Ids one query names: each may have 200 bytes.
const atOnce = 200

// known returns which of the Workflow Ids have a run, as Temporal lists them. A
// run that started within the last second or two may not be among them.
func (a *Activities) known(ctx context.Context, ids []string) (map[string]bool, error) {
	known := map[string]bool{}
	for len(ids) > 0 {
		some := ids[:min(len(ids), atOnce)]
		ids = ids[len(some):]
		quoted := make([]string, len(some))
		for i, id := range some {
			quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(id) + `"`
		}
		// One id may have several runs; of what no longer fits, the start tells.
		listed, err := a.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowId IN (" + strings.Join(quoted, ", ") + ")", PageSize: 1000,
		})
		if err != nil {
			return nil, failure.Unavailable(ctx, 0, "list the runs of a page: %v", err)
		}
		for _, run := range listed.GetExecutions() {
			known[run.GetExecution().GetWorkflowId()] = true
		}
	}
	return known, nil
}

// there reports whether a Workflow Id has a run. It is never behind.
func (a *Activities) there(ctx context.Context, id string) (bool, error) {
	_, err := a.Client.DescribeWorkflowExecution(ctx, id, "")
	if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
		return false, nil
	}
	if err != nil {
		return false, failure.Unavailable(ctx, 0, "look for %s: %v", id, err)
	}
	return true, nil
}

// SweepArrived returns which of the Workflow Ids have no run. It only reads.
func (a *Activities) SweepArrived(ctx context.Context, ids []string) ([]string, error) {
	known, err := a.known(ctx, ids)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, id := range ids {
		if known[id] {
			continue
		}
		there, err := a.there(ctx, id)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// TellOfSweep has people told. A second attempt may tell somebody twice.
func (a *Activities) TellOfSweep(ctx context.Context, n sweep.Notice) error {
	if err := a.Tell(ctx, n); err != nil {
		return failure.Unavailable(ctx, 0, "%v", err)
	}
	return nil
}
