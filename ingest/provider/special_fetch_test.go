package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve starts a TLS server and returns a network that trusts it and is
// otherwise as it is in use.
func serve(t *testing.T, handler http.HandlerFunc) (network, string) {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	n := newNetwork()
	transport := n.client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	return n, server.URL
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	n, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			_, _ = io.WriteString(w, "a key")
		case "/redirect":
			http.Redirect(w, r, "/good", http.StatusFound)
		case "/largest":
			_, _ = io.WriteString(w, strings.Repeat("x", maxFetched))
		case "/larger":
			_, _ = io.WriteString(w, strings.Repeat("x", maxFetched+1))
		case "/short":
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "short")
		default:
			http.NotFound(w, r)
		}
	})
	for _, tt := range []struct{ url, want, err string }{
		{base + "/good", "a key", ""},
		{base + "/largest", strings.Repeat("x", maxFetched), ""},
		{base + "/larger", "", "more than 65536 bytes"},
		{base + "/redirect", "", "answered 302: want 200"},
		{base + "/nowhere?Token=secret", "", "answered 404: want 200"},
		{base + "/short", "", "unexpected EOF"},
		{strings.Replace(base, "https", "http", 1) + "/good", "", "want https"},
		{"https://127.0.0.1:1/?Token=secret", "", "refused"},
		{"https://127.0.0.1:1/%zz", "", "cannot be asked"},
	} {
		got, err := n.Fetch(t.Context(), tt.url)
		if tt.err == "" {
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
			continue
		}
		require.ErrorContains(t, err, tt.err)
		require.NotContains(t, err.Error(), "secret")
	}
	require.Equal(t, fetchTimeout, n.client.Timeout)
	stranger := newNetwork()
	_, err := stranger.Fetch(t.Context(), base+"/good")
	require.ErrorContains(t, err, "certificate", "a server that nobody vouches for")
}

func TestNetworkTimesOut(t *testing.T) {
	t.Parallel()
	n, base := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	n.client.Timeout = 50 * time.Millisecond
	_, err := n.Fetch(t.Context(), base)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// counter is a Fetcher that counts, and that can be held back or fail.
type counter struct {
	fetched atomic.Int64
	hold    chan struct{}
	fail    atomic.Bool
}

func (c *counter) Fetch(ctx context.Context, url string) ([]byte, error) {
	c.fetched.Add(1)
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c.fail.Load() {
		return nil, errors.New("it is down")
	}
	return []byte(url), nil
}

func textKeyring(f Fetcher) *keyring[string] {
	return newKeyring(f, func(b []byte) (string, error) {
		if len(b) == 0 {
			return "", errors.New("it is empty")
		}
		return string(b), nil
	})
}

func TestKeyringKeeps(t *testing.T) {
	t.Parallel()
	c := &counter{}
	r := textKeyring(c)
	for range 3 {
		key, err := r.get(t.Context(), "a", specialNow)
		require.NoError(t, err)
		require.Equal(t, "a", key)
	}
	require.EqualValues(t, 1, c.fetched.Load())

	late := specialNow.Add(keyLifetime)
	_, err := r.get(t.Context(), "a", late)
	require.NoError(t, err)
	require.EqualValues(t, 2, c.fetched.Load(), "a day later it is asked for again")

	c.fail.Store(true)
	key, err := r.get(t.Context(), "a", late.Add(keyLifetime))
	require.NoError(t, err, "the old key stays while the host is down")
	require.Equal(t, "a", key)
	_, err = r.get(t.Context(), "b", late)
	require.ErrorContains(t, err, "cannot be had now: it is down")
	require.Empty(t, Reason(err), "that says nothing about the delivery")
	c.fail.Store(false)
	_, err = r.get(t.Context(), "b", late)
	require.NoError(t, err, "a failure is not kept")
}

func TestKeyringMergesFetches(t *testing.T) {
	t.Parallel()
	c := &counter{hold: make(chan struct{})}
	r := textKeyring(c)
	leaving, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	errs := make(chan error, 20)
	for i := range 20 {
		ctx := t.Context()
		if i == 0 {
			ctx = leaving
		}
		all.Go(func() {
			_, err := r.get(ctx, "a", specialNow)
			errs <- err
		})
	}
	require.Eventually(t, func() bool { return c.fetched.Load() == 1 }, time.Minute, time.Millisecond)
	leave() // whoever came first does not take the others along
	close(c.hold)
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, c.fetched.Load())
}

func TestKeyringIsBounded(t *testing.T) {
	t.Parallel()
	c := &counter{}
	r := textKeyring(c)
	r.limit.SetLimit(1e9)
	r.limit.SetBurst(1000)
	for i := range maxKeys + 1 {
		_, err := r.get(t.Context(), strconv.Itoa(i), specialNow.Add(time.Duration(i)*time.Second))
		require.NoError(t, err)
	}
	require.Len(t, r.kept, maxKeys)
	require.NotContains(t, r.kept, "0", "the oldest goes first")
	require.Contains(t, r.kept, strconv.Itoa(maxKeys))
}

func TestKeyringLimitsFetches(t *testing.T) {
	t.Parallel()
	c := &counter{}
	r := textKeyring(c)
	_, err := r.get(t.Context(), "genuine", specialNow)
	require.NoError(t, err)
	var refused int
	for i := range 100 {
		if _, err := r.get(t.Context(), strconv.Itoa(i), specialNow); err != nil {
			require.ErrorContains(t, err, "too many keys")
			refused++
		}
	}
	require.GreaterOrEqual(t, refused, 70)
	_, err = r.get(t.Context(), "genuine", specialNow)
	require.NoError(t, err, "what is kept needs no fetch")
}
