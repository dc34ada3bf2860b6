// Package journal is a durable log in front of the start of a Workflow. An event
// is acknowledged once it is on disk, synced; the drain starts it later, at a
// rate that Temporal stands. So neither a burst nor an outage of Temporal costs
// an event.
//
// What is written is SQLite's or PostgreSQL's work. This package adds a checksum
// over each record, since SQLite has none, one writer that commits many events
// at once, and the bounds.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
)

// Place is where the journal is, and how large it may grow.
type Place struct {
	// SQLite is a file of the journal's own. Empty: the journal is in Postgres.
	SQLite string
	// Postgres is the DSN of a database that several edges share.
	Postgres string
	// MaxSize is the most bytes that the journal takes: of SQLite, the file and
	// its write-ahead log; of PostgreSQL, the headers and payloads. Zero means no
	// bound.
	MaxSize int64
	// Cipher encrypts headers and payloads; nil for none. What was stored without
	// one stays readable.
	Cipher Cipher
}

// Options are what a Journal needs.
type Options struct {
	Place
	// MaxAge is how old a record may be that the drain starts. Zero: two thirds
	// of what Retention returns.
	MaxAge time.Duration
	// Retention returns for how long Temporal remembers a run that has closed:
	// until then, it refuses to start an event again.
	Retention func(ctx context.Context) (time.Duration, error)
	// MaxStored is the most bytes of header and payload that Temporal takes, or
	// the store of large payloads in front of it. Zero: 2 MiB, Temporal's own
	// limit.
	MaxStored int64
	// MaxInFlight bounds the starts that are under way at once; default 64. How
	// many there are, Temporal decides.
	MaxInFlight int
	// Live starts events that have just come, Backlog those that have waited.
	// The latter should have a lower priority in Temporal.
	Live, Backlog ingest.Starter
	// Hold reports whether the events of a source start as held.
	Hold   func(ctx context.Context, source string) (bool, error)
	Logger *slog.Logger
	Meter  metric.Meter
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Journal appends events and starts them. It is an ingest.Starter whose nil means
// that the event is on disk.
type Journal struct {
	o       Options
	queue   chan *appending
	metrics *metrics

	// tables is nil while they are not open or not trusted.
	tables   atomic.Pointer[Tables]
	opening  atomic.Int64 // since when they are being opened, as UnixNano; else 0
	doubt    chan error   // asks the writer to open the tables anew
	arrivals arrivals
	closed   chan struct{}
	fill     fill
	reserve  reserve // of the writer
	rhythm   rhythm
	noRoom   atomic.Bool // the reserve is missing

	mu     sync.Mutex
	status string // why the tables are not open; for errors and readiness
}

// The errors of Start, beside those of package ingest. The sender is to send the
// event again after each.
var (
	ErrFull    = errors.New("the journal, or its disk, is nearly full")
	ErrNotOpen = errors.New("the journal is not open")
	ErrStopped = errors.New("the journal is stopped")
)

// New returns a Journal, which stores nothing before Run.
func New(o Options) (*Journal, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxStored == 0 {
		o.MaxStored = maxStored
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 64
	}
	j := &Journal{
		o: o, queue: make(chan *appending, maxBatch), doubt: make(chan error, 1), closed: make(chan struct{}),
		status: "it was not opened yet", arrivals: arrivals{wake: make(chan struct{}, 1), names: map[string]bool{}},
	}
	j.opening.Store(time.Now().UnixNano())
	if o.SQLite != "" {
		j.reserve.file = o.SQLite + ".reserve"
	}
	var err error
	j.metrics, err = newMetrics(o.Meter, j)
	return j, err
}

// maxStored is the most that Temporal stores as the input of a run, in bytes:
// limit.blobSize.error, which is 2 MiB unless the cluster says otherwise.
const maxStored = 2 << 20

// roomAround is what Temporal's encoding adds to a header and a payload.
const roomAround = 1 << 10

// Start implements ingest.Starter. It returns once the event is on disk, or nil
// cannot be returned any more because ctx has ended: the event may then be on
// disk, or not.
func (j *Journal) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	body := payload.Payload()
	isJSON := string(body.GetMetadata()[converter.MetadataEncoding]) == converter.MetadataEncodingJSON
	record, err := newRecord(ev, body.GetData(), isJSON, j.o.Now(), j.o.Cipher)
	if err != nil {
		return err
	}
	if record.size()+roomAround > j.o.MaxStored {
		return fmt.Errorf("%w: header and payload are %d bytes, and %d are stored", ingest.ErrTooLarge, record.size(), j.o.MaxStored)
	}
	switch err := j.Ready(); {
	case errors.Is(err, ErrFull):
		return j.refused(ctx, record.Source, "full", err)
	case err != nil && !j.opensSoon():
		return j.refused(ctx, record.Source, "failed", err)
	}
	a := &appending{record: record, done: make(chan error, 1)}
	select {
	case j.queue <- a:
	case <-j.closed:
		return ErrStopped
	case <-ctx.Done():
		return j.refused(ctx, record.Source, "slow", fmt.Errorf("the journal is slower than events come: %w", ctx.Err()))
	}
	select {
	case err = <-a.done:
	case <-j.closed:
		select {
		case err = <-a.done:
		default:
			return ErrStopped
		}
	case <-ctx.Done():
		return j.refused(ctx, record.Source, "slow", fmt.Errorf("the journal is slower than events come: %w", ctx.Err()))
	}
	switch {
	case errors.Is(err, ErrFull):
		return j.refused(ctx, record.Source, "full", err)
	case err != nil && !errors.Is(err, ingest.ErrDuplicate):
		return j.refused(ctx, record.Source, "failed", err)
	}
	return err
}

func (j *Journal) refused(ctx context.Context, source, why string, err error) error {
	j.metrics.refusedEvent(ctx, source, why)
	return err
}

// opensSoon reports whether an event may wait for the journal to be opened, which
// is a matter of milliseconds: some senders do not send it again.
func (j *Journal) opensSoon() bool {
	since := j.opening.Load()
	return since != 0 && time.Since(time.Unix(0, since)) < openPatience
}

// openPatience is for how long events wait while the journal is being opened.
// The check of a large file takes longer.
const openPatience = 2 * time.Second

// Ready returns nil while events can be appended.
func (j *Journal) Ready() error {
	if j.tables.Load() == nil {
		return fmt.Errorf("%w: %s", ErrNotOpen, j.why())
	}
	if j.full() {
		return ErrFull
	}
	return nil
}

// full reports whether no event is to be appended, so that the drain has room.
func (j *Journal) full() bool { return j.noRoom.Load() || j.fill.nearlyFull(j.o.MaxSize) }

func (j *Journal) why() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status
}

// Run appends what Start is given, until ctx ends. The drain goes on meanwhile,
// unless drain ends first: it is to end before Temporal's client is closed, and
// Run after the last delivery was answered.
func (j *Journal) Run(ctx, drain context.Context) {
	var running sync.WaitGroup
	drain, stop := context.WithCancel(drain)
	running.Go(func() { j.drain(drain) })
	running.Go(func() { j.measure(drain) })
	j.write(ctx)
	stop()
	running.Wait()
	if t := j.tables.Swap(nil); t != nil {
		if err := t.Close(); err != nil {
			j.o.Logger.Warn("journal: it was not closed in order", "err", err)
		}
	}
}
