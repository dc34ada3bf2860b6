package attempt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hookyard/hookyard/internal/send/delivery"
	"github.com/hookyard/hookyard/internal/send/endpoint"
	"github.com/hookyard/hookyard/internal/send/sign"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

const (
	excerpt  = 1 << 10 // bytes of an answer that are kept
	drain    = 16 << 10
	patience = time.Second // that a body may take once the status is known
)

// answer is what an endpoint said, besides what an attempt keeps.
type answer struct {
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Duration
}

// throttles reports an answer that asks for less: Standard Webhooks has senders
// slow down after these.
func (a *answer) throttles() bool {
	switch a.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// post sends a message to an endpoint. The error means that nothing was sent,
// and that this is not the endpoint's doing.
func (a *Activities) post(ctx context.Context, e *endpoint.Endpoint, m endpoint.Message) (delivery.Attempt, *answer, error) {
	keys, err := a.Starter.Book.Keys(ctx, e.ID, e.Sign)
	if err != nil {
		return delivery.Attempt{}, nil, postponed(ctx, storePause, "%v", err)
	}
	at := a.now()
	header := http.Header{}
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	header.Set("Content-Type", m.ContentType)
	if e.Proof == endpoint.ProofOptions {
		header.Set("WebHook-Request-Origin", a.Origin)
	}
	if err := sign.Sign(header, m.ID, at, m.Body, keys); err != nil {
		return delivery.Attempt{}, nil, postponed(ctx, storePause, "%v", err)
	}
	made, said := a.send(ctx, http.MethodPost, e.URL, header, m.Body, delivery.AttemptTimeout)
	if errors.Is(ctx.Err(), context.Canceled) {
		return delivery.Attempt{}, nil, ctx.Err() // the end of this worker is no failure of the endpoint
	}
	made.At = at
	return made, said, nil
}

// send makes one request and never fails: what went wrong is in the attempt.
func (a *Activities) send(ctx context.Context, method, to string, header http.Header, body []byte, timeout time.Duration) (delivery.Attempt, *answer) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begin := time.Now()
	failed := func(err error) (delivery.Attempt, *answer) {
		return delivery.Attempt{Millis: time.Since(begin).Milliseconds(), Error: plain(err)}, &answer{}
	}
	if _, err := a.HTTP.CheckURL(to); err != nil {
		return failed(err)
	}
	r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return failed(errors.New("the URL cannot be requested"))
	}
	header.Set("User-Agent", "Hookyard")
	r.Header = header
	res, err := a.HTTP.Do(r)
	if err != nil {
		return failed(err)
	}
	defer res.Body.Close()
	made := delivery.Attempt{Status: res.StatusCode, Millis: time.Since(begin).Milliseconds()}
	// The status is known, and a trickle must not hold a worker.
	slow := time.AfterFunc(patience, cancel)
	defer slow.Stop()
	said := &answer{status: res.StatusCode, header: res.Header, retryAfter: retryAfter(res.Header, a.now())}
	said.body, _ = io.ReadAll(io.LimitReader(res.Body, excerpt)) // as much of it as there is
	_, _ = io.CopyN(io.Discard, res.Body, drain)
	made.Answer = failure.Printable(string(said.body), excerpt)
	return made, said
}

// plain says why there was no answer, without the URL.
func plain(err error) string {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		if failed.Timeout() {
			return "no answer in time"
		}
		err = failed.Err
	}
	return failure.Printable(err.Error(), excerpt)
}

// retryAfter returns the wait that an answer asks for, at most longestWait.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), longestWait)
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(max(seconds, 0), int64(longestWait/time.Second))) * time.Second
}
