package egress

import "net/netip"

// block is a range of addresses that is not public, and what it is.
type block struct {
	prefix netip.Prefix
	what   string
}

// blocks are the special-purpose ranges of the registries of IANA (RFC 6890 and
// its updates), and the addresses outside of them at which clouds answer with
// credentials.
//
//nolint:gochecknoglobals // a constant table
var blocks = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a provider's customers"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "translated to another one"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for measurements"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},

	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("64:ff9b::/96"), "translated to another one"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "translated to another one"},
	{netip.MustParsePrefix("2001::/23"), "reserved or translated to another one"},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "translated to another one"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// global is all of IPv6 that is given to anybody to be reached at.
//
//nolint:gochecknoglobals // a constant
var global = netip.MustParsePrefix("2000::/3")

// notPublic returns why an address is not public, "" where it is. An IPv4
// address in the form of IPv6 (::ffff:0:0/96) is taken as the IPv4 address.
func notPublic(a netip.Addr) string {
	a = a.Unmap()
	if a.Zone() != "" {
		return "the address is link-local, which is not public"
	}
	for _, b := range blocks {
		if b.prefix.Contains(a) {
			return "the address is " + b.what + ", which is not public"
		}
	}
	switch {
	case a.Is4():
		return ""
	case !global.Contains(a):
		return "the address is reserved, which is not public"
	case isatap(a):
		return "the address is translated to another one, which is not public"
	default:
		return ""
	}
}

// isatap reports an address that a tunnel of RFC 5214 turns into the IPv4
// address in its last four bytes.
func isatap(a netip.Addr) bool {
	b := a.As16()
	return (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
