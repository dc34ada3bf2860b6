package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hookyard/hookyard/internal/worker/failure"
)

const (
	// excerpt is how much of an answer's body an error quotes, in bytes.
	excerpt = 512
	// drain is how much more of it is read, in bytes, so that the connection
	// can be used again.
	drain = 64 << 10
	// patience is how long an answer's body may take. The status is known by
	// then, and a trickle must not turn a success into a timeout.
	patience = time.Second
	// longestDelay caps Retry-After: an event must not sleep for a year
	// because of one wrong header.
	longestDelay = time.Hour
)

// post sends the body to the endpoint and turns the answer into the outcome of
// an Activity:
//
//	2xx                            nil
//	408, 425, 429, 5xx, no answer  Unavailable; Retry-After sets the delay
//	any other status               Refused, which is permanent
//
// A redirect counts as refused. Following it would repeat the signature, and
// perhaps the token, to a host that the operator has not named. Errors name
// the scheme and host alone, because paths and queries often hold a secret.
//
// The client may be nil. Its redirect policy is not used.
func post(ctx context.Context, client *http.Client, endpoint *url.URL, header http.Header, body []byte, now time.Time) error {
	where := endpoint.Scheme + "://" + endpoint.Host
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(sending, http.MethodPost, endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return failure.Permanent(failure.TypeNotConfigured, "cannot make a request to %s", where)
	}
	req.Header = header
	header.Set("User-Agent", "Hookyard")

	res, err := withoutRedirects(client).Do(req)
	if err != nil {
		return failure.Unavailable(ctx, 0, "POST %s: %s", where, withoutURL(err))
	}
	defer res.Body.Close()
	slow := time.AfterFunc(patience, cancel)
	defer slow.Stop()
	said, _ := io.ReadAll(io.LimitReader(res.Body, excerpt))
	_, _ = io.CopyN(io.Discard, res.Body, drain)

	message := fmt.Sprintf("POST %s: %s", where, status(res.StatusCode))
	if text := failure.Printable(string(said), excerpt); text != "" {
		message += ": " + text
	}
	switch code := res.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly,
		code == http.StatusTooManyRequests, code/100 == 5:
		return failure.Unavailable(ctx, retryAfter(res.Header, now), "%s", message)
	case code/100 == 3:
		return failure.Permanent(failure.TypeRefused, "%s (redirects are not followed: configure the URL it points to)", message)
	default:
		return failure.Permanent(failure.TypeRefused, "%s", message)
	}
}

// endpoint parses a URL that a request can go to. What names its place in the
// config, which is all that an error says about it.
func endpoint(raw, what string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, failure.Permanent(failure.TypeNotConfigured, "%s is not an http or https URL", what)
	}
	return u, nil
}

func withoutRedirects(client *http.Client) *http.Client {
	var own http.Client
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// withoutURL says what became of a request without the URL that *url.Error
// starts with.
func withoutURL(err error) string {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return err.Error()
	}
	if failed.Timeout() {
		return "no answer in time"
	}
	return failed.Err.Error()
}

func status(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}

// retryAfter returns the delay that an answer asks for, in either form of RFC
// 9110, section 10.2.3, and at most longestDelay. It is zero where the header
// is missing, in the past or not understood: the Retry Policy decides then.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), longestDelay)
	}
	// A number too large for an int64 parses as the largest one.
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(max(seconds, 0), int64(longestDelay/time.Second))) * time.Second
}

// escaped writes text as a header value that any client may send: bytes that
// are not visible ASCII, and "%", are percent-encoded. Ids and event types as
// providers write them come out unchanged.
func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
