package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	// fetchTimeout is below every provider's own time limit, so that there
	// is an answer to send.
	fetchTimeout = 5 * time.Second
	// maxFetched is the longest document, in bytes. A certificate with its
	// chain has less than a tenth of it.
	maxFetched = 64 << 10
)

// network is the Fetcher that asks the host itself.
type network struct{ client *http.Client }

// newNetwork follows no redirect: the host that was checked is the one that
// is asked. It keeps no connection, since a key is asked for once a day.
func newNetwork() network {
	return network{&http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: maxFetched,
		},
	}}
}

// fetcherOf returns the binding's Fetcher, or else the one over the network.
func fetcherOf(b Binding) Fetcher {
	if b.Fetch != nil {
		return b.Fetch
	}
	return newNetwork()
}

// Fetch implements Fetcher.
func (n network) Fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, errors.New("the URL cannot be asked")
	}
	return n.do(req)
}

// do returns the body of a 200 answer. Its errors name the host and not the
// URL, which may hold a token.
func (n network) do(req *http.Request) ([]byte, error) {
	if req.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s is not asked over %q: want https", req.URL.Host, req.URL.Scheme)
	}
	res, err := n.client.Do(req) //nolint:gosec // the scheme has held the host against the provider's
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return nil, fmt.Errorf("asking %s: %w", req.URL.Host, err)
	}
	defer res.Body.Close()
	if code := res.StatusCode; code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout {
		return nil, fmt.Errorf("%w: %s answered %d: want 200", errNoDocument, req.URL.Host, code)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d: want 200", req.URL.Host, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxFetched+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", req.URL.Host, err)
	}
	if len(body) > maxFetched {
		return nil, fmt.Errorf("%s answered with more than %d bytes", req.URL.Host, maxFetched)
	}
	return body, nil
}

// errNoDocument says that there is no key at the URL, so that asking again soon
// is useless.
var errNoDocument = errors.New("there is no such document")

const (
	// maxKeys is above the number of keys that a provider has in use.
	maxKeys = 64
	// keyLifetime is how long a key is used before it is asked for again.
	keyLifetime = 24 * time.Hour
	// missingFor is how long a URL without a key is not asked for again.
	missingFor = 2 * time.Minute
	// maxRemembered is the most URLs and peers that are remembered, of each
	// kind. When there are more, any of them is forgotten.
	maxRemembered = 1024
)

// Which key to fetch stands in the delivery, before anything in it is verified.
// So that nobody can make us a nuisance to the provider, the fetches are
// limited; and so that nobody can use up what a genuine delivery needs, each
// peer has a share of them, and a URL that is asked for again, as a redelivery
// asks, has a limit of its own. A key that was fetched before needs none of it.
type fetchLimit struct {
	every time.Duration
	burst int
}

var (
	firstFetches  = fetchLimit{every: time.Second, burst: 20}
	repeatFetches = fetchLimit{every: 2 * time.Second, burst: 10}
	peerFetches   = fetchLimit{every: 10 * time.Second, burst: 5}
)

func (l fetchLimit) limiter() *rate.Limiter { return rate.NewLimiter(rate.Every(l.every), l.burst) }

// keyring fetches and keeps what signatures of one source are verified with.
// It is safe for concurrent use.
type keyring[K any] struct {
	fetch Fetcher
	parse func(document []byte) (K, error)

	first, repeat *rate.Limiter
	flights       singleflight.Group

	mu      sync.Mutex
	kept    map[string]keptKey[K]
	missing map[string]time.Time // until when a URL is not asked for
	waiting map[string]bool      // URLs that no limit had room for
	peers   map[netip.Addr]*rate.Limiter
}

type keptKey[K any] struct {
	key       K
	fetchedAt time.Time
	verified  bool // it has verified a delivery
}

func newKeyring[K any](fetch Fetcher, parse func([]byte) (K, error)) *keyring[K] {
	return &keyring[K]{
		fetch: fetch, parse: parse,
		first: firstFetches.limiter(), repeat: repeatFetches.limiter(),
		kept: map[string]keptKey[K]{}, missing: map[string]time.Time{},
		waiting: map[string]bool{}, peers: map[netip.Addr]*rate.Limiter{},
	}
}

