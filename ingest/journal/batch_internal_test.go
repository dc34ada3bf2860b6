package journal

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBatchWaits sees that a batch waits for as many as came together before, and
// no longer than half of a commit.
func TestBatchWaits(t *testing.T) {
	t.Parallel()
	const commit = 4 * time.Millisecond
	for name, tt := range map[string]struct {
		before []int           // events in the commits before
		come   []time.Duration // when others come, after the first one
		want   int
		waits  time.Duration
	}{
		"alone":                  {[]int{1}, nil, 1, 0},
		"all come":               {[]int{3}, []time.Duration{time.Millisecond, time.Millisecond}, 3, time.Millisecond},
		"one is late":            {[]int{3}, []time.Duration{time.Millisecond, commit}, 2, commit / 2},
		"more than before":       {[]int{1}, []time.Duration{0, 0, 0}, 4, 0},
		"one came alone between": {[]int{9, 1}, []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond}, 5, time.Millisecond},
		"few for a while":        {[]int{9, 1, 1, 1, 1, 1}, nil, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &Journal{queue: make(chan *appending, maxBatch)}
				for _, events := range tt.before {
					j.rhythm.committed(events, commit)
				}
				j.rhythm.took = commit
				for _, after := range tt.come {
					if after == 0 {
						j.queue <- &appending{record: &Record{}}
						continue
					}
					time.AfterFunc(after, func() { j.queue <- &appending{record: &Record{}} })
				}
				began := time.Now()
				require.Len(t, j.batch(&appending{record: &Record{}}), tt.want)
				require.Equal(t, tt.waits, time.Since(began))
				<-time.After(commit) // of the bubble's clock: the late ones come
			})
		})
	}
}

// TestBatchWaitIsBounded sees that a disk that stands still for seconds does not
// make each later event wait for seconds.
func TestBatchWaitIsBounded(t *testing.T) {
	t.Parallel()
	var r rhythm
	r.committed(3, time.Minute)
	require.Equal(t, mostWait, r.wait())
}
