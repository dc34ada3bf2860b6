package attempt

import (
	"context"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/hookyard/hookyard/internal/send/delivery"
)

// How often the relay looks, and how old a message is that it takes up: a
// publisher starts its message itself, a moment after it is stored.
const (
	relayEvery = time.Second
	relayAfter = 3 * time.Second
	relayBatch = 100
	watchEvery = time.Minute
	sweepEvery = time.Hour
)

// Relay starts the deliveries of messages whose publisher did not get to it: it
// died, Temporal was away, or the message was written in a transaction of its
// own. It has endpoints watched whose watch was not started for such a reason,
// and removes messages that are older than keep. It returns when ctx ends.
func (s *Starter) Relay(ctx context.Context, keep time.Duration, logger *slog.Logger) {
	tick := time.NewTicker(relayEvery)
	defer tick.Stop()
	swept, watched, told := time.Time{}, time.Time{}, false
	for {
		err := s.relay(ctx)
		if err == nil && time.Since(watched) > watchEvery {
			err, watched = s.watchAll(ctx), time.Now()
		}
		if err != nil && ctx.Err() == nil && !told {
			logger.Warn("messages or endpoints wait for the relay", "err", err)
		}
		told = err != nil
		if time.Since(swept) > sweepEvery {
			if _, err := s.Book.Expire(ctx, time.Now().Add(-keep)); err != nil && ctx.Err() == nil {
				logger.Warn("old messages cannot be removed", "err", err)
			}
			swept = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Starter) relay(ctx context.Context) error {
	for {
		waiting, err := s.Book.Waiting(ctx, time.Now().Add(-relayAfter), relayBatch)
		if err != nil {
			return err
		}
		for _, m := range waiting {
			if err := s.Message(ctx, m, nil, false); err != nil {
				return err
			}
		}
		if len(waiting) < relayBatch {
			return nil
		}
	}
}

// watchAll starts the watches that are missing. One that is under way is left
// alone, so that it keeps to its time.
func (s *Starter) watchAll(ctx context.Context) error {
	for after := ""; ; {
		ids, err := s.Book.Unwatched(ctx, after, relayBatch)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.watched(ctx, id); err != nil {
				return err
			}
			after = id
		}
		if len(ids) < relayBatch {
			return nil
		}
	}
}

func (s *Starter) watched(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := s.options(delivery.WatchID(id), enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
	_, err := s.Client.ExecuteWorkflow(ctx, o, delivery.WatchWorkflow, delivery.Watching{Endpoint: id})
	if already(err) {
		return nil
	}
	return err
}
