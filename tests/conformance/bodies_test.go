package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// malformed delivers bodies that no event can be read from. A stranger learns
// no more of them than that they are not signed; the sender is told.
func malformed(s *site) {
	for what, body := range map[string]string{
		"no JSON":          `{"id":"evt_1`,
		"no object":        `[1]`,
		"no id":            `{"type":"order.created"}`,
		"an id of no text": `{"id":{"evt_1":1},"type":"order.created"}`,
		"nothing":          ``,
		"no text":          "\xff\x00",
		"very deep":        strings.Repeat("[", 20_000),
	} {
		s.refuses(401, s.stripe(body, otherSecret, time.Now()), what+", of a stranger")
		s.refuses(422, s.stripe(body, secret, time.Now()), what+", of the sender")
	}
	s.refuses(413, s.stripe(strings.Repeat(" ", 64<<10+1), otherSecret, time.Now()), "too large")

	// Where the id is a header, the body is the sender's own affair: it goes
	// on as it is.
	const body = "\xff\x00 no JSON, and no text: msg_1 \r\n"
	s.answers(accepted, s.standard(body, secret, time.Now()), "a body of bytes")
	s.eachOnce(message)
	require.Equal(s.v, body, s.downstream.about(message)[0].body, "the body is passed on byte for byte")
}

// contentTypes delivers JSON under names that are not its own. It is signed:
// what it is called changes nothing.
func contentTypes(s *site) {
	events := []string{}
	for i, name := range []string{"", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", "application/json;;=", "\t", strings.Repeat("x", 5000)} {
		id := fmt.Sprintf("evt_%d.", i)
		s.answers(accepted, s.genuine(id).with("Content-Type", name), "Content-Type %.40q", name)
		events = append(events, id)
	}
	s.eachOnce(events...)
}

// chunks delivers bodies whose length nobody says beforehand.
func chunks(s *site) {
	const header = "Transfer-Encoding: chunked"
	send := func(d delivery, piece int) answer {
		c := s.dial(d, header)
		defer c.end()
		w := httputil.NewChunkedWriter(c)
		for body := d.body; len(body) > 0; body = body[min(piece, len(body)):] {
			if _, err := w.Write(body[:min(piece, len(body))]); err != nil {
				break // the edge has had enough, and has answered
			}
		}
		_, _ = io.WriteString(c, "0\r\n\r\n") // as above
		return s.answered(c)
	}
	genuine := s.genuine("evt_1")
	require.Equal(s.v, 401, send(genuine.with("Stripe-Signature", ""), 100).code, "unsigned")
	require.Equal(s.v, s.first(), send(genuine, 7).String(), "in chunks of 7 bytes")
	large := s.stripe(`{"id":"evt_large","type":"order.created","data":"`+strings.Repeat("x", 64<<10)+`"}`, secret, time.Now())
	require.Equal(s.v, 413, send(large, 4<<10).code, "larger than the source takes")

	c := s.dial(s.genuine("evt_2"), header)
	defer c.end()
	_, err := io.WriteString(c, "5\r\n{\"id\"\r\nnot a length\r\n")
	require.NoError(s.v, err)
	require.Equal(s.v, 400, s.answered(c).code, "chunks that are none")
	s.answers(accepted, s.genuine("evt_2"), "a good delivery of the event whose chunks were none")
	s.eachOnce("evt_1", "evt_2")
}

// lyingLength delivers bodies that are not as long as they are said to be.
func lyingLength(s *site) {
	genuine := s.genuine("evt_1")
	length := func(n int) string { return "Content-Length: " + strconv.Itoa(n) }
	send := func(fields ...string) answer {
		c := s.dial(genuine, fields...)
		defer c.end()
		_, _ = c.Write(genuine.body) // fails where the edge has seen enough, and
		_ = c.CloseWrite()           // has answered
		return s.answered(c)
	}
	require.Equal(s.v, 401, send(length(len(genuine.body)-1)).code, "a byte fewer: what is left of the body is not what was signed")
	require.Equal(s.v, 400, send(length(len(genuine.body)+1)).code, "a byte more, which never comes")
	require.Equal(s.v, 400, send(length(-1)).code, "less than nothing")
	require.Equal(s.v, 400, send(length(1), length(len(genuine.body))).code, "two lengths")
	require.Equal(s.v, 413, send(length(1<<40)).code, "more than any source takes, said and not sent")
	s.answers(accepted, genuine, "the delivery as it should be")
	s.eachOnce("evt_1")
}

// answered reads the answer that comes on the connection.
func (s *site) answered(c raw) answer {
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(s.v, err, "the edge answers on a connection that it does not like")
	a, err := read(resp)
	if !errors.Is(err, errNoAnswer) {
		require.NoError(s.v, err)
	}
	a.code = resp.StatusCode // it has come, even where a reset cuts the body behind it
	return a
}
