package ingest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hookyard/hookyard/event"
)

// headerFilter decides which headers of a delivery its Event keeps.
type headerFilter struct {
	provider []string // canonical names in which the provider sends signatures and secrets
	operator []string // patterns of drop_headers and log.mask
}

// maxLeftOut is how many bytes of names HeadersLeftOut holds.
const maxLeftOut = 1 << 10

// keep returns what the Event keeps of h, at most event.MaxHeaders bytes of it,
// and the names of the headers that are left out because they are too large.
// It shares the values with h.
func (f *headerFilter) keep(h http.Header) (kept event.Headers, leftOut []string) {
	ofConnection := namedBy(h["Connection"])
	kept = make(event.Headers, len(h))
	size := 0
	for name, values := range h {
		if f.drops(name) || slices.Contains(ofConnection, name) {
			continue
		}
		kept[name] = validText(values)
		size += headerSize(name, kept[name])
	}
	if size > event.MaxHeaders {
		leftOut = leaveOutLargest(kept, size)
	}
	return kept, leftOut
}

// leaveOutLargest removes the largest headers until the rest fits into
// event.MaxHeaders, and returns their names. The result does not depend on the
// order of a map, so that a redelivery has the same Event.
func leaveOutLargest(kept event.Headers, size int) (leftOut []string) {
	names := make([]string, 0, len(kept))
	for name := range kept {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(headerSize(b, kept[b]), headerSize(a, kept[a])), cmp.Compare(a, b))
	})
	listed := 0
	for _, name := range names {
		if size <= event.MaxHeaders {
			break
		}
		size -= headerSize(name, kept[name])
		delete(kept, name)
		switch listed += len(name); {
		case listed <= maxLeftOut:
			leftOut = append(leftOut, name)
		case len(leftOut) == 0 || leftOut[len(leftOut)-1] != "...":
			leftOut = append(leftOut, "...")
		}
	}
	return leftOut
}

// headerSize counts the name once per value, as HTTP sends it.
func headerSize(name string, values []string) int {
	size := 0
	for _, value := range values {
		size += len(name) + len(value)
	}
	return size
}

// drops reports whether no Event keeps the header of this canonical name.
func (f *headerFilter) drops(name string) bool {
	return ofTheWay(name) || holdsCredential(name) || slices.Contains(f.provider, name) || f.named(name)
}

// named reports whether the operator wants the header dropped.
func (f *headerFilter) named(name string) bool {
	return slices.ContainsFunc(f.operator, func(pattern string) bool { return event.Match(pattern, name) })
}

// ofTheWay reports whether a header describes the connection or the proxies on
// the way, and not the delivery. Anybody can write those of proxies, so a
// Workflow must not rely on them.
func ofTheWay(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", // RFC 9110, 7.6.1
		"Forwarded", "Via", "X-Real-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Proxy-")
}

// holdsCredential reports whether one of the words of a header's name says that
// it holds a credential or a signature. A word ends at a dash or an underscore.
func holdsCredential(name string) bool {
	before := ""
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '_' }) {
		if isOneOf(word, credentialWords) || strings.EqualFold(word, "key") && isOneOf(before, keyWords) {
			return true
		}
		before = word
	}
	return false
}

// credentialWords name a credential or a signature, and keyWords do so before
// the word "key". An Idempotency-Key or an X-Event-Key is no credential.
const (
	credentialWords = " auth authorization authentication cookie cookies credential credentials hmac jwt apikey passwd password secret secrets session sig sign signature signatures token tokens " //nolint:gosec // words of header names
	keyWords        = " access api app auth client encryption master private secret shared signing subscription "
)

// isOneOf reports whether the words, each between two blanks, have this one. It
// allocates nothing, since it runs for each header of a delivery.
func isOneOf(word, words string) bool {
	const longest = len("authentication")
	if word == "" || len(word) > longest {
		return false
	}
	var padded [longest + 2]byte
	padded[0] = ' '
	for i := range len(word) {
		c := word[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		padded[i+1] = c
	}
	padded[len(word)+1] = ' '
	return strings.Contains(words, string(padded[:len(word)+2]))
}

// namedBy returns the canonical names that a Connection header lists: those
// headers are meant for this connection only.
func namedBy(connection []string) []string {
	var names []string
	for _, value := range connection {
		for name := range strings.SplitSeq(value, ",") {
			names = append(names, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	return names
}

// validText returns the values as JSON can hold them. HTTP once meant bytes
// above 0x7F as ISO 8859-1 (RFC 9110, 5.5), so a value that is not UTF-8 is
// read as that.
func validText(values []string) []string {
	if !slices.ContainsFunc(values, func(value string) bool { return !utf8.ValidString(value) }) {
		return values
	}
	valid := slices.Clone(values)
	for i, value := range valid {
		if utf8.ValidString(value) {
			continue
		}
		runes := make([]rune, len(value))
		for j := range len(value) {
			runes[j] = rune(value[j])
		}
		valid[i] = string(runes)
	}
	return valid
}
