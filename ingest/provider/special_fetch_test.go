package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
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
		key, err := r.get(t.Context(), "a", at(specialNow))
		require.NoError(t, err)
		require.Equal(t, "a", key)
	}
	require.EqualValues(t, 1, c.fetched.Load())

	late := specialNow.Add(keyLifetime)
	_, err := r.get(t.Context(), "a", at(late))
	require.NoError(t, err)
	require.EqualValues(t, 2, c.fetched.Load(), "a day later it is asked for again")

	c.fail.Store(true)
	key, err := r.get(t.Context(), "a", at(late.Add(keyLifetime)))
	require.NoError(t, err, "the old key stays while the host is down")
	require.Equal(t, "a", key)
	_, err = r.get(t.Context(), "b", at(late))
	require.ErrorContains(t, err, "cannot be had now: it is down")
	require.Empty(t, Reason(err), "that says nothing about the delivery")
	c.fail.Store(false)
	_, err = r.get(t.Context(), "b", at(late))
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
			_, err := r.get(ctx, "a", at(specialNow))
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
	for i := range maxKeys + 1 {
		_, err := r.get(t.Context(), strconv.Itoa(i), at(specialNow.Add(time.Duration(i)*time.Hour/4)))
		require.NoError(t, err)
	}
	require.Len(t, r.kept, maxKeys)
	require.NotContains(t, r.kept, "0", "the oldest goes first")
	require.Contains(t, r.kept, strconv.Itoa(maxKeys))
}

// TestKeyringSparesTheGenuine lets strangers ask for keys that nobody has.
func TestKeyringSparesTheGenuine(t *testing.T) {
	t.Parallel()
	stranger, genuine := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	flood := func(r *keyring[string], from func(i int) netip.Addr) (refused int) {
		for i := range 400 {
			d := at(specialNow)
			d.From = from(i)
			_, err := r.get(t.Context(), "invented-"+strconv.Itoa(i), d)
			require.Error(t, err)
			require.Empty(t, Reason(err), "that says nothing about the delivery")
			if strings.Contains(err.Error(), "too many keys") {
				refused++
			}
		}
		return refused
	}
	nowhere := fetcherFunc(func(url string) ([]byte, error) {
		if url == "genuine" || url == "known" {
			return []byte(url), nil
		}
		return nil, errNoDocument
	})
	r := textKeyring(nowhere)
	_, err := r.get(t.Context(), "known", at(specialNow))
	require.NoError(t, err)
	require.Equal(t, 400-peerFetches.burst, flood(r, func(int) netip.Addr { return stranger }))
	d := at(specialNow)
	d.From = genuine
	_, err = r.get(t.Context(), "genuine", d)
	require.NoError(t, err, "one stranger has a share, and no more")
	_, err = r.get(t.Context(), "known", at(specialNow))
	require.NoError(t, err, "what is kept needs no fetch")

	// Many strangers, or one proxy in front of all: the redelivery is served.
	r = textKeyring(nowhere)
	flood(r, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) })
	_, err = r.get(t.Context(), "genuine", d)
	require.ErrorContains(t, err, "too many keys")
	require.Empty(t, Reason(err), "that says nothing about the delivery")
	_, err = r.get(t.Context(), "genuine", d)
	require.NoError(t, err, "sent again")
	require.LessOrEqual(t, len(r.peers), maxRemembered)
}

// TestKeyringRemembersWhatIsMissing asks once for what the host does not have.
func TestKeyringRemembersWhatIsMissing(t *testing.T) {
	t.Parallel()
	asked := 0
	r := textKeyring(fetcherFunc(func(string) ([]byte, error) {
		asked++
		return nil, nil // no key can be read out of it
	}))
	for range 3 {
		_, err := r.get(t.Context(), "a", at(specialNow))
		require.ErrorIs(t, err, errNoDocument)
	}
	require.Equal(t, 1, asked)
	_, err := r.get(t.Context(), "a", at(specialNow.Add(missingFor)))
	require.ErrorIs(t, err, errNoDocument)
	require.Equal(t, 2, asked, "it may be there by now")
	for i := range 3 * maxRemembered {
		_, _ = r.get(t.Context(), strconv.Itoa(i), at(specialNow.Add(time.Duration(i)*time.Minute)))
	}
	require.LessOrEqual(t, len(r.missing), maxRemembered)
	require.LessOrEqual(t, len(r.waiting), maxRemembered)
}

// TestKeyringKeepsWhatHasVerified drops other keys first.
func TestKeyringKeepsWhatHasVerified(t *testing.T) {
	t.Parallel()
	r := textKeyring(&counter{})
	for i := range 3 * maxKeys {
		_, err := r.get(t.Context(), strconv.Itoa(i), at(specialNow.Add(time.Duration(i)*time.Minute)))
		require.NoError(t, err)
		if i == 0 {
			r.confirm("0")
		}
	}
	require.Len(t, r.kept, maxKeys)
	require.Contains(t, r.kept, "0")
}

// at is a delivery of that time.
func at(now time.Time) *Delivery { return &Delivery{ReceivedAt: now} }

type fetcherFunc func(url string) ([]byte, error)

// Fetch implements Fetcher.
func (f fetcherFunc) Fetch(_ context.Context, url string) ([]byte, error) { return f(url) }
