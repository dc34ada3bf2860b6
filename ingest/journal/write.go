package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/internal/store"
)

// A batch is what one commit stores: all that wait, up to these bounds.
const (
	maxBatch      = 512
	maxBatchBytes = 4 << 20
)

// appending is a record that somebody waits for.
type appending struct {
	record *Record
	done   chan error // takes one
}

// reopenEvery is how long the writer waits before it tries to open the tables
// again.
const reopenEvery = time.Second

// commitWithin bounds a commit. A disk that takes longer is as good as away, and
// senders have gone.
const commitWithin = 20 * time.Second

// write opens the tables and commits batches until ctx ends. It alone opens and
// closes them.
func (j *Journal) write(ctx context.Context) {
	defer j.stopAppending()
	retry := time.NewTicker(reopenEvery)
	defer retry.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	j.open(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-j.queue:
			j.commit(ctx, j.batch(first))
		case err := <-j.doubt:
			j.reopen(ctx, err)
		case <-retry.C:
			if j.tables.Load() == nil {
				j.open(ctx)
			}
		case <-second.C:
			if t := j.tables.Load(); t != nil {
				j.fill.refresh(ctx, t)
			}
			j.giveBack(ctx)
			j.reserveRoom()
		}
	}
}

// stopAppending answers those who still wait.
func (j *Journal) stopAppending() {
	close(j.closed)
	for {
		select {
		case a := <-j.queue:
			a.done <- ErrStopped
		default:
			return
		}
	}
}

// batch takes all that wait, and waits a moment for those who were answered just
// now: senders that send one event after the other then share a commit, which is
// what takes long.
func (j *Journal) batch(first *appending) []*appending {
	batch := []*appending{first}
	bytes := first.record.size()
	var late <-chan time.Time
	for len(batch) < maxBatch && bytes < maxBatchBytes {
		select {
		case next := <-j.queue:
			batch, bytes = append(batch, next), bytes+next.record.size()
			continue
		default:
		}
		if len(batch) >= j.rhythm.together {
			break
		}
		if late == nil {
			late = time.After(j.rhythm.wait())
		}
		select {
		case next := <-j.queue:
			batch, bytes = append(batch, next), bytes+next.record.size()
			continue
		case <-late:
		}
		break
	}
	return batch
}

// rhythm is what the last commits were like. It belongs to the writer.
type rhythm struct {
	together int           // how many events came together
	took     time.Duration // a commit, on average
}

// mostWait bounds how long an event waits for others, whatever a commit takes.
const mostWait = 5 * time.Millisecond

// wait is how long a batch waits for as many events as came together before. It
// is less than a commit: who comes too late for this one waits for a whole one.
func (r *rhythm) wait() time.Duration { return min(r.took/2, mostWait) }

// committed notes a commit. Fewer events than before count by and by: of the
// senders of the last batch, some may still be on their way.
func (r *rhythm) committed(events int, took time.Duration) {
	r.together = max(events, (r.together+events)/2)
	r.took += (took - r.took) / 4
}

// commit stores a batch and answers those who wait for it.
func (j *Journal) commit(ctx context.Context, batch []*appending) {
	fresh, err := j.store(ctx, batch)
	for i, a := range batch {
		switch {
		case err != nil:
			a.done <- err
		case fresh[i]:
			a.done <- nil
		default:
			a.done <- ingest.ErrDuplicate
		}
	}
}

func (j *Journal) store(ctx context.Context, batch []*appending) ([]bool, error) {
	t := j.tables.Load()
	if t == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotOpen, j.why())
	}
	j.fill.refresh(ctx, t)
	if j.full() {
		return nil, ErrFull
	}
	records := make([]*Record, len(batch))
	var bytes int64
	for i, a := range batch {
		records[i] = a.record
		bytes += a.record.size()
	}
	// A commit that has begun is not broken off because this process ends.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWithin)
	defer cancel()
	started := time.Now()
	fresh, err := t.append(within, records)
	if err == nil {
		err = t.inPlace()
	}
	took := time.Since(started)
	j.metrics.appended(ctx, took, len(batch), err)
	j.rhythm.committed(len(batch), took)
	if err != nil {
		j.reopen(ctx, err)
		return nil, fmt.Errorf("the event may or may not be in the journal: %w", store.Describe(err))
	}
	j.fill.add(bytes)
	j.arrivals.add(records)
	return fresh, nil
}

