package provider

import (
	"net/url"
	"slices"
	"strings"
)

// spellings returns the other ways in which the same URL may have been written
// where it was signed. A provider signs the URL that it was configured with,
// while its HTTP client, or ours, may escape it otherwise on the way: Twilio's
// own libraries try several of these. Path, parameters and their order stay the
// same.
func spellings(text string) []string {
	base, query, hasQuery := strings.Cut(text, "?")
	var found []string
	add := func(base, query string) {
		u := base
		if hasQuery {
			u += "?" + query
		}
		if u != text && !slices.Contains(found, u) {
			found = append(found, u)
		}
	}
	quoted, plain := strings.NewReplacer("'", "%27"), strings.NewReplacer("%27", "'")
	add(base, quoted.Replace(query)) // as the URL standard of browsers has it
	add(quoted.Replace(base), quoted.Replace(query))
	add(plain.Replace(base), plain.Replace(query))
	add(upperEscapes(base), upperEscapes(query))
	add(base, anew(query, componentMarks)) // as Node's querystring has it
	add(base, anew(query, "-_.~"))         // as RFC 3986 has it
	return found
}

// upperEscapes writes the digits of escapes in upper case.
func upperEscapes(text string) string {
	b := []byte(text)
	for i := 0; i+2 < len(b); i++ {
		if b[i] != '%' {
			continue
		}
		for j := i + 1; j <= i+2; j++ {
			if 'a' <= b[j] && b[j] <= 'f' {
				b[j] -= 'a' - 'A'
			}
		}
	}
	return string(b)
}

// anew escapes the names and values of a query again, all but letters, digits
// and marks.
func anew(query, marks string) string {
	var b strings.Builder
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		name, value, assigned := strings.Cut(pair, "=")
		for j, part := range []string{name, value} {
			if j == 1 && assigned {
				b.WriteByte('=')
			}
			plain, err := url.QueryUnescape(part)
			if err != nil {
				return query
			}
			b.WriteString(escapeBut(plain, marks))
		}
	}
	return b.String()
}
