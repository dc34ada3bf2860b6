package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"
)

// read reads the whole body or refuses it. It never goes on with a part of it.
// Until release is called the body counts as held.
//
// The buffer grows with the bytes that have come, so a sender that claims much
// and sends little takes little.
func (s *Server) read(w http.ResponseWriter, r *http.Request, source *Source, peer netip.Prefix, receivedAt time.Time) (body []byte, release func(), err error) {
	if r.ContentLength > source.maxBody {
		return nil, nil, refuse(bodyTooLarge, nil)
	}
	expected := r.ContentLength
	if expected < 0 { // it is not said beforehand
		expected = source.maxBody
	}
	in := http.MaxBytesReader(w, r.Body, source.maxBody)
	release = func() {}
	var h *held
	buffer := make([]byte, 0, min(expected, firstRead)+bytes.MinRead)
	for {
		n, err := in.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if h != nil {
			h.received.Store(int64(len(buffer)))
		}
		if err != nil {
			return s.whole(buffer, h, release, err)
		}
		if len(buffer) < cap(buffer) {
			continue
		}
		if h == nil {
			unread := http.NewResponseController(w)
			h = s.room.enter(source.name, peer, func() { _ = unread.SetReadDeadline(time.Unix(1, 0)) })
			h.received.Store(int64(len(buffer)))
			release = h.release
		}
		larger := nextSize(cap(buffer), expected)
		// Both buffers are there until the bytes have been copied.
		if err := s.waitForRoom(r.Context(), h, int64(larger+cap(buffer)), source, receivedAt); err != nil {
			release()
			return nil, nil, refuseUnread(err)
		}
		buffer = append(make([]byte, 0, larger), buffer...)
		h.shrink(int64(larger))
	}
}

// growth is how many times as large a full buffer becomes.
const growth = 4

// nextSize returns how large the buffer of a body of the expected size is to
// be next.
func nextSize(size int, expected int64) int {
	return int(min(int64(size)*growth, expected+bytes.MinRead))
}

// waitForRoom waits no longer than the provider does.
func (s *Server) waitForRoom(ctx context.Context, h *held, size int64, source *Source, receivedAt time.Time) error {
	if h.growNow(size) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, source.startWithin(s.now().Sub(receivedAt)))
	defer cancel()
	return h.grow(ctx, size)
}

// whole returns the body that has been read until err.
func (s *Server) whole(body []byte, h *held, release func(), err error) ([]byte, func(), error) {
	if h != nil {
		if gaveUp := h.finish(); gaveUp != nil {
			err = gaveUp
		}
	}
	if errors.Is(err, io.EOF) {
		return body, release, nil
	}
	release()
	return nil, nil, refuseUnread(err)
}

// refuseUnread refuses a delivery whose body could not be read.
func refuseUnread(err error) *refusal {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return refuse(bodyTooLarge, nil)
	}
	switch {
	case errors.Is(err, errNoRoom):
		return refuse(noRoom, err)
	case errors.Is(err, errTooSlow), errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(bodyTooSlow, err)
	default:
		return refuse(bodyUnreadable, err)
	}
}

// unreadFor is for how long the HTTP server reads a body that nobody wants,
// after the answer.
const unreadFor = 500 * time.Millisecond

// leaveUnread has the HTTP server answer at once, and then close the
// connection, where a refused request has a body that nobody has read. Else it
// would first read up to 256 KiB of it, for as long as the sender likes, and
// invite a sender that waits for a 100 Continue.
func leaveUnread(w http.ResponseWriter) {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = wrapper.Unwrap()
	}
	// The HTTP server learns of a body that is too large from a
	// MaxBytesReader only. It then also waits with closing until the sender
	// has its answer.
	tooLarge := http.MaxBytesReader(w, io.NopCloser(strings.NewReader("x")), 0)
	_, _ = tooLarge.Read(make([]byte, 1))
	// After the answer it reads on, since closing a connection with bytes that
	// nobody has read takes the answer away from some senders.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadFor))
}
