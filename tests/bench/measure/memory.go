package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The bodies that are held at once, of the most that a source takes by
// default.
const (
	heldBodies = 6 // as many as one peer may hold, see ingest.MaxHeld
	largeBody  = 1 << 20
)

// heldWithin bounds the wait for all bodies to be held: an edge does not wait
// for a slow body for ever.
const heldWithin = 8 * time.Second

// memory holds large bodies open at a fresh edge, all but their last byte, and
// then lets go of them at once, round by round. What counts is the most that
// was ever resident, because that is what a container's limit is held against.
func (s *session) memory(ctx context.Context) (*MemoryFigures, error) {
	edge, err := s.hookyard(ctx, edgeItself, "memory", s.taskQueue(idle), "edge")
	if err != nil {
		return nil, err
	}
	warm, err := s.factory.batch("memwarm", warmUp, usualBody)
	if err != nil {
		return nil, err
	}
	if _, err := blast(ctx, 16, warm, edge.send); err != nil {
		return nil, err
	}
	edge.close()

	figures := &MemoryFigures{Bodies: heldBodies, BodySize: largeBody, Idle: edge.used().rss}
	for round := range s.Rounds {
		deliveries, err := s.factory.batch(fmt.Sprintf("mem%d", round), heldBodies, largeBody)
		if err != nil {
			return nil, err
		}
		refused, held, err := s.hold(ctx, edge, deliveries)
		if err != nil {
			return nil, err
		}
		figures.Refused += refused
		figures.Held = max(figures.Held, held)
		s.progress("memory: round %d of %d, %s resident at most", round+1, s.Rounds, mebibytes(edge.used().peak))
	}
	figures.Peak = edge.used().peak
	figures.BeyondBodies = max(figures.Peak-heldBodies*largeBody, 0)
	return figures, nil
}

// hold sends the bodies slowly and at once. It returns how many were refused,
// which is no failure here, and what was resident while all were held.
func (s *session) hold(ctx context.Context, edge *contestant, deliveries []delivery) (refused int, held int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	release := make(chan struct{})
	var reached sync.WaitGroup
	reached.Add(len(deliveries))
	var failed atomic.Int64
	var sending sync.WaitGroup
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	for _, d := range deliveries {
		sending.Go(func() {
			body := &heldBody{data: d.body, reached: sync.OnceFunc(reached.Done), release: release, done: ctx.Done()}
			defer body.reached() // also where the connection broke before
			if err := postHeld(ctx, c, edge, d, body); err != nil {
				failed.Add(1)
			}
		})
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		reached.Wait()
	}()
	select {
	case <-all:
	case <-time.After(heldWithin): // the edge has no room for the rest yet
	}
	held, err = s.standsStill(ctx, edge)
	close(release)
	<-all // no later than the end of ctx
	sending.Wait()
	return int(failed.Load()), held, errors.Join(err, context.Cause(ctx))
}

func postHeld(ctx context.Context, c *http.Client, edge *contestant, d delivery, body *heldBody) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, edge.url, body)
	if err != nil {
		return err
	}
	req.Header, req.ContentLength = d.header, int64(len(d.body))
	return do(c, req)
}

// standsStill waits until what is resident no longer grows: the edge has read
// what the connections hold.
func (s *session) standsStill(ctx context.Context, edge *contestant) (int64, error) {
	last := int64(-1)
	err := eventually(ctx, 5*time.Second, 300*time.Millisecond, "the edge has read what it was sent", func(context.Context) (bool, error) {
		now := edge.used().rss
		still := now-last < 1<<20 && last >= 0
		last = now
		return still, nil
	})
	return last, err
}

// heldBody is a body whose last byte waits to be released.
type heldBody struct {
	data    []byte
	reached func()
	release <-chan struct{}
	done    <-chan struct{}
}

func (b *heldBody) Read(p []byte) (int, error) {
	switch len(b.data) {
	case 0:
		return 0, io.EOF
	case 1:
		b.reached()
		select {
		case <-b.release:
		case <-b.done:
			return 0, context.Canceled
		}
		n := copy(p, b.data)
		b.data = b.data[n:]
		return n, nil
	default:
		n := copy(p, b.data[:len(b.data)-1])
		b.data = b.data[n:]
		return n, nil
	}
}
