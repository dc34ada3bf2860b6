package egress

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// MaxURL is the longest URL that is taken, in bytes.
const MaxURL = 2048

func refused(reason string) error { return &RefusedError{Reason: reason} }

// parse reads a URL and takes no form that two programs read in two ways.
func parse(raw string) (*url.URL, error) {
	switch {
	case len(raw) > MaxURL:
		return nil, refused("the URL is longer than " + strconv.Itoa(MaxURL) + " bytes")
	case strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return nil, refused("the URL holds blanks or control characters")
	case strings.Contains(raw, `\`):
		return nil, refused("the URL holds a backslash")
	case strings.Contains(raw, "#"):
		return nil, refused("the URL has a fragment, which is never sent")
	}
	u, err := url.Parse(raw)
	if err != nil { // which may quote a password
		return nil, refused("the URL cannot be read")
	}
	return u, nil
}

// check holds a URL against the rules that need no address, and returns it with
// its host in the form that name servers are asked in.
func (c *Client) check(u *url.URL) (*url.URL, error) {
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || len(c.options.Allow) == 0):
		return nil, refused("the URL has to be https")
	case u.User != nil:
		return nil, refused("the URL holds a user or a password; use a header of the endpoint")
	case u.Opaque != "" || u.Host == "":
		return nil, refused("the URL names no host")
	}
	host, err := hostOf(u.Hostname())
	if err != nil {
		return nil, err
	}
	port, err := portOf(u)
	if err != nil {
		return nil, err
	}
	if len(c.options.Allow) == 0 {
		if err := c.allowedPort(port); err != nil {
			return nil, err
		}
	}
	if address, err := netip.ParseAddr(host); err == nil {
		if err := c.allowed(u.Scheme, netip.AddrPortFrom(address, port)); err != nil {
			return nil, err
		}
	}
	checked := *u
	checked.Host = host
	if strings.Contains(host, ":") {
		checked.Host = "[" + host + "]"
	}
	if u.Port() != "" {
		checked.Host += ":" + u.Port()
	}
	return &checked, nil
}

// hostOf returns a host in ASCII: an address as it is written, or a name.
func hostOf(host string) (string, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return "", refused("the address has a zone, so it is link-local, which is not public")
		}
		return a.String(), nil
	}
	name, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
	if err != nil || !isName(name) {
		return "", refused("the URL's host is neither a name nor an address")
	}
	// "127.1", "0x7f000001" and "017700000001" are names to some resolvers and
	// addresses to others.
	last := name[strings.LastIndexByte(name, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || digits(last) {
		return "", refused("the URL's host is an address in a form that is not taken; write it as 192.0.2.1 or [2001:db8::1]")
	}
	return name, nil
}

// isName reports a host name that stays as it is when it is read again.
func isName(name string) bool {
	again, err := idna.Lookup.ToASCII(name)
	return err == nil && again == name && len(name) <= 253 && !slices.Contains(strings.Split(name, "."), "")
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// portOf returns the port that a URL means.
func portOf(u *url.URL) (uint16, error) {
	text := u.Port()
	switch {
	case text == "" && strings.HasSuffix(u.Host, ":"):
		return 0, refused("the URL's port is empty")
	case text == "" && u.Scheme == "http":
		return 80, nil
	case text == "":
		return 443, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, refused("the URL's port is not one")
	}
	return uint16(port), nil
}
