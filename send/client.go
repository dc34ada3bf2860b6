// Package send publishes events to the endpoints of your customers, by a
// Hookyard that has a `send:` section in its config.
//
// Client publishes by the API. Outbox writes an event in a transaction of your
// own PostgreSQL database, so that it is published exactly if what it tells of
// has happened. Activities publishes from a Workflow.
package send

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hookyard/hookyard/internal/send/endpoint"
)

// Event is what is published.
type Event struct {
	// ID is the event's own: at most 128 of A-Z, a-z, 0-9, dash, underscore,
	// colon and @. Receivers get it as webhook-id. An event that is published
	// again with its ID and the same content is not sent again. Empty for a new
	// one.
	ID string `json:"id,omitempty"`
	// Tenant is whose endpoints get the event. A token of a tenant may leave it
	// out.
	Tenant string `json:"tenant,omitempty"`
	// Type is matched by the patterns of endpoints, such as "invoice.paid".
	Type string `json:"type"`
	// Data is JSON. Body is anything else, or JSON to the byte, with its
	// ContentType. One of the two is set.
	Data        json.RawMessage `json:"data,omitempty"`
	Body        []byte          `json:"body_base64,omitempty"`
	ContentType string          `json:"content_type,omitempty"`
}

// message returns what is stored of an event.
func (e Event) message() (endpoint.Message, error) {
	m := endpoint.Message{Tenant: e.Tenant, ID: e.ID, Type: e.Type, ContentType: "application/json", Body: e.Data}
	if m.ID == "" {
		m.ID = endpoint.NewID(endpoint.MessageIDPrefix)
	}
	if (e.Data == nil) == (e.Body == nil) {
		return m, errors.New("publish: want either Data, which is JSON, or Body with ContentType")
	}
	if e.Data != nil && !json.Valid(e.Data) {
		return m, errors.New("publish: Data is not JSON")
	}
	if e.Body != nil {
		m.Body, m.ContentType = e.Body, e.ContentType
	}
	if field, want := m.Mistake(); field != "" {
		return m, fmt.Errorf("publish: %s: %s", field, want)
	}
	return m, nil
}

// Published is what became of an event.
type Published struct {
	ID string `json:"id"`
	// Duplicate is set where the event was published before.
	Duplicate bool `json:"duplicate"`
	// Endpoints are those that get the event, the first 100 that were looked at.
	Endpoints []string `json:"endpoints"`
	// More is set where there may be others.
	More bool `json:"more"`
}

// Client calls the API. Its fields are not changed once it is used; then it may
// be used by many goroutines.
type Client struct {
	// URL is where the API is, such as "http://127.0.0.1:8082".
	URL string
	// Key is an operator's key, or the token of a tenant.
	Key string
	// HTTP makes the requests; nil for a client with a timeout of 30 s.
	HTTP *http.Client
}

// Error is an answer of the API that is no success.
type Error struct {
	Status  int    `json:"-"`    // of HTTP
	Code    string `json:"code"` // such as "invalid"
	Message string `json:"message"`
	Field   string `json:"field"` // of the request that is meant; "" for none
	// RetryAfter is how long to wait before another try; 0 where it was not
	// said.
	RetryAfter time.Duration `json:"-"`
}

func (e *Error) Error() string {
	text := strconv.Itoa(e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Field != "" {
		text += fmt.Sprintf(": %q", e.Field)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Temporary reports that the same request may succeed later.
func (e *Error) Temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= http.StatusInternalServerError
}

// Publish has an event sent to each endpoint of its tenant that wants it. Once
// it returns without an error, the event is stored and will be delivered.
//
// The error is an *Error where the API has answered. After any other error, or
// a Temporary one, the event may be stored: publish it again with its ID.
func (c *Client) Publish(ctx context.Context, e Event) (Published, error) {
	var p Published
	err := c.Call(ctx, http.MethodPost, "/v1/events", e, &p)
	return p, err
}

const (
	clientTimeout = 30 * time.Second
	largestAnswer = 16 << 20
)

// Call makes any request of the API, as its /openapi.json describes it: path
// with its query, in as JSON, nil for none. The answer goes to out unless that
// is nil.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	body := &bytes.Buffer{}
	if in != nil {
		encoder := json.NewEncoder(body)
		encoder.SetEscapeHTML(false) // receivers get Data as it is written
		if err := encoder.Encode(in); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, body)
	if err != nil {
		return errors.New("the URL of the sending API cannot be requested")
	}
	r.Header.Set("Authorization", "Bearer "+c.Key)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: clientTimeout}
	}
	res, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("the sending API does not answer: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, largestAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: the answer did not arrive: %w", method, path, err)
	}
	if res.StatusCode/100 != 2 {
		return asError(res, answer)
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %d, and the answer is not that of the sending API", method, path, res.StatusCode)
	}
	return nil
}

func asError(res *http.Response, answer []byte) error {
	shape := struct{ Error Error }{}
	_ = json.Unmarshal(answer, &shape) // an answer of something in between has a status alone
	e := shape.Error
	e.Status = res.StatusCode
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return &e
}
