// Package egress is the HTTP client for URLs that strangers have chosen.
//
// Whoever registers an endpoint decides where this program connects to. So a
// connection is made to public addresses alone, and this is decided for the
// address that the socket is about to use, after the name was resolved: a name
// that resolves to another address the second time gains nothing. Challenges,
// tests and deliveries all use the one Client.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Options are the settings of a Client. The zero Options take https to port
// 443 of public addresses.
type Options struct {
	// Allow are addresses that are taken although the rules refuse them, such
	// as 127.0.0.0/8 on a developer's machine. To them, http and any port are
	// allowed as well.
	Allow []netip.Prefix
	// Deny are addresses that are refused although they are public, such as
	// the operator's own. It is stronger than Allow.
	Deny []netip.Prefix
	// Ports are the ports of https; empty means 443 alone.
	Ports []uint16
	// Proxy is an egress proxy that all requests go through; nil for none.
	// The proxy then resolves the name a second time, so it has to refuse
	// private addresses, too. The proxy variables of the environment are
	// never used.
	Proxy *url.URL
	// Lookup resolves a name; nil for the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Limits of a connection.
const (
	connectTimeout = 10 * time.Second
	idleTimeout    = 30 * time.Second
	idlePerHost    = 2
	idleInAll      = 500
	maxHeader      = 64 << 10 // bytes of an answer's headers
)

// Client sends requests to public addresses. It may be used by many goroutines.
type Client struct {
	options Options
	plain   *http.Transport // for http
	secure  *http.Transport // for https
	http    http.Client
}

// New returns a Client.
func New(o Options) *Client {
	if len(o.Ports) == 0 {
		o.Ports = []uint16{443}
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	c := &Client{options: o}
	c.plain, c.secure = c.transport("http"), c.transport("https")
	c.http = http.Client{
		Transport: c,
		// A redirect would be a second URL that nobody has proven to own.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// transport makes the connections of one scheme. What a connection may lead to
// depends on the scheme, and the dialer does not see it.
func (c *Client) transport(scheme string) *http.Transport {
	t := &http.Transport{
		DialContext:            c.dialer(scheme),
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // a small answer must not grow when it is read
		MaxIdleConns:           idleInAll,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    connectTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
	if c.options.Proxy != nil {
		t.Proxy = http.ProxyURL(c.options.Proxy)
		// The operator has named the proxy, so its address needs no check.
		t.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	}
	return t
}

// dialer resolves a name, and connects to the first of its addresses that is
// allowed and answers.
func (c *Client) dialer(scheme string) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout: connectTimeout,
		// The last word: this is the address that the socket connects to.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return &RefusedError{Reason: "the address is not one of IP"}
			}
			return c.allowed(scheme, to)
		},
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		addresses, err := c.resolve(ctx, host)
		if err != nil {
			return nil, err
		}
		var failures []error
		for _, a := range addresses {
			conn, err := d.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
			if err == nil {
				return conn, nil
			}
			failures = append(failures, err)
		}
		return nil, errors.Join(failures...)
	}
}

// mostAddresses is how many addresses of one name are tried.
const mostAddresses = 4

func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addresses, err := c.options.Lookup(ctx, host)
	if err != nil {
		return nil, withoutServer(err)
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%q has no address", host)
	}
	return addresses[:min(len(addresses), mostAddresses)], nil
}

// withoutServer is an error of the resolver without the address of the name
// server, which is no business of whoever reads it.
func withoutServer(err error) error {
	dns, ok := errors.AsType[*net.DNSError](err)
	if !ok {
		return err
	}
	plain := *dns
	plain.Server = ""
	return &plain
}

// RoundTrip implements http.RoundTripper. It checks the URL of each request.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	u, err := c.check(r.URL)
	if err != nil {
		return nil, err
	}
	if c.options.Proxy != nil {
		// The connection leads to the proxy, so this is the only look.
		if err := c.look(r.Context(), u); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "http" {
		return c.plain.RoundTrip(r)
	}
	return c.secure.RoundTrip(r)
}

// Do sends a request and follows no redirect. A *RefusedError in the error's
// chain means that nothing was sent.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	return c.http.Do(r) //nolint:gosec // that is what this package is for
}

// Close closes the connections that are idle.
func (c *Client) Close() {
	c.plain.CloseIdleConnections()
	c.secure.CloseIdleConnections()
}

// CheckURL returns what is wrong with a URL as it is written, a *RefusedError,
// and the URL as requests should have it. It asks no name server.
func (c *Client) CheckURL(raw string) (*url.URL, error) {
	u, err := parse(raw)
	if err != nil {
		return nil, err
	}
	return c.check(u)
}

// Check does what CheckURL does, and then has each address of the host held
// against the rules. An error that is no *RefusedError means that the name
// could not be resolved. A delivery checks again when it connects.
func (c *Client) Check(ctx context.Context, raw string) error {
	u, err := c.CheckURL(raw)
	if err != nil {
		return err
	}
	return c.look(ctx, u)
}

func (c *Client) look(ctx context.Context, u *url.URL) error {
	addresses, err := c.resolve(ctx, u.Hostname())
	if err != nil {
		return err
	}
	port, err := portOf(u)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if err := c.allowed(u.Scheme, netip.AddrPortFrom(a, port)); err != nil {
			return err
		}
	}
	return nil
}

// allowed holds one address against the rules.
func (c *Client) allowed(scheme string, to netip.AddrPort) error {
	a := to.Addr().Unmap()
	if within(a, c.options.Deny) {
		return &RefusedError{Reason: "the address is one that the operator has denied"}
	}
	if a.Zone() == "" && within(a, c.options.Allow) {
		return nil
	}
	if reason := notPublic(a); reason != "" {
		return &RefusedError{Reason: reason}
	}
	if scheme != "https" {
		return &RefusedError{Reason: "the URL has to be https"}
	}
	return c.allowedPort(to.Port())
}

func (c *Client) allowedPort(port uint16) error {
	if slices.Contains(c.options.Ports, port) {
		return nil
	}
	return &RefusedError{Reason: "port " + strconv.Itoa(int(port)) + " is not one of those that are taken: " + fmt.Sprint(c.options.Ports)}
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// RefusedError is a URL or an address that this program does not send to.
type RefusedError struct {
	// Reason is a sentence for whoever has registered the URL. It never holds
	// an address, which would tell a stranger how names resolve in here.
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// IsRefused reports whether the rules of this package are why a request failed.
func IsRefused(err error) bool {
	_, refused := errors.AsType[*RefusedError](err)
	return refused
}