// get returns the key at url, for a delivery of the peer. Many deliveries that
// wait for the same one make one request. An error wraps no sentinel: it says
// nothing about the delivery, even if there is no such document, because a proxy
// may have answered in the provider's place. The sender has to send again.
func (r *keyring[K]) get(ctx context.Context, url string, d *Delivery) (K, error) {
	var none K
	now := d.ReceivedAt
	kept, there := r.look(url)
	if there && now.Sub(kept.fetchedAt) < keyLifetime {
		return kept.key, nil
	}
	result, err, _ := r.flights.Do(url, func() (any, error) { return r.refresh(ctx, url, d.From, now) })
	switch {
	case err != nil && there:
		return kept.key, nil // a host that is down for a while takes no key back
	case err != nil:
		return none, fmt.Errorf("the signing key cannot be had now: %w", err)
	}
	key, ok := result.(K)
	if !ok {
		return none, errors.New("the signing key cannot be had now")
	}
	return key, nil
}

// renewed returns the key at url, which it asks for again where it was fetched
// longer ago than most. The error is as that of get.
func (r *keyring[K]) renewed(ctx context.Context, url string, most time.Duration, d *Delivery) (K, error) {
	kept, there := r.look(url)
	if there && d.ReceivedAt.Sub(kept.fetchedAt) < most {
		return kept.key, nil
	}
	result, err, _ := r.flights.Do(url, func() (any, error) { return r.refresh(ctx, url, d.From, d.ReceivedAt) })
	key, ok := result.(K)
	if err != nil || !ok {
		return key, fmt.Errorf("the signing key cannot be had now: %w", cmp.Or(err, errors.New("another kind of key was asked for")))
	}
	return key, nil
}

func (r *keyring[K]) look(url string) (keptKey[K], bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, there := r.kept[url]
	return kept, there
}

// refresh fetches for everybody who waits, so the first one's leaving does not
// end it.
func (r *keyring[K]) refresh(ctx context.Context, url string, from netip.Addr, now time.Time) (K, error) {
	var none K
	if err := r.mayFetch(url, from, now); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	document, err := r.fetch.Fetch(ctx, url)
	if err == nil {
		var key K
		if key, err = r.parse(document); err == nil {
			r.keep(url, keptKey[K]{key: key, fetchedAt: now})
			return key, nil
		}
		err = fmt.Errorf("%w: %w", errNoDocument, err)
	}
	if errors.Is(err, errNoDocument) {
		r.mu.Lock()
		defer r.mu.Unlock()
		remember(r.missing, url, now.Add(missingFor))
	}
	return none, err
}

// mayFetch takes from the limits what one fetch costs.
func (r *keyring[K]) mayFetch(url string, from netip.Addr, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.missing[url]) {
		return fmt.Errorf("%w: it was asked for less than %s ago", errNoDocument, missingFor)
	}
	delete(r.missing, url)
	peer := r.peers[from]
	if peer == nil {
		peer = peerFetches.limiter()
		remember(r.peers, from, peer)
	}
	if peer.AllowN(now, 1) && r.first.AllowN(now, 1) {
		delete(r.waiting, url)
		return nil
	}
	if r.waiting[url] && r.repeat.AllowN(now, 1) {
		delete(r.waiting, url)
		return nil
	}
	remember(r.waiting, url, true)
	return errors.New("too many keys were asked for")
}

// remember adds an entry, in place of any other where there are too many.
func remember[K comparable, V any](entries map[K]V, key K, value V) {
	if _, there := entries[key]; !there && len(entries) >= maxRemembered {
		for other := range entries {
			delete(entries, other)
			break
		}
	}
	entries[key] = value
}

// confirm notes that the key at url has verified a delivery, so that it is the
// last to be dropped.
func (r *keyring[K]) confirm(url string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kept, there := r.kept[url]; there && !kept.verified {
		kept.verified = true
		r.kept[url] = kept
	}
}

// keep makes room by dropping the oldest key, of those first that have verified
// nothing.
func (r *keyring[K]) keep(url string, fresh keptKey[K]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, there := r.kept[url]
	fresh.verified = before.verified
	if !there && len(r.kept) >= maxKeys {
		var drop string
		for u, k := range r.kept {
			d, found := r.kept[drop]
			if !found || k.verified != d.verified && !k.verified || k.verified == d.verified && k.fetchedAt.Before(d.fetchedAt) {
				drop = u
			}
		}
		delete(r.kept, drop)
	}
	r.kept[url] = fresh
}
