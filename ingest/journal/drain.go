package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/store"
)

// The reasons for which a record is set aside.
const (
	asideDamaged  = "damaged"   // its checksum is wrong
	asideTooLarge = "too-large" // Temporal never stores it
	asideRefused  = "refused"   // Temporal refuses it for another reason, for ever
	asideTooOld   = "too-old"   // Temporal may have forgotten that it started it
	asideFailing  = "failing"   // it fails, while others start
)

const (
	// startWithin bounds one start.
	startWithin = 10 * time.Second
	// fresh is how long a record may have waited to be no backlog.
	fresh = 10 * time.Second
	// maxFailures is how often the start of a record may fail while those of
	// others do not.
	maxFailures = 5
	// manyStarts is how many others have to start between two failures that
	// may be Temporal's, for the record to be to blame.
	manyStarts = 20
	// flushEvery and flushAt say when records that were started are deleted.
	flushEvery = 100 * time.Millisecond
	flushAt    = 256
	// lookEvery is how often the drain lists the sources, for what other
	// processes have appended.
	lookEvery = time.Second
)

// drain starts what is in the journal, until ctx ends. It is one goroutine that
// decides, and one for each start that is under way.
func (j *Journal) drain(ctx context.Context) {
	d := &drain{j: j, pace: newPace(j.o.MaxInFlight), lines: map[string]*line{}, results: make(chan result, j.o.MaxInFlight), failures: map[int64]failures{}}
	d.lease = newLease(j)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		d.fillPlaces(ctx)
		select {
		case <-ctx.Done():
		case <-j.arrivals.wake:
		case r := <-d.results:
			d.ended(ctx, r)
		case <-tick.C:
		}
		d.flush(ctx, false)
	}
	for d.inFlight > 0 {
		d.ended(context.WithoutCancel(ctx), <-d.results)
	}
	d.flush(context.WithoutCancel(ctx), true)
	d.lease.release(context.WithoutCancel(ctx))
}

// drain is the state of the drain, of one goroutine.
type drain struct {
	j        *Journal
	pace     *pace
	lease    *lease
	tables   *Tables // those that lines were read from
	lines    map[string]*line
	order    []string // the sources, in turn
	inFlight int
	results  chan result
	done     []int64
	flushed  time.Time
	looked   time.Time
	failures map[int64]failures // by Seq
	starts   int                // that succeeded, to tell a record that fails from a Temporal that is away
	maxAge   time.Duration
	aged     time.Time // when maxAge was last asked for
	behind   bool      // the next try is of a record behind those that have failed
	waiting  bool      // said that Temporal is away
}

// line is what is known of a source.
type line struct {
	source   string
	next     []Record // read, and not started
	after    int64    // up to where it was read
	inFlight int
	more     bool      // there may be more behind
	late     bool      // something arrived since it was last read from the beginning
	began    time.Time // when it was last read from the beginning
}

// failures counts those starts of a record that failed while others did not.
type failures struct {
	count  int
	starts int // of the drain, at the last one
}

// result is what became of a start.
type result struct {
	record Record
	line   *line // that the record was read from
	took   time.Duration
	err    error
}

// fillPlaces starts as many records as may start now.
func (d *drain) fillPlaces(ctx context.Context) {
	t := d.j.tables.Load()
	if t != d.tables { // opened anew: what was read may be gone, or be started already
		d.tables, d.lines, d.order, d.done, d.failures = t, map[string]*line{}, nil, nil, map[int64]failures{}
	}
	if t == nil {
		return
	}
	d.look(ctx)
	for free := d.pace.free(d.inFlight, time.Now()); free > 0; free-- {
		l, record, ok := d.next(ctx)
		if !ok {
			return
		}
		d.start(ctx, l, record)
	}
}

// look finds the sources that have something.
func (d *drain) look(ctx context.Context) {
	names, list := d.j.arrivals.take()
	if list || time.Since(d.looked) > lookEvery {
		d.looked = time.Now()
		found, err := d.tables.sources(ctx)
		if err != nil {
			d.trouble(ctx, err)
			return
		}
		d.lease.renew(ctx, d.tables, found)
		for _, name := range found {
			names[name] = true
		}
	}
	for name := range names {
		l := d.lines[name]
		if l == nil {
			l = &line{source: name}
			d.lines[name] = l
			d.order = append(d.order, name)
		}
		l.more, l.late = true, true
	}
}

