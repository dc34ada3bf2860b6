package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v82/webhook"
)

// Every source has the one secret. As base64 it is a key of Standard Webhooks,
// too. The other one is a stranger's.
const (
	secret      = "whsec_YSBzZWNyZXQgb25seSBmb3IgdGhlIHNjZW5hcmlvcw=="
	otherSecret = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCwgbm90IG91cnM="
)

// delivery is a request as a sender makes it.
type delivery struct {
	source string
	header http.Header
	body   []byte
}

// with returns the delivery with a header of another value; "" for without it.
func (d delivery) with(name, value string) delivery {
	d.header = d.header.Clone()
	if d.header.Set(name, value); value == "" {
		d.header.Del(name)
	}
	return d
}

// saying returns the delivery with another body under the old signature.
func (d delivery) saying(body string) delivery {
	d.body = []byte(body)
	return d
}

// order is the body of an event that no Workflow is for, so that it is
// forwarded: the service behind is its effect. It was made at the given time.
func order(eventID string, at time.Time) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","created":%d,"type":"order.created","data":{"object":{"id":"or_1","total": 49.00}}}`, eventID, at.Unix())
}

// invoice is the body of an event that is recorded in the ledger and then told
// to the customer.
func invoice(eventID string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","created":1767225600,"type":"invoice.paid","data":{"object":{"id":"in_1","number":"HY-1",`+
		`"customer":"cus_1","customer_email":"ada@example.com","amount_paid":4900,"currency":"eur","status_transitions":{"paid_at":1767225590}}}}`, eventID)
}

// stripe signs a body with Stripe's own library.
func (s *site) stripe(body, secret string, at time.Time) delivery {
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret, Timestamp: at})
	return delivery{s.name, http.Header{"Content-Type": {"application/json"}, "Stripe-Signature": {signed.Header}}, []byte(body)}
}

// message is the id of the one event that comes as Standard Webhooks do, in a
// header.
const message = "msg_1"

// standard signs a body with the library of the Standard Webhooks project.
func (s *site) standard(body, secret string, at time.Time) delivery {
	library, err := standardwebhooks.NewWebhook(secret)
	require.NoError(s.v, err)
	signature, err := library.Sign(message, at, []byte(body))
	require.NoError(s.v, err)
	return delivery{s.acme(), http.Header{
		"Content-Type":      {"application/json"},
		"Webhook-Id":        {message},
		"Webhook-Timestamp": {strconv.FormatInt(at.Unix(), 10)},
		"Webhook-Signature": {signature},
	}, []byte(body)}
}

// genuine is a delivery of an order, made and signed just now.
func (s *site) genuine(eventID string) delivery {
	now := time.Now()
	return s.stripe(order(eventID, now), secret, now)
}

// answer is what a sender gets.
type answer struct {
	code   int
	said   string // the body
	header http.Header
}

// The answers that a delivery gets. A 2xx has one of these in it.
const (
	accepted  = `200 {"status":"accepted"}`
	duplicate = `200 {"status":"duplicate"}`
	journaled = `200 {"status":"journaled"}`
)

// String is the answer's first line and, of a 2xx, its body.
func (a answer) String() string {
	if a.ok() {
		return fmt.Sprintf("%d %s", a.code, strings.TrimSpace(a.said))
	}
	return strconv.Itoa(a.code)
}

// ok reports whether the sender takes the delivery for done.
func (a answer) ok() bool { return a.code/100 == 2 }

// errNoAnswer is a delivery that the sender cannot know the outcome of.
var errNoAnswer = errors.New("no answer")

// try posts the delivery. The error is an errNoAnswer.
func (s *site) try(ctx context.Context, d delivery) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/webhooks/"+d.source, bytes.NewReader(d.body))
	if err != nil {
		return answer{}, err
	}
	req.Header = d.header.Clone()
	resp, err := s.sender.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return read(resp)
}

func read(resp *http.Response) (answer, error) {
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return answer{resp.StatusCode, string(said), resp.Header}, nil
}

// deliver posts the delivery and requires some answer.
func (s *site) deliver(d delivery) answer {
	a, err := s.try(s.ctx, d)
	require.NoError(s.v, err)
	return a
}

// answers requires that the delivery is given just this answer, which is a 2xx.
// A busy machine may make the edge answer 503; then it is delivered again, as
// providers do.
func (s *site) answers(want string, d delivery, what string, args ...any) {
	switch {
	case want == accepted:
		want = s.first()
	case want == duplicate && s.receiver.journal: // once it is started, the journal has it no longer
		want = duplicate + " or " + journaled
	}
	a := s.deliver(d)
	for ; a.code == http.StatusServiceUnavailable; a = s.deliver(d) {
		if want == s.first() {
			want += " or " + duplicate
		}
	}
	require.Contains(s.v, want, a.String(), what, args)
}

// first is the answer to the first delivery of an event.
func (s *site) first() string {
	if s.receiver.journal {
		return journaled
	}
	return accepted
}

// refuses requires that the delivery is refused in the way that the sender can
// read: with this status, as a problem, and never with 410.
func (s *site) refuses(code int, d delivery, what string) {
	a := s.deliver(d)
	require.Equal(s.v, code, a.code, "%s: answered %s", what, a.said)
	require.Equal(s.v, "application/problem+json", a.header.Get("Content-Type"), what)
}

// raw is a connection to the edge on which a sender breaks the rules of HTTP.
type raw struct{ *net.TCPConn }

// dial opens one and writes the head of a delivery, with these fields in the
// place of what an HTTP client would say of the body.
func (s *site) dial(d delivery, fields ...string) raw {
	conn, err := (&net.Dialer{}).DialContext(s.ctx, "tcp", s.address)
	require.NoError(s.v, err)
	c := raw{conn.(*net.TCPConn)}
	require.NoError(s.v, c.SetDeadline(time.Now().Add(time.Minute)))
	head := "POST /webhooks/" + d.source + " HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n"
	for _, field := range fields {
		head += field + "\r\n"
	}
	for name, values := range d.header {
		head += name + ": " + values[0] + "\r\n"
	}
	_, err = io.WriteString(c, head+"\r\n")
	require.NoError(s.v, err)
	return c
}

func (c raw) end() { _ = c.Close() }

// hangUp says that nothing more will come, and waits until the edge is done
// with what did come.
func (c raw) hangUp() {
	defer c.end()
	if err := c.CloseWrite(); err == nil {
		_, _ = io.Copy(io.Discard, c) // to the end or to the deadline
	}
}

// cut ends the connection at once, both ways, as a network does.
func (c raw) cut() {
	_ = c.SetLinger(0) // the peer sees it reset, or sees nothing
	c.end()
}
