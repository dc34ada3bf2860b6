package attempt

import (
	"context"
	"log/slog"
	"time"
)

// How often the relay looks, and how old a message is that it takes up: a
// publisher starts its message itself, a moment after it is stored.
const (
	relayEvery = time.Second
	relayAfter = 3 * time.Second
	relayBatch = 100
	sweepEvery = time.Hour
)

// Relay starts the deliveries of messages whose publisher did not get to it: it
// died, Temporal was away, or the message was written in a transaction of its
// own. It removes messages that are older than keep. It returns when ctx ends.
func (s *Starter) Relay(ctx context.Context, keep time.Duration, logger *slog.Logger) {
	tick := time.NewTicker(relayEvery)
	defer tick.Stop()
	swept, told := time.Time{}, false
	for {
		err := s.relay(ctx)
		if err != nil && ctx.Err() == nil && !told {
			logger.Warn("messages wait to be started", "err", err)
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