// reopen closes tables that an error has put into doubt, and opens them anew: a
// handle that failed to sync is not to be trusted again.
func (j *Journal) reopen(ctx context.Context, why error) {
	t := j.tables.Swap(nil)
	if t == nil {
		return
	}
	j.opening.Store(time.Now().UnixNano())
	j.o.Logger.Error("journal: an error of the disk or the database; events are refused until it is opened again", "err", store.Describe(why))
	j.setStatus(store.Describe(why).Error())
	if err := t.Close(); err != nil {
		j.o.Logger.Warn("journal: it was not closed in order", "err", err)
	}
	if store.IsFull(why) && !j.fill.nearlyFull(j.o.MaxSize) {
		j.noRoom.Store(true)
		if err := j.reserve.give(); err != nil {
			j.o.Logger.Error("journal: the room that is reserved for the drain cannot be given to it", "err", err)
		}
	}
	j.open(ctx)
}

func (j *Journal) setStatus(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status = text
}

// open opens the tables and checks them. A file that is damaged is moved aside.
func (j *Journal) open(ctx context.Context) {
	defer j.opening.Store(0)
	t, err := j.trusted(ctx)
	if err != nil && j.reserve.have {
		t, err = j.giveReserve(ctx, err)
	}
	if j.o.SQLite != "" && (store.IsCorrupt(err) || errors.Is(err, errCorrupt)) {
		aside, moved := moveAside(j.o.SQLite, j.o.Now())
		if moved != nil {
			err = errors.Join(err, moved)
		} else {
			j.metrics.damaged(ctx)
			j.o.Logger.Error("journal: the file is damaged, and was moved aside whole; get its events back with `hookyard journal recover FILE`", "file", aside, "err", err)
			t, err = j.trusted(ctx)
		}
	}
	if err != nil {
		if text := store.Describe(err).Error(); text != j.why() && ctx.Err() == nil {
			j.o.Logger.Error("journal: it cannot be opened; events of its sources are refused meanwhile", "err", text)
			j.setStatus(text)
		}
		return
	}
	j.fill.reset()
	j.fill.refresh(ctx, t)
	j.reserveRoom()
	j.tables.Store(t)
	j.setStatus("")
	j.arrivals.all()
}

// giveReserve opens the tables with the room of the reserve, which may be what
// they lack.
func (j *Journal) giveReserve(ctx context.Context, why error) (*Tables, error) {
	if err := j.reserve.give(); err != nil {
		return nil, errors.Join(why, err)
	}
	j.noRoom.Store(true)
	return j.trusted(ctx)
}

// reserveRoom sees that the drain has room before an event is appended.
func (j *Journal) reserveRoom() {
	err := j.reserve.take()
	if was := j.noRoom.Swap(err != nil); err != nil && !was {
		j.o.Logger.Error("journal: the disk is nearly full; events are refused until there is room, and the drain goes on", "err", err)
	}
}

