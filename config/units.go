package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a duration as the config has it: "90s", "30d", "1d12h".
func ParseDuration(s string) (time.Duration, error) { return parseDuration(s) }

// parseDuration reads Go's durations, with whole days in front: "90s", "30d",
// "1d12h".
func parseDuration(s string) (time.Duration, error) {
	whole, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	// 16 bits of days are 179 years, which a Duration holds.
	days, err := strconv.ParseUint(whole, 10, 16)
	if err != nil {
		return 0, err
	}
	d := time.Duration(days) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil {
		return 0, err
	}
	if strings.HasPrefix(rest, "+") || more < 0 || more > math.MaxInt64-d {
		return 0, errors.New("not a sum of days and hours")
	}
	return d + more, nil
}

// parseSize reads a number of bytes with its unit, such as "512KiB" or
// "1.5MB". A fraction of a byte is dropped.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	var unit float64
	switch s[len(digits):] {
	case "B":
		unit = 1
	case "KB":
		unit = 1e3
	case "KiB":
		unit = 1 << 10
	case "MB":
		unit = 1e6
	case "MiB":
		unit = 1 << 20
	case "GB":
		unit = 1e9
	case "GiB":
		unit = 1 << 30
	default:
		return 0, errors.New("no unit")
	}
	if strings.Trim(digits, "0123456789.") != "" {
		return 0, errors.New("not a number") // ParseFloat takes more than digits
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, err
	}
	return int64(min(n*unit, math.MaxInt64/2)), nil
}

// parsePrefix reads a CIDR, or one address as the CIDR that holds only it.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("want an address or a CIDR such as 203.0.113.0/24, found %s", quote(s))
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s is an IPv4 network written as IPv6; write it as IPv4", prefix)
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("%s has bits set after its first %d; write %s for the network or %s for the one address",
			prefix, prefix.Bits(), masked, prefix.Addr())
	}
	return prefix, nil
}
