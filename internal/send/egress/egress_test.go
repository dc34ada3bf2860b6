package egress_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/internal/send/egress"
)

// resolving returns a Lookup that knows one answer after the other, and then
// the last one.
func resolving(answers ...string) func(context.Context, string) ([]netip.Addr, error) {
	var asked atomic.Int32
	return func(context.Context, string) ([]netip.Addr, error) {
		n := int(asked.Add(1))
		var addresses []netip.Addr
		for a := range strings.FieldsSeq(answers[min(n, len(answers))-1]) {
			addresses = append(addresses, netip.MustParseAddr(a))
		}
		return addresses, nil
	}
}

func get(t *testing.T, c *egress.Client, rawURL string) (status int, err error) {
	t.Helper()
	u, err := url.Parse(rawURL)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://replaced.test", nil)
	require.NoError(t, err)
	r.URL = u
	res, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// TestAddressClasses has one address of each class, and its neighbours, refused
// or taken as an address in the URL, and as what a name resolves to.
func TestAddressClasses(t *testing.T) {
	t.Parallel()
	refused := map[string][]string{
		"this network":  {"0.0.0.0", "0.255.255.255"},
		"private":       {"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "fc00::1", "fdff::1", "fd00:ec2::254"},
		"shared":        {"100.64.0.0", "100.127.255.255", "100.100.100.200"},
		"loopback":      {"127.0.0.1", "127.255.255.255", "::1"},
		"link-local":    {"169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255", "fe80::1", "febf::1"},
		"metadata":      {"168.63.129.16"},
		"reserved":      {"192.0.0.1", "192.0.0.192", "240.0.0.1", "255.255.255.255", "1000::1", "4000::1", "5f00::1", "100::1", "fec0::1"},
		"documentation": {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "3fff:fff::1"},
		"measurements":  {"198.18.0.1", "198.19.255.255"},
		"multicast":     {"224.0.0.1", "239.255.255.255", "ff02::1"},
		"unspecified":   {"::"},
		"translated": {
			"64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2001::1", "2001:0:7f00:1::", "192.88.99.1",
			"::7f00:1", "2a00:1450::5efe:7f00:1", "2a00:1450::200:5efe:10.0.0.1",
		},
		"mapped": {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0.0.0.0"},
	}
	taken := []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.0",
		"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2001:200::1", "2003::1", "2606:4700::1111", "3ffe::1", "::ffff:1.1.1.1",
	}
	for class, addresses := range refused {
		for _, a := range addresses {
			requireRefused(t, class, a)
		}
	}
	for _, a := range taken {
		host := a
		if strings.Contains(a, ":") {
			host = "[" + a + "]"
		}
		c := egress.New(egress.Options{Lookup: resolving(a)})
		require.NoError(t, c.Check(t.Context(), "https://"+host+"/hook"), a)
		require.NoError(t, c.Check(t.Context(), "https://hooks.test/hook"), a)
	}
}

func requireRefused(t *testing.T, class, address string) {
	t.Helper()
	host := address
	if strings.Contains(address, ":") {
		host = "[" + address + "]"
	}
	c := egress.New(egress.Options{Lookup: resolving(address)})
	for _, u := range []string{"https://" + host + "/", "https://hooks.test/"} {
		err := c.Check(t.Context(), u)
		require.True(t, egress.IsRefused(err), "%s: %s: %v", class, u, err)
		require.NotContains(t, err.Error(), address)
		_, err = get(t, c, u)
		require.True(t, egress.IsRefused(err), "%s: connects to %s: %v", class, u, err)
	}
}

// TestOneBadAddress refuses a name of which one address is public and another
// is not, whichever comes first.
func TestOneBadAddress(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"1.1.1.1 127.0.0.1", "127.0.0.1 1.1.1.1"} {
		c := egress.New(egress.Options{Lookup: resolving(answer)})
		require.True(t, egress.IsRefused(c.Check(t.Context(), "https://hooks.test/")))
	}
}

// TestChangedName has a name that is public when it is checked lead nowhere once
// it resolves to this machine.
func TestChangedName(t *testing.T) {
	t.Parallel()
	var connected atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &httptest.Server{Listener: l, Config: &http.Server{
		Handler:   http.NotFoundHandler(),
		ConnState: func(net.Conn, http.ConnState) { connected.Add(1) },
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	port := netip.MustParseAddrPort(l.Addr().String()).Port()

	c := egress.New(egress.Options{Lookup: resolving("1.1.1.1", "127.0.0.1", "::ffff:127.0.0.1"), Ports: []uint16{port}})
	target := "https://hooks.test:" + strings.TrimPrefix(l.Addr().String(), "127.0.0.1:") + "/"
	require.NoError(t, c.Check(t.Context(), target), "the check sees a public address")
	for range 3 {
		_, err = get(t, c, target)
		require.True(t, egress.IsRefused(err), "%v", err)
	}
	require.Zero(t, connected.Load(), "nothing was connected to")
}

// local returns a server on this machine, and a Client that may reach it.
func local(t *testing.T, answer http.HandlerFunc) (*httptest.Server, *egress.Client) {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	c := egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Lookup: resolving("127.0.0.1")})
	t.Cleanup(c.Close)
	return s, c
}

func TestAllowedAddresses(t *testing.T) {
	t.Parallel()
	s, c := local(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	status, err := get(t, c, s.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, status)

	named := "http://hooks.test:" + strings.TrimPrefix(s.URL, "http://127.0.0.1:")
	status, err = get(t, c, named)
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, status)

	for _, u := range []string{"http://[::1]:80/", "https://10.0.0.1/", "http://1.1.1.1/", "https://1.1.1.1:8443/"} {
		require.True(t, egress.IsRefused(c.Check(t.Context(), u)), "%s is not among those that are allowed", u)
	}

	denied := egress.New(egress.Options{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("1.1.1.0/24")},
	})
	require.True(t, egress.IsRefused(denied.Check(t.Context(), s.URL)))
	require.True(t, egress.IsRefused(denied.Check(t.Context(), "https://1.1.1.1/")))
}