// trusted opens the tables and checks them. The time has no bound: the check of
// a SQLite file reads all of it.
func (j *Journal) trusted(ctx context.Context) (*Tables, error) {
	t, err := OpenTables(ctx, j.o.Place)
	if err != nil {
		return nil, err
	}
	if err := t.trust(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// moveAside gives a damaged file and its write-ahead log another name, and
// returns that. Both have it before either loses its own: SQLite deletes a log
// that it finds without a file.
func moveAside(file string, now time.Time) (string, error) {
	aside := file + ".damaged-" + now.UTC().Format("20060102T150405.000")
	move := os.Rename // where a file cannot have two names
	if os.Link(file, aside) == nil {
		move = os.Link
	}
	for _, suffix := range []string{"-wal", ""} {
		if err := move(file+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrExist) {
			return "", fmt.Errorf("move the damaged file aside: %w", err)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(file + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("move the damaged file aside: %w", err)
		}
	}
	return aside, nil
}

// fill is how much of the journal's room is taken.
type fill struct {
	used atomic.Int64
	mu   sync.Mutex
	next time.Time // when used is measured again
}

// measureEvery is how often the room is measured, and measureShare how much of
// the time that may take: PostgreSQL reads an index for it. Between, what is
// appended is added.
const (
	measureEvery = 200 * time.Millisecond
	measureShare = 50
)

// nearlyFull reports whether nine tenths are taken. The rest is for the drain,
// whose deletes need room too.
func (f *fill) nearlyFull(maxSize int64) bool {
	return maxSize > 0 && f.used.Load() >= maxSize/10*9
}

// add counts a record with what SQLite stores beside it.
func (f *fill) add(bytes int64) { f.used.Add(bytes * 3 / 2) }

func (f *fill) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = time.Time{}
}

func (f *fill) refresh(ctx context.Context, t *Tables) {
	if !f.mu.TryLock() { // an append does not wait for one that measures
		return
	}
	defer f.mu.Unlock()
	began := time.Now()
	if began.Before(f.next) {
		return
	}
	defer func() { f.next = time.Now().Add(max(measureEvery, measureShare*time.Since(began))) }()
	if used, err := t.used(ctx); err == nil {
		f.used.Store(used)
	}
}

// used returns how many bytes the journal takes. Of SQLite these are the pages with
// content, and the write-ahead log as long as it may become: the pages alone have
// to stay below their limit.
func (t *Tables) used(ctx context.Context) (used int64, err error) {
	if t.db.Dialect == store.Postgres {
		err := t.db.QueryRowContext(ctx, "select (select coalesce(sum(size), 0) from journal) + (select coalesce(sum(size), 0) from journal_set_aside)").Scan(&used)
		return used, err
	}
	pages, free, err := t.pages(ctx)
	if err != nil {
		return 0, err
	}
	log := int64(maxWAL)
	if wal, err := os.Stat(t.file + "-wal"); err == nil {
		log = max(log, wal.Size())
	}
	return (pages-free)*pageSize + log, nil
}

// pages returns the number of pages of the file, and of those without content.
func (t *Tables) pages(ctx context.Context) (pages, free int64, err error) {
	err = errors.Join(
		t.db.QueryRowContext(ctx, "pragma page_count").Scan(&pages),
		t.db.QueryRowContext(ctx, "pragma freelist_count").Scan(&free))
	return pages, free, err
}

// How many free pages SQLite keeps for what comes next, and how many it gives
// back to the disk at once, so that no append waits long.
const (
	keepFree   = (8 << 20) / pageSize
	giveAtOnce = (2 << 20) / pageSize
)

// giveBack returns room to the disk that a backlog has left behind.
func (j *Journal) giveBack(ctx context.Context) {
	t := j.tables.Load()
	if t == nil || t.db.Dialect == store.Postgres {
		return
	}
	if err := t.shrink(ctx); err != nil && ctx.Err() == nil {
		j.reopen(ctx, err)
	}
}

// shrink gives some of the free pages back. The file becomes shorter when the log
// is moved into it. A reader may be in the way of that, so shrink tries again as
// long as the file is longer than its pages.
func (t *Tables) shrink(ctx context.Context) error {
	pages, free, err := t.pages(ctx)
	if err != nil {
		return err
	}
	if free > keepFree {
		if err := t.vacuum(ctx, min(free-keepFree, giveAtOnce)); err != nil {
			return err
		}
		if pages, _, err = t.pages(ctx); err != nil {
			return err
		}
	}
	file, gone := os.Stat(t.file) // inPlace tells of one that is gone
	if gone == nil && file.Size() > pages*pageSize {
		_, err = t.db.ExecContext(ctx, "pragma wal_checkpoint(passive)")
	}
	return err
}

// vacuum takes free pages from the end of the file. The statement returns a row
// for each.
func (t *Tables) vacuum(ctx context.Context, pages int64) (err error) {
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf("pragma incremental_vacuum(%d)", pages))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
	}
	return rows.Err()
}

// arrivals tells the drain which sources have records.
type arrivals struct {
	wake  chan struct{}
	mu    sync.Mutex
	names map[string]bool
	any   bool // which ones is not known: list them
}

func (a *arrivals) add(records []*Record) {
	a.mu.Lock()
	for _, r := range records {
		if !a.names[r.Source] {
			a.names[r.Source] = true
		}
	}
	a.mu.Unlock()
	a.ring()
}

// all has the drain list the sources.
func (a *arrivals) all() {
	a.mu.Lock()
	a.any = true
	a.mu.Unlock()
	a.ring()
}

func (a *arrivals) ring() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns what has arrived since the last call.
func (a *arrivals) take() (names map[string]bool, list bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	names, list = a.names, a.any
	a.names, a.any = map[string]bool{}, false
	return names, list
}
