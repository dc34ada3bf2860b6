package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	webhooks "github.com/hookyard/hookyard/ingest/provider"
)

// The sender behaves as providers do, in a hurry: what takes them minutes and
// hours takes it a second.
const (
	firstBackoff = 250 * time.Millisecond
	longestPause = 5 * time.Second
	leastWait    = 2 * time.Second // for an answer
	mostWait     = 12 * time.Second
	// mostAtOnce bounds the deliveries on their way. Providers do that for
	// each receiver, which cannot get well while all that has waited comes
	// at once.
	mostAtOnce = 100
)

// sender sends each event until it is acknowledged, and keeps what it was
// answered.
type sender struct {
	seed      uint64
	edges     []string // the URLs of the edges, as a load balancer has them
	receivers map[string]*webhooks.Receiver
	samples   map[string][]byte
	client    *http.Client
	log       io.Writer // a line of JSON per answer

	skew atomic.Int64  // nanoseconds that its clock is off
	free chan struct{} // has room for each delivery that may be on its way

	mu      sync.Mutex
	answers map[string]*answers // by Workflow Id
}

// answers sums up what became of the deliveries of one event.
type answers struct {
	Deliveries   int
	Accepted     int // 200 "accepted"
	Duplicate    int // 200 "duplicate"
	Journaled    int // 200 "journaled"
	Other        int // any other 2xx, which would be wrong
	Acknowledged time.Time
}

// newSender binds a receiver per source to the secret that the edges have.
func newSender(seed uint64, edges []string, secrets map[string]string, log io.Writer) (*sender, error) {
	catalog, err := webhooks.Builtin()
	if err != nil {
		return nil, err
	}
	s := &sender{
		seed: seed, edges: edges, log: log, free: make(chan struct{}, mostAtOnce),
		receivers: map[string]*webhooks.Receiver{}, samples: map[string][]byte{}, answers: map[string]*answers{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	for source, secret := range secrets {
		name, eventType := provider(source)
		p, ok := catalog.Lookup(name)
		if !ok {
			return nil, fmt.Errorf("there is no provider %q", name)
		}
		if s.receivers[source], err = p.Bind(webhooks.Binding{Secrets: []string{secret}}); err != nil {
			return nil, fmt.Errorf("source %q: %w", source, err)
		}
		s.samples[source], _, _ = p.Sample(eventType)
	}
	return s, nil
}

// send sends each event in its time and returns when all are acknowledged, or
// ctx has ended.
func (s *sender) send(ctx context.Context, events []Event) {
	defer s.client.CloseIdleConnections()
	var sending sync.WaitGroup
	defer sending.Wait()
	began := time.Now()
	for _, e := range events {
		if !sleep(ctx, e.At-time.Since(began)) {
			return
		}
		sending.Go(func() { s.sendEvent(ctx, e) })
	}
}

func (s *sender) sendEvent(ctx context.Context, e Event) {
	s.mu.Lock()
	s.answers[e.WorkflowID()] = &answers{}
	s.mu.Unlock()
	r := draw(s.seed, e.number<<32)
	var storm sync.WaitGroup
	defer storm.Wait()
	if e.AtOnce {
		for range e.Again {
			to, wait := s.choose(r)
			storm.Go(func() { s.deliver(ctx, e, to, wait) })
		}
	}
	pause := firstBackoff
	for {
		to, wait := s.choose(r)
		if s.deliver(ctx, e, to, wait) {
			break
		}
		if !sleep(ctx, pause/2+time.Duration(r.Int64N(int64(pause)))) {
			return
		}
		pause = min(2*pause, longestPause)
	}
	if e.AtOnce {
		return
	}
	for range e.Again {
		to, wait := s.choose(r)
		s.deliver(ctx, e, to, wait)
	}
}

// choose draws an edge and how long its answer is waited for.
func (s *sender) choose(r *rand.Rand) (to string, wait time.Duration) {
	return s.edges[r.IntN(len(s.edges))], between(r, leastWait, mostWait)
}

// sleep reports whether ctx is still alive after the pause.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliver makes one delivery, signed now, and reports whether it was
// acknowledged.
func (s *sender) deliver(ctx context.Context, e Event, to string, wait time.Duration) bool {
	select {
	case s.free <- struct{}{}:
		defer func() { <-s.free }()
	case <-ctx.Done():
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	sent := time.Now()
	code, status, err := s.post(ctx, e, to)
	if errors.Is(ctx.Err(), context.Canceled) && err != nil {
		return false // the run was interrupted, which is no answer
	}
	s.note(e, to, sent, code, status, err)
	return code/100 == 2 && err == nil
}

// post returns the answer's status code and the status that it names.
func (s *sender) post(ctx context.Context, e Event, to string) (code int, status string, err error) {
	d, err := s.sign(e, to)
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, d.Method, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return 0, "", err
	}
	req.Header = d.Header
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	// A status line is an answer, whether or not the rest arrives.
	var fields struct{ Status any }
	if err == nil {
		_ = json.Unmarshal(said, &fields) // a body without a status has none
	}
	status, _ = fields.Status.(string)
	return resp.StatusCode, status, nil
}

// sign makes a delivery as the provider does, by a clock that may be off.
func (s *sender) sign(e Event, to string) (*webhooks.Delivery, error) {
	_, eventType := provider(e.Source)
	d := webhooks.SampleDelivery(to+"/webhooks/"+e.Source, bytes.Clone(e.body(s.samples[e.Source])))
	d.ReceivedAt = time.Now().Add(time.Duration(s.skew.Load()))
	receiver := s.receivers[e.Source]
	if err := receiver.Stamp(d, e.ID, eventTypeToStamp(e, eventType)); err != nil {
		return nil, err
	}
	return d, receiver.Sign(d)
}

// eventTypeToStamp leaves a body alone that has its type: writing it again
// would write the body anew.
func eventTypeToStamp(e Event, eventType string) string {
	if e.Source == forwards {
		return ""
	}
	return eventType
}

func (s *sender) note(e Event, to string, sent time.Time, code int, status string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.answers[e.WorkflowID()]
	a.Deliveries++
	if code/100 == 2 {
		if a.Acknowledged.IsZero() {
			a.Acknowledged = time.Now()
		}
		switch status {
		case "accepted":
			a.Accepted++
		case "duplicate":
			a.Duplicate++
		case "journaled":
			a.Journaled++
		case "": // its body was cut off
		default:
			a.Other++
		}
	}
	line := struct {
		At     time.Time     `json:"at"`
		Took   time.Duration `json:"took_ns"`
		Event  string        `json:"event"`
		To     string        `json:"to"`
		Code   int           `json:"code,omitempty"`
		Status string        `json:"status,omitempty"`
		Err    string        `json:"err,omitempty"`
	}{sent, time.Since(sent), e.WorkflowID(), to, code, status, ""}
	if err != nil {
		line.Err = err.Error()
	}
	_ = json.NewEncoder(s.log).Encode(line) // the counts do not depend on it
}

// counts returns how many events were sent and acknowledged so far.
func (s *sender) counts() (sent, acknowledged int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		if !a.Acknowledged.IsZero() {
			acknowledged++
		}
	}
	return len(s.answers), acknowledged
}

// begin sets the sender's clock wrong.
func (s *sender) begin(_ context.Context, f Fault) (func(context.Context) error, error) {
	s.skew.Store(int64(f.Amount))
	return func(context.Context) error {
		s.skew.Store(0)
		return nil
	}, nil
}
