package provider

import (
	"fmt"
	"strconv"
	"time"
)

// clockUnits read and write a signed time, and say how finely it is given: a
// clock finer than that would refuse what is exactly at the tolerance.
var clockUnits = map[string]struct {
	step   time.Duration
	parse  func(string) (time.Time, error)
	format func(time.Time) string
}{
	"s": {
		time.Second,
		func(s string) (time.Time, error) { n, err := digits(s); return time.Unix(n, 0), err },
		func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
	},
	"ms": {
		time.Millisecond,
		func(s string) (time.Time, error) { n, err := digits(s); return time.UnixMilli(n), err },
		func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) },
	},
	"iso8601": {
		time.Millisecond,
		func(s string) (time.Time, error) { return time.Parse(time.RFC3339Nano, s) },
		func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") },
	},
}

// digits takes 1 to 15 decimal digits and nothing else: no sign, no blank, and
// no number so large that a time made of it would wrap around.
func digits(s string) (int64, error) {
	if len(s) == 0 || len(s) > 15 {
		return 0, strconv.ErrSyntax
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseInt(s, 10, 64)
}

// timestamp is a compiled TimestampSpec.
type timestamp struct {
	item      string // of the signature list; "" when from is set
	from      []lookup
	unit      string
	tolerance time.Duration // below 0 for none
	pastOnly  bool
}

// check holds the time as sent against the clock.
func (t *timestamp) check(sent string, now time.Time) error {
	unit := clockUnits[t.unit]
	at, err := unit.parse(sent)
	if err != nil {
		return fmt.Errorf("%w: timestamp %q is not in %s", ErrMalformed, clip(sent), t.unit)
	}
	age := now.Truncate(unit.step).Sub(at)
	switch {
	case t.tolerance < 0:
	case age > t.tolerance && age > absurd, age < -t.tolerance && age < -absurd && !t.pastOnly:
		return fmt.Errorf("%w: %q %s", ErrStale, clip(sent), t.misread(sent, at, now))
	case age > t.tolerance:
		return fmt.Errorf("%w: it is %s old, at most %s is taken", ErrStale, age.Round(unit.step), t.tolerance)
	case age < -t.tolerance && !t.pastOnly:
		return fmt.Errorf("%w: it is %s in the future, at most %s is taken", ErrStale, age.Abs().Round(unit.step), t.tolerance)
	}
	return nil
}

// absurd is an age that no clock explains: the time is not in the unit that is
// expected.
const absurd = 5 * 365 * 24 * time.Hour

// misread says what a time that is absurdly far from the clock may be.
func (t *timestamp) misread(sent string, at, now time.Time) string {
	for _, name := range sortedKeys(clockUnits) {
		other, err := clockUnits[name].parse(sent)
		if err == nil && name != t.unit && now.Sub(other).Abs() < 48*time.Hour {
			return fmt.Sprintf("is a time in %s, and the provider's are in %s", name, t.unit)
		}
	}
	return fmt.Sprintf("in %s is in the year %d", t.unit, at.Year())
}

// format writes a time as it is sent.
func (t *timestamp) format(at time.Time) string { return clockUnits[t.unit].format(at) }

// clip shortens what a sender wrote for an error message.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
