package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"
)

// What a Server keeps of bodies in memory, in bytes.
const (
	// small is up to where a body is held to nothing: it never waits for
	// large ones.
	small = 64 << 10
	// MaxHeld is how much of large bodies is there at once. What comes
	// beyond it waits in its connection, for as long as its provider does.
	MaxHeld = 64 << 20
	// maxSending is how much of them is on its way to Temporal at once.
	// On that way a body is copied and compressed, which takes some three
	// times its size, and more at once would not be faster.
	maxSending = 4 << 20
	// maxStarting is how many starts are under way at once. A Temporal that
	// is slower than the deliveries come would otherwise be asked for ever
	// more at a time, and be done with each only after its sender has gone.
	maxStarting = 256
)

// memory bounds what deliveries take, whoever sends them and how many do.
type memory struct {
	held, sending, starting *semaphore.Weighted
	most                    int64
}

// newMemory returns one that holds at least one body of each source.
func newMemory(sources map[string]*Source) *memory {
	most := int64(MaxHeld)
	for _, source := range sources {
		most = max(most, source.maxBody)
	}
	return &memory{semaphore.NewWeighted(most), semaphore.NewWeighted(maxSending), semaphore.NewWeighted(maxStarting), most}
}

// read reads the whole body or refuses it; it never goes on with a part. Until
// release is called the body counts as held.
//
// Room is asked for once, and only after as much as a small body has come: a
// sender that has sent nothing takes no room, and none waits while it has some.
func (m *memory) read(ctx context.Context, w http.ResponseWriter, r *http.Request, limit int64) (read []byte, release func(), err error) {
	if r.ContentLength > limit {
		// One byte, so that the HTTP server knows of a limit that was passed
		// and waits with closing until the sender has its answer.
		_, _ = http.MaxBytesReader(w, r.Body, 0).Read(make([]byte, 1))
		return nil, nil, refuse(bodyTooLarge, nil)
	}
	var body bytes.Buffer
	in := http.MaxBytesReader(w, r.Body, limit)
	release = func() {}
	body.Grow(int(min(max(r.ContentLength, 0), small)) + bytes.MinRead)
	_, err = body.ReadFrom(io.LimitReader(in, small))
	if err == nil && body.Len() == small && r.ContentLength != small {
		size := r.ContentLength
		if size < 0 { // it is not said beforehand
			size = limit
		}
		size = min(size, m.most)
		if err := m.held.Acquire(ctx, size); err != nil {
			return nil, nil, refuse(noRoom, err)
		}
		release = func() { m.held.Release(size) }
		if r.ContentLength > 0 {
			body.Grow(int(r.ContentLength) - small + bytes.MinRead)
		}
		_, err = body.ReadFrom(in)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		release()
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, nil, refuse(bodyTooLarge, nil)
		}
		return nil, nil, refuse(bodyUnreadable, err)
	}
	return body.Bytes(), release, nil
}

// send returns once a body of the size may go to Temporal, or ctx has ended.
func (m *memory) send(ctx context.Context, size int) (sent func(), err error) {
	var weight int64
	if size > small {
		weight = min(int64(size), maxSending)
		if err := m.sending.Acquire(ctx, weight); err != nil {
			return nil, err
		}
	}
	if err := m.starting.Acquire(ctx, 1); err != nil {
		m.sending.Release(weight)
		return nil, err
	}
	return func() {
		m.starting.Release(1)
		m.sending.Release(weight)
	}, nil
}
