package trial

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newTestDownstream(t *testing.T) *downstream {
	d, err := startDownstream(t.Context(), 1)
	require.NoError(t, err)
	t.Cleanup(d.close)
	return d
}

// call posts a body under a key. The code is 0 where no answer came.
func (d *downstream) call(ctx context.Context, t *testing.T, key, body string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.address+"/", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Idempotency-Key", key)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

func TestDownstreamCountsByKey(t *testing.T) {
	t.Parallel()
	d := newTestDownstream(t)
	for range 2 {
		require.Equal(t, http.StatusNoContent, d.call(t.Context(), t, "a", "same"))
	}
	d.call(t.Context(), t, "b", "one")
	d.call(t.Context(), t, "b", "another")

	done, calls, err := d.took("a", sha256.Sum256([]byte("same")))
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, 2, calls)
	_, _, err = d.took("a", sha256.Sum256([]byte("other")))
	require.ErrorContains(t, err, `the body under key "a" is not the one that was sent`)
	_, _, err = d.took("b", [sha256.Size]byte{})
	require.ErrorContains(t, err, `2 different bodies came under key "b"`)
	done, calls, err = d.took("c", [sha256.Size]byte{})
	require.NoError(t, err)
	require.False(t, done)
	require.Zero(t, calls)
	require.ElementsMatch(t, []string{"a", "b"}, d.keys())
}

func TestDownstreamInTrouble(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind][]int{
		Flaky:   {0, 429, 500, 503},
		Garbage: {0, 200, 404},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newTestDownstream(t)
			end, err := d.begin(t.Context(), Fault{Kind: kind})
			require.NoError(t, err)
			seen := map[int]bool{}
			for range 60 {
				seen[d.call(t.Context(), t, "a", "body")] = true
			}
			for _, code := range want {
				require.True(t, seen[code], "%d among %v", code, seen)
			}
			require.Len(t, seen, len(want), "%v", seen)

			require.NoError(t, end(t.Context()))
			require.Equal(t, http.StatusNoContent, d.call(t.Context(), t, "a", "body"))
		})
	}
	t.Run("a refused call has no effect", func(t *testing.T) {
		t.Parallel()
		d := newTestDownstream(t)
		d.set(Garbage)
		for d.call(t.Context(), t, "a", "body") != http.StatusNotFound {
			d.effects = map[string]*effect{}
		}
		done, calls, _ := d.took("a", [sha256.Size]byte{})
		require.False(t, done)
		require.Equal(t, 1, calls)
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		d := newTestDownstream(t)
		d.set(Slow)
		began := time.Now()
		require.Equal(t, http.StatusNoContent, d.call(t.Context(), t, "a", "body"))
		require.GreaterOrEqual(t, time.Since(began), time.Second)
	})
}
