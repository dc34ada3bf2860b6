//go:build flawed

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
)

// inBackground answers before Temporal has the event. What a crash finds in
// its memory is lost, and the sender, which has its 2xx, does not send again.
type inBackground struct {
	next   ingest.Starter
	logger *slog.Logger
}

// Start implements ingest.Starter.
func (s *inBackground) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	ctx = context.WithoutCancel(ctx)
	go func() {
		if err := s.next.Start(ctx, ev, payload); err != nil {
			s.logger.Error("start failed", "workflow_id", ev.WorkflowID(), "err", err)
		}
	}()
	return nil
}

// randomID starts a Workflow under an id of its own, so that each delivery is
// one.
type randomID struct{ r receiver }

// Start implements ingest.Starter.
func (s randomID) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	_, err := s.r.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        ev.Source + "-" + rand.Text(),
		TaskQueue: s.r.config.Temporal.TaskQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(event.SourceAttribute).ValueSet(ev.Source), temporal.NewSearchAttributeKeyKeyword(event.TypeAttribute).ValueSet(ev.Type)),
	}, ev.WorkflowType(), ev, payload)
	return err
}

// seenTable keeps the ids of events beside Temporal. Between the look at the
// table and the entry in it there is time for every other delivery of the
// event to take the same look.
type seenTable struct {
	start ingest.Starter
	mu    sync.Mutex
	seen  map[string]bool // by Workflow Id
}

// Start implements ingest.Starter.
func (s *seenTable) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	if s.has(ev.WorkflowID()) {
		return ingest.ErrDuplicate
	}
	if err := s.start.Start(ctx, ev, payload); err != nil {
		return err
	}
	s.add(ev.WorkflowID())
	return nil
}

func (s *seenTable) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[id]
}

func (s *seenTable) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[id] = true
}

// tellFirst passes the event on itself and starts a Workflow that has nothing
// left to do. That the event was there before, it learns when it is too late.
type tellFirst struct {
	next ingest.Starter
	urls map[string]string // by source
	http *http.Client
}

func newTellFirst(c *config.Config, next ingest.Starter) *tellFirst {
	s := &tellFirst{next: next, urls: map[string]string{}, http: &http.Client{Timeout: 5 * time.Second}}
	for _, source := range c.Sources {
		s.urls[source.Name] = source.Routes[len(source.Routes)-1].Forward.URL // the one that forwards
	}
	return s
}

// Start implements ingest.Starter.
func (s *tellFirst) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.urls[ev.Source], bytes.NewReader(payload.Payload().GetData()))
	if err != nil {
		return err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("forward: %s", resp.Status)
	}
	ev.Route = event.Route{Action: event.ActionKeep}
	return s.next.Start(ctx, ev, payload)
}

// newestOnly takes an event that was made before the last one it took for one
// that it has dealt with.
type newestOnly struct {
	next ingest.Starter
	mu   sync.Mutex
	last map[string]int64 // seconds, by source
}

// Start implements ingest.Starter.
func (s *newestOnly) Start(ctx context.Context, ev event.Event, payload converter.RawValue) error {
	var made struct{ Created int64 }
	if err := json.Unmarshal(payload.Payload().GetData(), &made); err != nil {
		return s.next.Start(ctx, ev, payload) // of no known age
	}
	s.mu.Lock()
	outdated := made.Created < s.last[ev.Source]
	if !outdated {
		s.last[ev.Source] = made.Created
	}
	s.mu.Unlock()
	if outdated {
		return ingest.ErrDuplicate
	}
	return s.next.Start(ctx, ev, payload)
}
