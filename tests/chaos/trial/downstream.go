package trial

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/hookyard/hookyard/tests/harness"
)

// downstream is the service behind the Workflows. It does what it is asked to
// once per Idempotency-Key, as such a service should, and counts.
type downstream struct {
	address string
	server  *http.Server
	done    chan struct{} // closed when it serves no more

	mu      sync.Mutex
	trouble Kind // "" when it is well
	rand    *rand.Rand
	effects map[string]*effect // by Idempotency-Key
}

// effect is what was done under one key.
type effect struct {
	calls int
	done  int // how many of them were carried out, the first or a repetition
	sums  map[[sha256.Size]byte]bool
}

// startDownstream serves until close.
func startDownstream(ctx context.Context, seed uint64) (*downstream, error) {
	l, err := harness.Listen(ctx)
	if err != nil {
		return nil, err
	}
	d := &downstream{
		address: l.Addr().String(), done: make(chan struct{}),
		rand: draw(seed, 1<<63), effects: map[string]*effect{},
	}
	d.server = &http.Server{Handler: http.HandlerFunc(d.serve), ReadTimeout: time.Minute}
	go func() {
		defer close(d.done)
		_ = d.server.Serve(l) // until close
	}()
	return d, nil
}

func (d *downstream) close() {
	_ = d.server.Close() // it is in memory: nothing can be lost
	<-d.done
}

// begin gives the service a trouble.
func (d *downstream) begin(_ context.Context, f Fault) (func(context.Context) error, error) {
	d.set(f.Kind)
	return func(context.Context) error {
		d.set("")
		return nil
	}, nil
}

func (d *downstream) set(trouble Kind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble = trouble
}

// reply is how a request is answered.
type reply struct {
	refuse bool          // without carrying it out
	after  time.Duration // the answer waits
	code   int           // 0 closes the connection
	raw    string        // instead of an HTTP answer
	page   string
}

// choose draws a reply that fits the trouble.
func (d *downstream) choose() reply {
	n := d.rand.IntN(4)
	switch d.trouble {
	case Slow:
		return reply{after: between(d.rand, time.Second, 2*attemptTimeout), code: http.StatusNoContent}
	case Flaky:
		return []reply{
			{refuse: true, code: http.StatusServiceUnavailable},
			{refuse: true, code: http.StatusTooManyRequests},
			{code: 0},
			{code: http.StatusInternalServerError},
		}[n]
	case Garbage:
		return []reply{
			{raw: "\x00\x01this is no HTTP\r\n\r\n"},
			{code: http.StatusOK, page: "<html>It works!</html>"},
			{refuse: true, code: http.StatusNotFound, page: "<html>Under construction</html>"},
			{raw: "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ncut"},
		}[n]
	default:
		return reply{code: http.StatusNoContent}
	}
}

func (d *downstream) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
	if err != nil {
		return // its sender is gone
	}
	answer := d.record(r.Header.Get("Idempotency-Key"), body)
	if !sleep(r.Context(), answer.after) {
		return
	}
	if answer.code != 0 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(answer.code)
		_, _ = io.WriteString(w, answer.page) // the status has been sent
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, answer.raw) // it is meant to be broken
	conn.Close()
}

// record keeps the request and returns how to answer it.
func (d *downstream) record(key string, body []byte) reply {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer := d.choose()
	e := d.effects[key]
	if e == nil {
		e = &effect{sums: map[[sha256.Size]byte]bool{}}
		d.effects[key] = e
	}
	e.calls++
	e.sums[sha256.Sum256(body)] = true
	if !answer.refuse {
		e.done++
	}
	return answer
}

// took is what the service says about one key: whether it was carried out, and
// how often it came. The error is about the bodies under it, which must have
// the given sum; the zero sum stands for any, as long as they are all equal.
func (d *downstream) took(key string, sum [sha256.Size]byte) (done bool, calls int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.effects[key]
	if e == nil {
		return false, 0, nil
	}
	switch {
	case len(e.sums) > 1:
		err = fmt.Errorf("%d different bodies came under key %q", len(e.sums), key)
	case sum != [sha256.Size]byte{} && !e.sums[sum]:
		err = fmt.Errorf("the body under key %q is not the one that was sent", key)
	}
	return e.done > 0, e.calls, err
}

// keys lists every key that the service was called with.
func (d *downstream) keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	keys := make([]string, 0, len(d.effects))
	for key := range d.effects {
		keys = append(keys, key)
	}
	return keys
}
