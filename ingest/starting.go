package ingest

import (
	"context"

	"golang.org/x/sync/semaphore"
)

const (
	// small is up to which size, in bytes, a payload is not limited on its way
	// to Temporal.
	small = 64 << 10
	// maxSending is how many bytes of larger payloads are on their way to
	// Temporal at once. On that way a payload is copied and compressed, which
	// takes three times its size, and more at once would not be faster.
	maxSending = 4 << 20
	// maxStarting is how many starts run at once. A Temporal that is slower
	// than the deliveries come would otherwise get more and more of them, and
	// finish each only after its sender has gone.
	maxStarting = 256
)

// starting bounds the starts that run at once.
type starting struct{ bytes, starts *semaphore.Weighted }

func newStarting() *starting {
	return &starting{semaphore.NewWeighted(maxSending), semaphore.NewWeighted(maxStarting)}
}

// begin returns once a payload of the size may go to Temporal, or ctx has
// ended.
func (s *starting) begin(ctx context.Context, size int) (end func(), err error) {
	var weight int64
	if size > small {
		weight = min(int64(size), maxSending)
		if err := s.bytes.Acquire(ctx, weight); err != nil {
			return nil, err
		}
	}
	if err := s.starts.Acquire(ctx, 1); err != nil {
		s.bytes.Release(weight)
		return nil, err
	}
	return func() {
		s.starts.Release(1)
		s.bytes.Release(weight)
	}, nil
}
