package ingest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
)

// masked stands in a debug log for what it must not show.
const masked = "<masked>"

// What is masked wherever it stands, by its name: credentials and signatures as
// providers call them. A name too many costs a reader little.
var (
	maskedHeader = regexp.MustCompile(`(?i)auth|cookie|sig|token|secret|hmac|digest|hash|verif|passw|jwt|api-?key|credential`)
	maskedField  = regexp.MustCompile(`(?i)signature|hmac|secret|passw|jwt|token$|^(sign|sig|auth|authorization|api_?key)$`)
)

// mask hides what a debug log must not show of a source's deliveries.
type mask struct {
	headers []string        // names or, ending in "-" or "_", their beginnings; canonical
	fields  map[string]bool // of forms and queries
	paths   [][]string      // in JSON
	secrets []string        // values, wherever they stand; the longest first
}

// newMask returns what hides the values at the operator's own paths
// ("customer.email"), besides what the provider signs with and where.
func newMask(source *Source, paths []string) *mask {
	m := &mask{fields: map[string]bool{}}
	for _, path := range paths {
		m.paths = append(m.paths, strings.Split(path, "."))
	}
	signature := source.Provider.Spec().Signature
	for _, name := range signature.Header {
		name, _, _ = strings.Cut(name, "{") // NAME-{1..100}
		m.headers = append(m.headers, http.CanonicalHeaderKey(name))
	}
	for _, from := range signature.From {
		switch kind, name, _ := strings.Cut(from, ":"); kind {
		case "query", "form":
			m.fields[name] = true
		case "json":
			m.paths = append(m.paths, strings.Split(name, "."))
		}
	}
	for _, s := range source.secrets {
		if len(s.Reveal()) >= shortest {
			m.secrets = append(m.secrets, s.Reveal())
		}
	}
	slices.SortFunc(m.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return m
}

// logDelivery writes a delivery down as it came, before anything is known of
// it. Only a log at debug has that: it is what strangers wrote, and what
// customers own.
func (s *Server) logDelivery(ctx context.Context, source *Source, d *provider.Delivery, paths []string) {
	if !s.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	m := newMask(source, paths)
	s.logger.LogAttrs(ctx, slog.LevelDebug, "delivery as it came",
		slog.String("source", source.name), slog.String("provider", source.Provider.Name()),
		slog.String("method", d.Method), slog.String("url", m.url(d.URL)),
		slog.Any("headers", m.header(d.Header)),
		slog.Int("body_bytes", len(d.Body)), slog.String("payload", m.body(d.Header.Get("Content-Type"), d.Body)))
}

func (m *mask) header(h http.Header) map[string][]string {
	shown := make(map[string][]string, len(h))
	for name, values := range h {
		for _, value := range values {
			if m.hidesHeader(name) {
				value = masked
			}
			shown[name] = append(shown[name], m.text(value))
		}
	}
	return shown
}

func (m *mask) hidesHeader(name string) bool {
	for _, hidden := range m.headers {
		if name == hidden || strings.HasPrefix(name, hidden) && strings.HasSuffix(hidden, "-") {
			return true
		}
	}
	return maskedHeader.MatchString(name)
}

// url hides parameters of the query.
func (m *mask) url(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return masked
	}
	if u.RawQuery != "" {
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			return masked
		}
		u.RawQuery = m.values(query)
	}
	return m.text(u.String())
}

// body returns a payload as text. What cannot be taken apart is not shown where
// something in it may have to be hidden: its length is.
func (m *mask) body(contentType string, body []byte) string {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	if text, ok := m.json(body); ok {
		return m.text(text)
	}
	if mediaType == "application/x-www-form-urlencoded" {
		if form, err := url.ParseQuery(string(body)); err == nil {
			return m.text(m.values(form))
		}
	}
	if len(body) == 0 {
		return ""
	}
	if len(m.paths) > 0 || strings.HasPrefix(mediaType, "multipart/") || !utf8.Valid(body) {
		return fmt.Sprintf("<%d bytes, not shown: what is to be masked cannot be found in them>", len(body))
	}
	return m.text(string(body))
}

// values writes a form or a query. A field that holds JSON, as GitHub's and
// Slack's forms do, is looked into.
func (m *mask) values(all url.Values) string {
	for name, values := range all {
		for i, value := range values {
			if m.fields[name] || maskedField.MatchString(name) {
				values[i] = masked
			} else if text, ok := m.json([]byte(value)); ok && strings.HasPrefix(text, "{") {
				values[i] = text
			}
		}
	}
	// Not Encode, which would write the brackets of <masked> as %3C and %3E.
	text := all.Encode()
	return strings.ReplaceAll(text, url.QueryEscape(masked), masked)
}

// json writes JSON anew, so that no second spelling of a name and no second
// value of it can slip through.
func (m *mask) json(body []byte) (text string, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // as it was sent
	var v any
	if decoder.Decode(&v) != nil {
		return "", false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return "", false // more than one value
	}
	v = m.hideNamed(v)
	for _, path := range m.paths {
		v = hideAt(v, path)
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return "", false
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

// hideNamed hides the texts whose names say that they are secret, and the
// secrets that stand in the others.
func (m *mask) hideNamed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if _, isText := value.(string); isText && maskedField.MatchString(name) {
				v[name] = masked
			} else {
				v[name] = m.hideNamed(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = m.hideNamed(v[i])
		}
	case string:
		return m.text(v)
	}
	return v
}

// hideAt hides the value at a path: names and indexes, "#" for each item of a
// list and "*" for each member of a mapping.
func hideAt(v any, path []string) any {
	if len(path) == 0 {
		return masked
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if path[0] == name || path[0] == "*" {
				v[name] = hideAt(value, path[1:])
			}
		}
	case []any:
		for i := range v {
			if path[0] == "#" || path[0] == strconv.Itoa(i) {
				v[i] = hideAt(v[i], path[1:])
			}
		}
	}
	return v
}

// shortest is the shortest secret that is looked for in a text: a shorter one
// would be found in what is none.
const shortest = 6

// text hides the source's secrets where they stand in the open.
func (m *mask) text(text string) string {
	for _, secret := range m.secrets {
		text = strings.ReplaceAll(text, secret, masked)
	}
	return text
}

// secretsOf lists what a source was given that is no one else's business.
func secretsOf(declared config.Source) []config.Secret {
	secrets := append([]config.Secret(nil), declared.Secrets...)
	for _, o := range declared.Options {
		if strings.Contains(o.Ref(), ":") { // a reference, and not a value that stands in the file
			secrets = append(secrets, o)
		}
	}
	return secrets
}