// next returns the next record and its line: of the sources in turn, and of a
// source in the order of arrival.
func (d *drain) next(ctx context.Context) (*line, Record, bool) {
	for range len(d.order) {
		l := d.lines[d.order[0]]
		d.order = append(d.order[1:], l.source)
		if !d.lease.holds(l.source) {
			l.next, l.after, l.more, l.late = nil, 0, true, true
			continue
		}
		// Records that have failed leave every second try to the first one behind
		// them, which finds out whether they or Temporal are to blame.
		untried := slices.IndexFunc(l.next, func(r Record) bool { return d.failures[r.Seq].count == 0 })
		if untried < 0 && l.more {
			untried = len(l.next)
			if !d.read(ctx, l) {
				return nil, Record{}, false
			}
		}
		if len(l.next) == 0 {
			continue
		}
		at := 0
		if d.behind = !d.behind; d.behind && untried > 0 && untried < len(l.next) {
			at = untried
		}
		record := l.next[at]
		l.next = slices.Delete(l.next, at, at+1)
		return l, record, true
	}
	return nil, Record{}, false
}

// rereadEvery is how often a source that never comes to rest is read from its
// beginning.
const rereadEvery = 5 * time.Second

// read reads the next page of a source. It starts over where nothing of the
// source is under way, and waits for that every few seconds: another process may
// have committed a record with a lower Seq than those that were read.
func (d *drain) read(ctx context.Context, l *line) bool {
	if l.late {
		switch atRest := len(l.next) == 0 && l.inFlight == 0 && len(d.done) == 0; {
		case atRest:
			l.after, l.late, l.began = 0, false, time.Now()
		case len(l.next) == 0 && d.j.o.Postgres != "" && time.Since(l.began) > rereadEvery:
			return true
		}
	}
	page, err := d.tables.page(ctx, l.source, l.after)
	if err != nil {
		d.trouble(ctx, err)
		return false
	}
	if len(page) == 0 {
		l.more = l.late && l.after > 0 && len(l.next) == 0
		return true
	}
	l.after = page[len(page)-1].Seq
	page = slices.DeleteFunc(page, func(r Record) bool { return slices.Contains(d.done, r.Seq) })
	l.next = append(l.next, page...)
	return true
}

// trouble is what reading or deleting met. The writer opens the tables anew.
func (d *drain) trouble(ctx context.Context, err error) {
	if ctx.Err() != nil || d.tables == nil || d.j.tables.Load() != d.tables {
		return
	}
	select {
	case d.j.doubt <- err:
	default:
	}
}

// start starts one record, or sets it aside.
func (d *drain) start(ctx context.Context, l *line, r Record) {
	if err := r.Check(); err != nil {
		d.setAside(ctx, r, asideDamaged, err)
		return
	}
	maxAge, err := d.limit(ctx)
	if err != nil {
		l.next = slices.Insert(l.next, 0, r)
		d.pace.failed(time.Now())
		d.sayWaiting(err)
		return
	}
	age := d.j.o.Now().Sub(r.AppendedAt)
	if age > maxAge {
		d.setAside(ctx, r, asideTooOld, fmt.Errorf("it waited for %s, and max_age is %s: Temporal may have forgotten that the event was started before", age.Round(time.Second), maxAge))
		return
	}
	starter := d.j.o.Live
	if age > fresh {
		starter = d.j.o.Backlog
	}
	l.inFlight++
	d.inFlight++
	go func() {
		began := time.Now()
		err := d.j.begin(ctx, starter, &r)
		d.results <- result{record: r, line: l, took: time.Since(began), err: err}
	}()
}

// begin starts the Workflow of a record.
func (j *Journal) begin(ctx context.Context, starter ingest.Starter, r *Record) (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("%v\n%s", broken, debug.Stack())
		}
	}()
	// The end of this process does not break off a start: its result would not be
	// known, and that of an eager one would be lost.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWithin)
	defer cancel()
	ev, err := r.Event()
	if err != nil {
		return err
	}
	body, err := r.Body()
	if err != nil {
		return err
	}
	if ev.Held, err = j.o.Hold(ctx, r.Source); err != nil {
		return err
	}
	return starter.Start(ctx, ev, ingest.Payload(body, r.JSON))
}

