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

// masked stands in a debug log for a value that the log does not show.
const masked = "<masked>"

// Headers and fields of payloads that are masked because of their names, for
// credentials and signatures have many. Masking too much is harmless.
var (
	maskedHeader = regexp.MustCompile(`(?i)auth|cookie|sig|token|secret|hmac|digest|hash|verif|passw|pwd|jwt|key|credential|session`)
	maskedField  = regexp.MustCompile(`(?i)signature|hmac|secret|passw|pwd|jwt|session|credential|token$|cvc|cvv|^(sign|sig|auth|authorization|key)$|(api|access|app|auth|client|encryption|private|shared)[_-]?key$`)
)

// shownParameters are the parameters of a query whose values are shown. Any
// other one may be a credential: a query is where senders without signatures
// put them.
var shownParameters = regexp.MustCompile(`(?i)^(api_?version|version|v|event|type|topic|format|lang|locale|page|per_page|limit|offset|mode|hub\.mode|validationtoken)$`)

// mask hides what a debug log must not show of a source's deliveries.
type mask struct {
	headers *headerFilter
	fields  map[string]bool // of forms and queries
	paths   [][]string      // in JSON
	secrets []string        // values, wherever they stand; the longest first
}

// newMask returns the mask of a source: what its provider signs with and where,
// and the paths and headers that the operator names.
func newMask(source *Source) *mask {
	m := &mask{headers: &source.headers, fields: map[string]bool{}}
	for _, path := range source.maskPaths {
		m.paths = append(m.paths, strings.Split(path, "."))
	}
	for _, from := range source.Provider.Spec().Signature.From {
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

// logDelivery logs a delivery as it came, before anything about it is known. It
// does so at debug level only: strangers wrote it, or customers own it.
func (s *Server) logDelivery(ctx context.Context, source *Source, d *provider.Delivery) {
	if !s.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	m := newMask(source)
	s.logger.LogAttrs(ctx, slog.LevelDebug, "delivery as it came",
		slog.String("source", source.name), slog.String("provider", source.Provider.Name()),
		slog.String("method", d.Method), slog.String("url", m.url(d.URL)),
		slog.Any("headers", m.header(d.Header)),
		slog.Int("body_bytes", len(d.Body)), slog.String("payload", m.body(d.Header.Get("Content-Type"), d.Body)))
}

func (m *mask) header(h http.Header) map[string][]string {
	shown := make(map[string][]string, len(h))
	for name, values := range h {
		hidden := m.hidesHeader(name)
		for _, value := range values {
			if hidden {
				value = masked
			}
			shown[name] = append(shown[name], m.text(value))
		}
	}
	return shown
}

func (m *mask) hidesHeader(name string) bool {
	return slices.Contains(m.headers.provider, name) || m.headers.named(name) || maskedHeader.MatchString(name)
}

// url masks the values of the query, except for those of shownParameters.
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
		for name := range query {
			if !shownParameters.MatchString(name) || m.fields[name] {
				query[name] = slices.Repeat([]string{masked}, len(query[name]))
			}
		}
		u.RawQuery = m.encode(query)
	}
	return m.text(u.String())
}

// body returns a payload as text. Where something in it may have to be masked
// and cannot be found, the text says the payload's length only.
func (m *mask) body(contentType string, body []byte) string {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	if text, ok := m.json(body); ok {
		return m.text(text)
	}
	if mediaType == "application/x-www-form-urlencoded" {
		if form, err := url.ParseQuery(string(body)); err == nil {
			return m.text(m.form(form))
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

// form writes a form. A field that holds JSON, as in forms of GitHub and Slack,
// is masked as JSON.
func (m *mask) form(all url.Values) string {
	for name, values := range all {
		for i, value := range values {
			if m.fields[name] || maskedField.MatchString(name) {
				values[i] = masked
			} else if text, ok := m.json([]byte(value)); ok && strings.HasPrefix(text, "{") {
				values[i] = text
			}
		}
	}
	return m.encode(all)
}

// encode writes a form or a query. It leaves the brackets of <masked> as they
// are, so that a reader sees what was masked.
func (m *mask) encode(all url.Values) string {
	for _, values := range all {
		for i, value := range values {
			values[i] = m.text(value) // before the encoding, which changes blanks
		}
	}
	return strings.ReplaceAll(all.Encode(), url.QueryEscape(masked), masked)
}

// json decodes JSON and encodes it again, so that a name that is spelled with
// escapes, or that is there twice, is masked too.
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

// hideNamed masks the strings and numbers whose names say that they are secret,
// and the secrets that are part of other strings.
func (m *mask) hideNamed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if isScalar(value) && maskedField.MatchString(name) {
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

func isScalar(v any) bool {
	switch v.(type) {
	case string, json.Number:
		return true
	}
	return false
}

// hideAt masks the value at a path: names and indexes, "#" for each item of a
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

// shortest is the length of the shortest secret that text looks for. A shorter
// one would be found where it is not.
const shortest = 6

// text masks the source's secrets and the card numbers in a text.
func (m *mask) text(text string) string {
	for _, secret := range m.secrets {
		text = strings.ReplaceAll(text, secret, masked)
	}
	return maskCards(text)
}

// secretsOf lists the source's secrets, and the options that the config file
// refers to and does not show.
func secretsOf(declared config.Source) []config.Secret {
	secrets := append([]config.Secret(nil), declared.Secrets...)
	for _, o := range declared.Options {
		if strings.Contains(o.Ref(), ":") { // a reference; otherwise the value itself is in the file
			secrets = append(secrets, o)
		}
	}
	return secrets
}
