package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	contentfulSignature = "x-contentful-signature"
	contentfulNames     = "x-contentful-signed-headers"
	contentfulTimestamp = "x-contentful-timestamp"
	contentfulTopic     = "x-contentful-topic"
	// contentfulTolerance is what Contentful's own library takes.
	contentfulTolerance = 30 * time.Second
	// contentfulMostNames is far above what Contentful signs.
	contentfulMostNames = 50
)

// contentful signs a canonical form of the request: its method, its path and
// query, the headers that one header names, and its body, each on a line.
func contentful() Scheme {
	return timedMAC{
		header: contentfulSignature, encoding: "hex",
		timestamp: contentfulTimestamp, unit: "ms", tolerance: contentfulTolerance,
		content: contentfulContent, prepare: contentfulPrepare,
	}
}

func contentfulContent(d *Delivery, _ string) ([]byte, error) {
	names, err := contentfulSignedNames(d.Header)
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(names))
	for i, name := range names {
		value, err := oneHeader(d.Header, name)
		if err != nil {
			return nil, fmt.Errorf("a signed header: %w", err)
		}
		lines[i] = name + ":" + strings.TrimSpace(value)
	}
	content := d.Method + "\n" + contentfulPath(d.URL) + "\n" + strings.Join(lines, ";") + "\n"
	return append([]byte(content), d.Body...), nil
}

// contentfulSignedNames are lower case and in the order of the header. The
// time and the list of names itself have to be among them.
func contentfulSignedNames(h http.Header) ([]string, error) {
	text, err := oneHeader(h, contentfulNames)
	if err != nil {
		return nil, err
	}
	names := strings.Split(strings.ToLower(text), ",")
	if len(names) > contentfulMostNames {
		return nil, fmt.Errorf("%w: header %s names more than %d headers", ErrMalformed, contentfulNames, contentfulMostNames)
	}
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	for _, needed := range []string{contentfulTimestamp, contentfulNames} {
		if !slices.Contains(names, needed) {
			return nil, fmt.Errorf("%w: header %s is not among the signed ones", ErrMalformed, needed)
		}
	}
	return names, nil
}

// contentfulPrepare names the headers that are signed.
func contentfulPrepare(d *Delivery) {
	var names []string
	for _, name := range []string{"content-type", contentfulNames, contentfulTimestamp, contentfulTopic} {
		if name == contentfulNames || name == contentfulTimestamp || d.Header.Get(name) != "" {
			names = append(names, name)
		}
	}
	d.Header.Set(contentfulNames, strings.Join(names, ","))
}

// contentfulPath is the path and query as Contentful's library signs them: the
// query is escaped as one component, and then both are escaped once more.
func contentfulPath(text string) string {
	_, rest, _ := strings.Cut(text, "://")
	path := "/"
	if slash := strings.IndexAny(rest, "/?"); slash >= 0 {
		path = rest[slash:]
	}
	path, query, _ := strings.Cut(path, "?")
	if query != "" {
		// The library takes the query to end at a second question mark.
		query, _, _ = strings.Cut(query, "?")
		path += "?" + escapeBut(query, componentMarks)
	}
	return escapeBut(path, uriMarks)
}

// What JavaScript's encodeURIComponent and encodeURI leave as it is, besides
// letters and digits.
const (
	componentMarks = "-_.!~*'()"
	uriMarks       = componentMarks + ";,/?:@&=+$#"
)

func escapeBut(s, marks string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(marks, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
