package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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

const (
	// maxKeys is above the number of keys that a provider has in use.
	maxKeys = 64
	// keyLifetime is how long a key is used before it is asked for again.
	keyLifetime = 24 * time.Hour
	// Which key to fetch stands in the delivery, before anything in it is
	// verified. So that nobody can make us a nuisance to the provider,
	// fetchBurst keys are fetched at once and then one every fetchEvery.
	fetchEvery = time.Second
	fetchBurst = 20
)

// keyring fetches and keeps what signatures of one source are verified with.
// It is safe for concurrent use.
type keyring[K any] struct {
	fetch Fetcher
	parse func(document []byte) (K, error)
	limit *rate.Limiter

	flights singleflight.Group
	mu      sync.Mutex
	kept    map[string]keptKey[K]
}

type keptKey[K any] struct {
	key       K
	fetchedAt time.Time
}

func newKeyring[K any](fetch Fetcher, parse func([]byte) (K, error)) *keyring[K] {
	return &keyring[K]{
		fetch: fetch, parse: parse,
		limit: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst),
		kept:  map[string]keptKey[K]{},
	}
}

// get returns the key at url. Many deliveries that wait for the same one make
// one request. An error wraps no sentinel, since it says nothing about the
// delivery: the sender has to send again.
func (r *keyring[K]) get(ctx context.Context, url string, now time.Time) (K, error) {
	kept, there := r.look(url)
	if there && now.Sub(kept.fetchedAt) < keyLifetime {
		return kept.key, nil
	}
	result, err, _ := r.flights.Do(url, func() (any, error) { return r.refresh(ctx, url, now) })
	if err != nil {
		if there {
			return kept.key, nil // a host that is down for a while takes no key back
		}
		var none K
		return none, fmt.Errorf("the signing key cannot be had now: %w", err)
	}
	key, ok := result.(K)
	if !ok {
		return key, errors.New("the signing key cannot be had now")
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
func (r *keyring[K]) refresh(ctx context.Context, url string, now time.Time) (K, error) {
	var none K
	if !r.limit.Allow() {
		return none, errors.New("too many keys were asked for")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	document, err := r.fetch.Fetch(ctx, url)
	if err != nil {
		return none, err
	}
	key, err := r.parse(document)
	if err != nil {
		return none, err
	}
	r.keep(url, keptKey[K]{key, now})
	return key, nil
}

// keep makes room by dropping the oldest.
func (r *keyring[K]) keep(url string, fresh keptKey[K]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.kept[url]; !there && len(r.kept) >= maxKeys {
		oldest := url
		for u, k := range r.kept {
			if oldest == url || k.fetchedAt.Before(r.kept[oldest].fetchedAt) {
				oldest = u
			}
		}
		delete(r.kept, oldest)
	}
	r.kept[url] = fresh
}
