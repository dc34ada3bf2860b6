package provider

import "errors"

// What can be wrong with a Delivery. Errors of this package wrap one of them
// and add what was found.
var (
	// ErrUnsigned: a part of the signature is not there at all.
	ErrUnsigned = errors.New("signature missing")
	// ErrMalformed: what is there cannot be a signature of this provider.
	ErrMalformed = errors.New("signature malformed")
	// ErrMismatch: no signature matches under any of the secrets.
	ErrMismatch = errors.New("signature does not match")
	// ErrStale: the signature is genuine, its timestamp is outside the
	// tolerance. It may be a replay, or one of the clocks is wrong.
	ErrStale = errors.New("timestamp outside the tolerance")
	// ErrNoEvent: the delivery is genuine, and no event can be named in it.
	ErrNoEvent = errors.New("no event in the delivery")
)

// Reason returns a short stable word for an error of this package: "missing",
// "malformed", "mismatch", "stale" or "no-event"; "" for any other error.
func Reason(err error) string {
	for _, r := range []struct {
		err  error
		word string
	}{
		{ErrUnsigned, "missing"},
		{ErrMalformed, "malformed"},
		{ErrMismatch, "mismatch"},
		{ErrStale, "stale"},
		{ErrNoEvent, "no-event"},
	} {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return ""
}
