package measure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// wire posts deliveries on connections that it keeps, for as little CPU as
// possible: under overload the sender must not be what the machine is busy
// with. It may be used by many goroutines.
type wire struct {
	address, path string
	patience      time.Duration // of the sender, for one delivery

	mu   sync.Mutex
	idle []*wireConn
}

type wireConn struct {
	net.Conn
	in *bufio.Reader
}

// reply is an answer, as far as a sender looks at it.
type reply struct {
	status     int
	retryAfter time.Duration // 0 where it does not say
}

func (w *wire) post(ctx context.Context, d delivery) (reply, error) {
	c, kept, err := w.take(ctx)
	if err != nil {
		return reply{}, err
	}
	r, again, err := w.exchange(c, d)
	if err != nil && kept && again {
		// The server has closed a connection that was kept.
		c.Close()
		if c, err = w.dial(ctx); err != nil {
			return reply{}, err
		}
		r, _, err = w.exchange(c, d)
	}
	if err != nil {
		c.Close()
		return reply{}, err
	}
	return r, nil
}

func (w *wire) take(ctx context.Context) (c *wireConn, kept bool, err error) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		c, w.idle = w.idle[n-1], w.idle[:n-1]
		w.mu.Unlock()
		return c, true, nil
	}
	w.mu.Unlock()
	c, err = w.dial(ctx)
	return c, false, err
}

func (w *wire) dial(ctx context.Context) (*wireConn, error) {
	c, err := (&net.Dialer{Timeout: w.patience}).DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, err
	}
	return &wireConn{c, bufio.NewReader(c)}, nil
}

// exchange sends the delivery and reads the answer. again says that nothing was
// read, so that the delivery may be sent on another connection.
func (w *wire) exchange(c *wireConn, d delivery) (r reply, again bool, err error) {
	if err := c.SetDeadline(time.Now().Add(w.patience)); err != nil {
		return reply{}, false, err
	}
	request := fmt.Appendf(make([]byte, 0, len(d.body)+1<<10), "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", w.path, w.address, len(d.body))
	for name, values := range d.header {
		for _, value := range values {
			request = fmt.Appendf(request, "%s: %s\r\n", name, value)
		}
	}
	request = append(append(request, "\r\n"...), d.body...)
	if _, err := c.Write(request); err != nil {
		return reply{}, true, err
	}
	if _, err := c.in.Peek(1); err != nil {
		return reply{}, true, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return reply{}, false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return reply{}, false, err
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	r = reply{resp.StatusCode, time.Duration(seconds) * time.Second}
	if resp.Close {
		return r, false, c.Close()
	}
	w.mu.Lock()
	w.idle = append(w.idle, c)
	w.mu.Unlock()
	return r, false, nil
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.idle {
		c.Close()
	}
	w.idle = nil
}
