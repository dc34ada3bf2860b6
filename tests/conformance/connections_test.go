package conformance

import (
	"context"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
)

// timeout delivers while Temporal does not answer, gives up, and delivers
// again, as every sender does.
func timeout(s *site) {
	release := s.gate.holdResponses()
	defer release()
	ctx, cancel := context.WithTimeout(s.ctx, time.Second)
	defer cancel()
	a, err := s.try(ctx, s.genuine("evt_1"))
	require.ErrorIs(s.v, err, errNoAnswer, "answered %s before Temporal had said that the event is stored", a)
	release()
	a = s.deliver(s.genuine("evt_1"))
	require.True(s.v, a.ok(), "the second delivery: %s", a)
	s.eachOnce("evt_1")
}

// cutBefore loses the connection before the body has come, and halfway, and
// before its last byte, without which it reads the same. If anything was made
// of what did come, the whole delivery is no longer the first.
func cutBefore(s *site) {
	genuine := s.stripe(order("evt_1", time.Now())+"\n", secret, time.Now())
	length := "Content-Length: " + strconv.Itoa(len(genuine.body))
	for _, sent := range [][]byte{nil, genuine.body[:1], genuine.body[:len(genuine.body)-1]} {
		for _, end := range []func(raw){raw.cut, raw.hangUp} {
			c := s.dial(genuine, length)
			_, err := c.Write(sent)
			require.NoError(s.v, err)
			end(c)
		}
	}
	s.answers(accepted, genuine, "the whole delivery")
	s.eachOnce("evt_1")
}

// cutAfter loses the connection when all is sent and nothing is answered: the
// sender cannot know what became of it and delivers again.
func cutAfter(s *site) {
	genuine := s.genuine("evt_1")
	release := s.gate.holdRequests()
	defer release()
	c := s.dial(genuine, "Content-Length: "+strconv.Itoa(len(genuine.body)))
	_, err := c.Write(genuine.body)
	require.NoError(s.v, err)
	require.NoError(s.v, c.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
	n, err := c.Read(make([]byte, 1))
	require.Error(s.v, err, "answered before Temporal could be asked")
	require.Zero(s.v, n)
	c.cut()
	release()
	a := s.deliver(genuine)
	require.True(s.v, a.ok(), "the second delivery: %s", a)
	s.eachOnce("evt_1")
}
