package provider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
type contentful struct{}

// Bind implements Scheme.
func (contentful) Bind(b Binding) (Verifier, error) {
	secrets, err := bindSharedSecrets(b, "utf8", sha256.New)
	return contentfulVerifier{sharedSecrets: secrets, time: bindTime(b, "ms", contentfulTolerance)}, err
}

type contentfulVerifier struct {
	sharedSecrets
	time signedTime
}

// Verify implements Verifier.
func (v contentfulVerifier) Verify(_ context.Context, d *Delivery) error {
	text, err := oneHeader(d.Header, contentfulSignature)
	if err != nil {
		return err
	}
	signature, err := decodeHex("header "+contentfulSignature, text)
	if err != nil {
		return err
	}
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	if err := v.check([][]byte{signature}, content); err != nil {
		return err
	}
	return v.time.check(d.Header.Get(contentfulTimestamp), d.ReceivedAt)
}

// SignedContent implements Explainer.
func (v contentfulVerifier) SignedContent(d *Delivery) ([]byte, error) {
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

// Sign implements Signer.
func (v contentfulVerifier) Sign(d *Delivery) error {
	var names []string
	for _, name := range []string{"content-type", contentfulNames, contentfulTimestamp, contentfulTopic} {
		if name == contentfulNames || name == contentfulTimestamp || d.Header.Get(name) != "" {
			names = append(names, name)
		}
	}
	d.Header.Set(contentfulNames, strings.Join(names, ","))
	d.Header.Set(contentfulTimestamp, v.time.format(d.ReceivedAt))
	content, err := v.SignedContent(d)
	if err != nil {
		return err
	}
	d.Header.Set(contentfulSignature, hex.EncodeToString(v.sign(content)))
	return nil
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

var (
	_ Signer    = contentfulVerifier{}
	_ Explainer = contentfulVerifier{}
)
