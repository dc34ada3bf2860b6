package event

import "strings"

// Match reports whether name fits the pattern, in which each "*" stands for
// any run of characters, "." and "/" included: "invoice.*" fits
// "invoice.payment.failed" but not "invoice".
func Match(pattern, name string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	for {
		part, more, again := strings.Cut(rest, "*")
		if !again {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], more
	}
}

// Literals counts the characters of the pattern that are not "*": of two
// patterns that fit a name, the one with more of them says more about it.
func Literals(pattern string) int {
	return len(pattern) - strings.Count(pattern, "*")
}