// ended takes the result of a start.
func (d *drain) ended(ctx context.Context, r result) {
	d.inFlight--
	r.line.inFlight--
	// The tables were opened anew meanwhile. In another file, the same Seq may be
	// another record; in the same one, this record is read and started again.
	stale := d.lines[r.line.source] != r.line
	why, forever := permanent(r.err)
	switch {
	case r.err == nil || errors.Is(r.err, ingest.ErrDuplicate):
		d.starts++
		d.pace.started(r.took, time.Now())
		d.j.metrics.drained(ctx, r.line.source, r.err, r.took)
		d.saySeen()
		if !stale {
			d.done = append(d.done, r.record.Seq)
			delete(d.failures, r.record.Seq)
		}
		return
	case !forever:
		d.pace.failed(time.Now())
		d.sayWaiting(r.err)
	}
	if stale {
		return
	}
	f := d.failures[r.record.Seq]
	if !forever && (f.count == 0 || d.starts >= f.starts+evidence(r.err)) {
		f = failures{f.count + 1, d.starts}
		d.failures[r.record.Seq] = f
	}
	switch {
	case forever:
		d.setAside(ctx, r.record, why, r.err)
	case f.count > maxFailures:
		d.setAside(ctx, r.record, asideFailing, fmt.Errorf("the start failed %d times while those of others did not, the last time with: %w", maxFailures, r.err))
	default:
		at, _ := slices.BinarySearchFunc(r.line.next, r.record.Seq, func(have Record, seq int64) int { return cmp.Compare(have.Seq, seq) })
		r.line.next = slices.Insert(r.line.next, at, r.record)
	}
}

// permanent returns the reason of an error after which a start can never succeed.
func permanent(err error) (reason string, ok bool) {
	if errors.Is(err, ingest.ErrTooLarge) {
		return asideTooLarge, true
	}
	if _, ok := errors.AsType[*serviceerror.InvalidArgument](err); ok {
		return asideRefused, true
	}
	return "", false
}

// evidence returns how many other starts have to succeed between two failures of
// a record before the record is to blame. An error that tells of Temporal's state
// may hit any record: where half of all starts time out, one of 60 records would
// fail six times in a row.
func evidence(err error) int {
	var (
		unavailable *serviceerror.Unavailable
		late        *serviceerror.DeadlineExceeded
		exhausted   *serviceerror.ResourceExhausted
		canceled    *serviceerror.Canceled
	)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.As(err, &unavailable) || errors.As(err, &late) || errors.As(err, &exhausted) || errors.As(err, &canceled) {
		return manyStarts
	}
	return 1
}

// sayWaiting logs, once, that the drain waits.
func (d *drain) sayWaiting(err error) {
	if d.waiting {
		return
	}
	d.waiting = true
	d.j.o.Logger.Warn("journal: starts fail; events stay in the journal and are started once they succeed", "err", err)
}

func (d *drain) saySeen() {
	if !d.waiting {
		return
	}
	d.waiting = false
	d.j.o.Logger.Info("journal: starts succeed again; the drain goes on")
}

// limit returns how old a record may be that is started.
func (d *drain) limit(ctx context.Context) (time.Duration, error) {
	if d.j.o.MaxAge > 0 {
		return d.j.o.MaxAge, nil
	}
	if d.maxAge == 0 || time.Since(d.aged) > time.Hour {
		ctx, cancel := context.WithTimeout(ctx, startWithin)
		defer cancel()
		retention, err := d.j.o.Retention(ctx)
		if err == nil && retention <= 0 {
			err = fmt.Errorf("it is %s", retention)
		}
		if err != nil && d.maxAge == 0 {
			return 0, fmt.Errorf("the retention of the namespace is not known: %w", err)
		}
		if err == nil {
			d.maxAge = retention * 2 / 3
		}
		d.aged = time.Now()
	}
	return d.maxAge, nil
}

// setAside takes a record out of the drain's way, and says so.
func (d *drain) setAside(ctx context.Context, r Record, reason string, why error) {
	if d.tables == nil {
		return
	}
	if err := d.tables.setAside(ctx, r.Seq, reason, why.Error(), d.j.o.Now()); err != nil {
		d.trouble(ctx, err)
		return
	}
	delete(d.failures, r.Seq)
	d.j.metrics.setAside(ctx, r.Source, reason)
	d.j.o.Logger.Error("journal: a record was set aside and not started; `hookyard journal list --set-aside` has it",
		"source", r.Source, "workflow_id", r.WorkflowID, "seq", r.Seq, "reason", reason, "err", why)
}

// flush deletes what was started.
func (d *drain) flush(ctx context.Context, now bool) {
	if d.tables == nil || len(d.done) == 0 || !now && len(d.done) < flushAt && time.Since(d.flushed) < flushEvery {
		return
	}
	d.flushed = time.Now()
	if d.j.tables.Load() != d.tables {
		return
	}
	if err := d.tables.remove(ctx, d.done); err != nil {
		d.trouble(ctx, store.Describe(err))
		return
	}
	d.done = d.done[:0]
}