// TestRedirects follows none, not even to the same host.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	for _, status := range []int{301, 302, 303, 307, 308} {
		s, c := local(t, func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		requests.Store(0)
		got, err := get(t, c, s.URL)
		require.NoError(t, err)
		require.Equal(t, status, got)
		require.EqualValues(t, 1, requests.Load())
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	c := egress.New(egress.Options{Lookup: resolving("1.1.1.1"), Ports: []uint16{443, 8443}})
	for _, bad := range []string{
		"", "hooks.test", "/hook", "https:", "https://", "https:///hook", "https://:443/", "https:hooks.test",
		"http://hooks.test/", "HTTP://hooks.test/", "ftp://hooks.test/", "gopher://hooks.test/", "file:///etc/passwd", "unix:///run/docker.sock", "javascript:alert(1)",
		"https://user@hooks.test/", "https://user:hunter2@hooks.test/", "https://:hunter2@hooks.test/", "https://@hooks.test/",
		"https://1.1.1.1@127.0.0.1/", `https://hooks.test\@127.0.0.1/`, "https://hooks.test#@127.0.0.1/", "https://hooks.test/#x", "https://hooks.test/#",
		"https://hooks.test:22/", "https://hooks.test:80/", "https://hooks.test:0/", "https://hooks.test:65536/", "https://hooks.test:+443/", "https://hooks.test:/", "https://hooks.test:x/", "https://hooks.test:00443443/",
		"https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://017700000001/", "https://0177.0.0.1/", "https://127.0.0.1./", "https://1.1.1/", "https://hooks.0x1/", "https://hooks.1/",
		"https://[fe80::1%25eth0]/", "https://[::1%25lo]/", "https://[1.1.1.1]/", "https://[::ffff:127.0.0.1]/", "https://[0:0:0:0:0:ffff:7f00:1]/", "https://[::]/", "https://[2606:4700::1111/",
		"https://hooks test/", "https://hooks.test/\r\nX: 1", "https://hooks\x00.test/", "https://hooks.test /", " https://hooks.test/", "https://hooks..test/", "https://-hooks.test/", "https://.test/",
		"https://%31%32%37.0.0.1/", "https://127。0。0。1/", "https://①②⑦.0.0.1/",
		"https://hooks.test/" + strings.Repeat("x", egress.MaxURL),
	} {
		_, err := c.CheckURL(bad)
		require.True(t, egress.IsRefused(err), "%q: %v", bad, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
	for raw, want := range map[string]string{
		"https://hooks.test":              "https://hooks.test",
		"https://hooks.test/a/b?c=d%20e":  "https://hooks.test/a/b?c=d%20e",
		"https://hooks.test:8443/":        "https://hooks.test:8443/",
		"https://HOOKS.test./":            "https://hooks.test/",
		"https://bücher.test/":            "https://xn--bcher-kva.test/",
		"https://1.1.1.1/":                "https://1.1.1.1/",
		"https://[2606:4700:0::1111]:443": "https://[2606:4700::1111]:443",
		"https://a1.0x.test/":             "https://a1.0x.test/",
	} {
		u, err := c.CheckURL(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, u.String())
	}
}

// TestProxy has a proxy of the operator take the requests, for public addresses
// alone, and no proxy that the environment names.
func TestProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("ALL_PROXY", "http://127.0.0.1:1")
	s, c := local(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	_, err := get(t, c, s.URL)
	require.NoError(t, err)

	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(proxy.Close)
	to, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	through := egress.New(egress.Options{Proxy: to, Lookup: resolving("1.1.1.1")})
	_, err = get(t, through, "https://hooks.test/")
	require.Error(t, err)
	require.False(t, egress.IsRefused(err))
	require.EqualValues(t, 1, asked.Load())
	through = egress.New(egress.Options{Proxy: to, Lookup: resolving("10.0.0.1")})
	_, err = get(t, through, "https://hooks.test/")
	require.True(t, egress.IsRefused(err))
	require.EqualValues(t, 1, asked.Load())
}

// TestResolverErrors keeps the address of the name server to itself.
func TestResolverErrors(t *testing.T) {
	t.Parallel()
	c := egress.New(egress.Options{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "hooks.test", Server: "10.9.8.7:53", IsNotFound: true}
	}})
	err := c.Check(t.Context(), "https://hooks.test/")
	require.ErrorContains(t, err, "no such host")
	require.NotContains(t, err.Error(), "10.9.8.7")
	require.False(t, egress.IsRefused(err))
	none := egress.New(egress.Options{Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, nil }})
	require.Error(t, none.Check(t.Context(), "https://hooks.test/"))
}

// FuzzURL looks for a URL that is taken and that is not one of https, or that
// leads to an address that is not public.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{"https://hooks.test/", "https://user@127.0.0.1", "https://[::1]/", "https://0x7f.1/", "https://1.1.1.1:443/?#", "https://xn--/"} {
		f.Add(seed)
	}
	c := egress.New(egress.Options{Lookup: resolving("1.1.1.1")})
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := c.CheckURL(raw)
		if err != nil {
			require.True(t, egress.IsRefused(err))
			return
		}
		require.Equal(t, "https", u.Scheme)
		require.Nil(t, u.User)
		require.NotEmpty(t, u.Hostname())
		again, err := c.CheckURL(u.String())
		require.NoError(t, err, "what is taken is taken again")
		require.Equal(t, u.String(), again.String())
		if a, err := netip.ParseAddr(u.Hostname()); err == nil {
			require.True(t, a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback())
		}
	})
}
