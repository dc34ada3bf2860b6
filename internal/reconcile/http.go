package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hookyard/hookyard/internal/send/egress"
	"github.com/hookyard/hookyard/internal/worker/failure"
)

// Clients send the requests: to public addresses alone, but to an API whose
// address the operator has given. They follow no redirect, so that a key stays
// on its host.
type Clients struct{ public, given *egress.Client }

// NewClients returns Clients.
func NewClients() *Clients {
	everywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	return &Clients{public: egress.New(egress.Options{}), given: egress.New(egress.Options{Allow: everywhere})}
}

// Close closes the connections that are idle.
func (c *Clients) Close() {
	c.public.Close()
	c.given.Close()
}

const (
	// maxPage is the largest answer that is read, in bytes.
	maxPage = 64 << 20
	// within is how long one request may take.
	within = time.Minute
	// longestWait bounds what an API may ask for with Retry-After.
	longestWait = time.Hour
)

// get sends a request with the key, and returns a 2xx answer. Its errors are
// those of an Activity, and hold no key.
func (c *Clients) get(ctx context.Context, s *Source, req *http.Request, now time.Time) (http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	token := func(ask *http.Request) ([]byte, error) {
		_, body, err := c.do(ctx, s, ask, now)
		return body, err
	}
	if err := s.API.Authorize(req, now, token); err != nil {
		if said, ours := errors.AsType[*refusedError](err); ours {
			return nil, nil, said
		}
		return nil, nil, withoutKey(ctx, s, err)
	}
	return c.do(ctx, s, req, now)
}

func (c *Clients) do(ctx context.Context, s *Source, req *http.Request, now time.Time) (http.Header, []byte, error) {
	client := c.public
	if s.OwnURL {
		client = c.given
	}
	resp, err := client.Do(req.WithContext(ctx))
	if egress.IsRefused(err) {
		return nil, nil, failure.Permanent(failure.TypeRefused, "%s is not asked: %v", s.API.Base(), errors.Unwrap(err))
	}
	if err != nil {
		return nil, nil, withoutKey(ctx, s, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, nil, withoutKey(ctx, s, err)
	case len(body) > maxPage:
		return nil, nil, failure.Permanent(failure.TypeRefused, "the answer of %s is larger than %d bytes", s.API.Base(), maxPage)
	case resp.StatusCode/100 == 2:
		return resp.Header, body, nil
	}
	said := strings.ReplaceAll(failure.Printable(string(body), 300), cmp.Or(s.Key, "\x00"), "<secret>")
	text := fmt.Sprintf("%s %s answers %d: %s", req.Method, req.URL.Path, resp.StatusCode, said)
	if wait, later := waitOf(resp, now); later {
		return nil, nil, failure.Unavailable(ctx, wait, "%s", text)
	}
	if resp.StatusCode/100 == 3 {
		text = fmt.Sprintf("%s %s answers %d: a redirect is not followed, so that the key stays on its host", req.Method, req.URL.Path, resp.StatusCode)
	}
	return nil, nil, &refusedError{status: resp.StatusCode, cause: failure.Permanent(failure.TypeRefused, "%s", text)}
}

// refusedError is an answer that will be the same next time.
type refusedError struct {
	status int
	cause  error
}

func (e *refusedError) Error() string { return e.cause.Error() }

// Unwrap returns the error of the Activity.
func (e *refusedError) Unwrap() error { return e.cause }

// ofItem reports whether the answer is about the one item that was asked for,
// and not about the key or the address.
func (e *refusedError) ofItem() bool {
	return e.status/100 == 4 && e.status != http.StatusUnauthorized && e.status != http.StatusForbidden
}

// waitOf returns how long to wait before the request is sent again; later is
// false where that would be of no use.
func waitOf(resp *http.Response, now time.Time) (wait time.Duration, later bool) {
	after := resp.Header.Get("Retry-After")
	limited := resp.StatusCode == http.StatusForbidden && (after != "" || resp.Header.Get("X-RateLimit-Remaining") == "0")
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout && resp.StatusCode < 500 && !limited {
		return 0, false
	}
	if n, err := strconv.ParseInt(after, 10, 32); err == nil && n > 0 {
		return min(time.Duration(n)*time.Second, longestWait), true
	}
	if at, err := http.ParseTime(after); err == nil && at.After(now) {
		return min(at.Sub(now), longestWait), true
	}
	if n, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && limited {
		if at := time.Unix(n, 0); at.After(now) {
			return min(at.Sub(now), longestWait), true
		}
	}
	return 0, true
}

// withoutKey is the error of a request that got no answer.
func withoutKey(ctx context.Context, s *Source, err error) error {
	text := strings.ReplaceAll(err.Error(), cmp.Or(s.Key, "\x00"), "<secret>")
	return failure.Unavailable(ctx, 0, "%s: %s", s.API.Base(), failure.Printable(text, 300))
}
