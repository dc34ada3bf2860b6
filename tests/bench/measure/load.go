package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// patience bounds one delivery. It is longer than the edge itself waits, so
// that a refusal is seen as what it is.
const patience = 30 * time.Second

// sendFunc hands one delivery over and returns nil once it is acknowledged.
type sendFunc func(ctx context.Context, d delivery) error

// load is what it took to send a batch.
type load struct {
	elapsed   time.Duration
	latencies []time.Duration // from the first attempt on, in no order
	again     int64           // attempts after a first one
}

func (l load) perSecond() float64 { return ratio(float64(len(l.latencies)), l.elapsed.Seconds()) }

// A delivery that is not acknowledged is sent again, as a provider does, so
// that a moment in which the machine stands still does not end a session. It
// counts as one that took as long as it took.
const (
	attempts    = 40
	beforeAgain = 500 * time.Millisecond
)

// blast sends every delivery, so many at once, each sender the next one as
// soon as its last one is acknowledged. One that is refused for good ends it
// all: a figure with losses in it says nothing.
func blast(ctx context.Context, senders int, deliveries []delivery, send sendFunc) (load, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	latencies := make([]time.Duration, len(deliveries))
	var next, again atomic.Int64
	var working sync.WaitGroup
	began := time.Now()
	for range min(senders, len(deliveries)) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(deliveries)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				sent := time.Now()
				tries, err := insist(ctx, deliveries[i], send)
				again.Add(tries - 1)
				if err != nil {
					cancel(fmt.Errorf("event %s: %w", deliveries[i].id, err))
					return
				}
				latencies[i] = time.Since(sent)
			}
		})
	}
	working.Wait()
	return load{time.Since(began), latencies, again.Load()}, context.Cause(ctx)
}

// insist sends until the delivery is acknowledged, or that often that it never
// will be.
func insist(ctx context.Context, d delivery, send sendFunc) (tries int64, err error) {
	for tries = 1; ; tries++ {
		if err = send(ctx, d); err == nil || tries == attempts || ctx.Err() != nil {
			return tries, err
		}
		select {
		case <-ctx.Done():
			return tries, err
		case <-time.After(beforeAgain):
		}
	}
}

// poster sends by HTTP, on connections that it keeps.
func poster(url string, senders int) (send sendFunc, closeIdle func()) {
	transport := &http.Transport{MaxIdleConnsPerHost: senders, DisableCompression: true}
	c := &http.Client{Transport: transport, Timeout: patience}
	return func(ctx context.Context, d delivery) error {
		return post(ctx, c, url, d.header, bytes.NewReader(d.body))
	}, transport.CloseIdleConnections
}

func post(ctx context.Context, c *http.Client, url string, header http.Header, body *bytes.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	req.Header = header
	return do(c, req)
}

func do(c *http.Client, req *http.Request) error {
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d: %s", resp.StatusCode, bytes.TrimSpace(said))
	}
	return nil
}

// eventually polls until the condition holds, an error tells that it never
// will, or the time is up.
func eventually(ctx context.Context, within, every time.Duration, what string, condition func(context.Context) (bool, error)) error {
	limited, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not within %s: %s", within, what))
	defer cancel()
	for {
		ok, err := condition(limited)
		if ok || err != nil && limited.Err() == nil {
			return err
		}
		select {
		case <-limited.Done():
			return errors.Join(context.Cause(limited), err)
		case <-time.After(every):
		}
	}
}
