package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reading reads a body of so many bytes, of which the request says that there
// are length.
func (m *memory) reading(ctx context.Context, size int, length int64) ([]byte, func(), error) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("x"), size))))
	r.ContentLength = length
	return m.read(ctx, httptest.NewRecorder(), r, 1<<20)
}

func TestMemoryReadsWholeBodies(t *testing.T) {
	t.Parallel()
	m := newMemory(nil)
	for _, size := range []int{0, 1, small - 1, small, small + 1, 2*small + 7, 1 << 20} {
		for _, length := range []int64{int64(size), -1} {
			body, release, err := m.reading(t.Context(), size, length)
			require.NoError(t, err, size)
			require.Equal(t, strings.Repeat("x", size), string(body))
			release()
		}
	}
	require.True(t, m.held.TryAcquire(m.most), "everything is given back")
}

// TestMemoryIsBounded sees that large bodies wait for room, that small ones do
// not, and that whoever waits holds nothing.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory(nil)
	var releases []func()
	for range MaxHeld >> 20 {
		_, release, err := m.reading(t.Context(), 1<<20, 1<<20)
		require.NoError(t, err)
		releases = append(releases, release)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for _, length := range []int64{small + 1, -1} {
		_, _, err := m.reading(impatient, small+1, length)
		refused := &refusal{}
		require.ErrorAs(t, err, &refused)
		require.Equal(t, noRoom, refused.reason)
		require.Equal(t, http.StatusServiceUnavailable, answers[refused.reason].status)
	}
	_, release, err := m.reading(impatient, small, small)
	require.NoError(t, err, "a small body needs no room")
	release()

	releases[0]()
	_, release, err = m.reading(t.Context(), 1<<20, 1<<20)
	require.NoError(t, err, "room that is given back is there for the next")
	release()
}

// TestMemoryTakesOneOfEach sees that a source's largest body is never too much.
func TestMemoryTakesOneOfEach(t *testing.T) {
	t.Parallel()
	m := newMemory(map[string]*Source{"a": {maxBody: 2 * MaxHeld}})
	require.True(t, m.held.TryAcquire(2*MaxHeld))
}

func TestMemorySends(t *testing.T) {
	t.Parallel()
	m := newMemory(nil)
	sent, err := m.send(t.Context(), 100<<20)
	require.NoError(t, err, "more than there is room for goes alone")
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.send(impatient, small+1)
	require.ErrorIs(t, err, context.Canceled)
	small1, err := m.send(t.Context(), small)
	require.NoError(t, err, "small ones do not wait for it")
	small1()
	sent()
	sent, err = m.send(t.Context(), maxSending)
	require.NoError(t, err)
	sent()
	require.True(t, m.starting.TryAcquire(maxStarting), "everything is given back")
	_, err = m.send(impatient, maxSending)
	require.ErrorIs(t, err, context.Canceled, "there are enough on their way")
	require.True(t, m.sending.TryAcquire(maxSending), "what does not go takes no room")
}

// TestTooLargeIsAnswered sends a body that is refused by its length over a
// connection that the sender wants closed: the answer has to arrive before the
// connection goes.
func TestTooLargeIsAnswered(t *testing.T) {
	t.Parallel()
	m := newMemory(nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _, err := m.read(r.Context(), w, r, 1<<10)
		refused := &refusal{}
		if errors.As(err, &refused) {
			writeRefusal(w, refused)
		}
	}))
	t.Cleanup(server.Close)
	for range 20 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(make([]byte, 4<<20)))
		require.NoError(t, err)
		r.Close = true
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
	}
}
