package provider

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Surroundings are what Diagnose may look at besides the delivery. All of it may
// be left out.
type Surroundings struct {
	// Catalog holds the providers that the delivery may be of instead.
	Catalog *Catalog
	// Sources are the other configured sources, by name.
	Sources map[string]*Receiver
	// URLs are other addresses that the provider may know the endpoint by.
	URLs []string
}

// Diagnose says which usual mistake explains why r refuses a delivery that may
// be genuine: it makes the mistake undone and looks whether the delivery
// verifies then. It returns "" where none fits. The text never holds a secret.
// It is for people who look for the cause, not for the edge: nothing is taken
// for genuine because of it.
func (r *Receiver) Diagnose(ctx context.Context, d *Delivery, around Surroundings) string {
	err := r.Verify(ctx, d)
	if err == nil || errors.Is(err, ErrStale) {
		return ""
	}
	x := &diagnosis{ctx: ctx, delivery: d, around: around}
	steps := []func(*Receiver) string{
		x.body, x.secret, x.otherSource, x.address, x.signature, x.otherProvider,
	}
	for _, step := range steps {
		if found := step(r); found != "" {
			return found
		}
	}
	// A file that an editor has saved has another mistake besides.
	trimmed := *d
	if trimmed.Body = withoutLineBreak(d.Body); len(trimmed.Body) < len(d.Body) {
		x.delivery = &trimmed
		for _, step := range steps {
			if found := step(r); found != "" {
				return found + "; besides, the body has a line break at the end that was not sent"
			}
		}
	}
	return ""
}

// withoutLineBreak cuts one line break off the end.
func withoutLineBreak(body []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(body, []byte("\n")), []byte("\r"))
}

type diagnosis struct {
	ctx      context.Context //nolint:containedctx // it lives as long as one call
	delivery *Delivery
	around   Surroundings
}

// fits reports whether the delivery is one that r takes for genuine, at
// whatever time.
func (x *diagnosis) fits(r *Receiver, d *Delivery) bool {
	err := r.verifier.Verify(x.ctx, d)
	return err == nil || errors.Is(err, ErrStale)
}

// body tries what editors, parsers and frameworks do to a body.
func (x *diagnosis) body(r *Receiver) string {
	for _, change := range bodyChanges() {
		body := change.undo(x.delivery.Body)
		if body == nil || bytes.Equal(body, x.delivery.Body) {
			continue
		}
		d := *x.delivery
		if d.Body = body; x.fits(r, &d) {
			return change.says
		}
	}
	return ""
}

type bodyChange struct {
	says string
	undo func(body []byte) []byte // nil where it does not apply
}

func bodyChanges() []bodyChange {
	const reencoded = "it matches once the body is written as %s: the JSON was parsed and written again on its way; verify the raw body"
	indented := func(indent string) func([]byte) []byte {
		return func(body []byte) []byte {
			var b bytes.Buffer
			if json.Indent(&b, body, "", indent) != nil {
				return nil
			}
			return b.Bytes()
		}
	}
	compact := func(body []byte) []byte {
		var b bytes.Buffer
		if json.Compact(&b, body) != nil {
			return nil
		}
		return b.Bytes()
	}
	then := func(change func([]byte) []byte) func([]byte) []byte {
		return func(body []byte) []byte {
			if body = compact(body); body == nil {
				return nil
			}
			return change(body)
		}
	}
	replaced := func(old, with string) func([]byte) []byte {
		return func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(old), []byte(with)) }
	}
	return []bodyChange{
		{"it matches without the line break at the end; editors add one", withoutLineBreak},
		{"it matches with a line break (LF) at the end of the body, which was cut off on its way", func(b []byte) []byte { return append(bytes.Clone(b), '\n') }},
		{"it matches with a line break (CRLF) at the end of the body, which was cut off on its way", func(b []byte) []byte { return append(bytes.TrimRight(bytes.Clone(b), "\r\n"), "\r\n"...) }},
		{"it matches with LF for each CRLF in the body: the line breaks were changed on its way", replaced("\r\n", "\n")},
		{"it matches with CRLF for each LF in the body: the line breaks were changed on its way", func(b []byte) []byte { return replaced("\n", "\r\n")(replaced("\r\n", "\n")(b)) }},
		{"it matches without the byte order mark before the body", func(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }},
		{fmt.Sprintf(reencoded, "compact JSON"), compact},
		{fmt.Sprintf(reencoded, "JSON indented by two blanks"), indented("  ")},
		{fmt.Sprintf(reencoded, "JSON indented by four blanks"), indented("    ")},
		{fmt.Sprintf(reencoded, "JSON indented by tabs"), indented("\t")},
		{fmt.Sprintf(reencoded, "JSON with a blank after each comma and colon"), then(spaced)},
		{fmt.Sprintf(reencoded, `JSON with \/ for each slash`), then(replaced("/", `\/`))},
		{fmt.Sprintf(reencoded, `JSON with / for each \/`), replaced(`\/`, "/")},
		{fmt.Sprintf(reencoded, `JSON with \uXXXX for what is not ASCII`), escapeUnicode},
		{fmt.Sprintf(reencoded, `compact JSON with \uXXXX for what is not ASCII`), then(escapeUnicode)},
		{fmt.Sprintf(reencoded, `JSON with <, > and & as they are`), func(b []byte) []byte {
			return replaced(`\u0026`, "&")(replaced(`\u003e`, ">")(replaced(`\u003c`, "<")(b)))
		}},
		{"it matches once the body is a form's value unescaped", func(b []byte) []byte {
			text, err := url.QueryUnescape(string(b))
			if err != nil {
				return nil
			}
			return []byte(text)
		}},
	}
}

// spaced writes compact JSON as Python does.
func spaced(body []byte) []byte {
	var b bytes.Buffer
	quoted := false
	for i := 0; i < len(body); i++ {
		c := body[i]
		b.WriteByte(c)
		switch {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\' && i+1 < len(body):
			i++
			b.WriteByte(body[i])
		case !quoted && (c == ',' || c == ':'):
			b.WriteByte(' ')
		}
	}
	return b.Bytes()
}

func escapeUnicode(body []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(body) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return b.Bytes()
}

// secret tries what happens to a secret when it is copied.
func (x *diagnosis) secret(r *Receiver) string {
	for i, text := range r.binding.Secrets {
		for _, change := range secretChanges(text, r.spec.Secret) {
			if change.text == text && change.read == nil {
				continue
			}
			other, err := r.reading(change.read).Bind(withSecrets(r.binding, change.text))
			if err == nil && x.fits(other, x.delivery) {
				return fmt.Sprintf("secret %d: %s", i+1, change.says)
			}
		}
	}
	return ""
}

// secretChange is another text of a secret, or another way to read it.
type secretChange struct {
	says string
	text string
	read *SecretSpec // nil for the provider's own way
}

func secretChanges(text string, spec SecretSpec) []secretChange {
	trimmed := strings.TrimSpace(text)
	changes := []secretChange{
		{"it matches without the blank or line break around the secret; see how the variable or the file was written", trimmed, nil},
		{"it matches with a line break after the secret: the sender has one in its copy", text + "\n", nil},
		{"it matches without the quotes around the secret", strings.Trim(trimmed, "\"'`"), nil},
	}
	if at := strings.LastIndexByte(trimmed, '_'); at > 0 {
		changes = append(changes, secretChange{"it matches without the prefix of the secret", trimmed[at+1:], nil})
	}
	if at := strings.IndexByte(trimmed, '_'); at > 0 {
		changes = append(changes, secretChange{"it matches without the prefix of the secret", trimmed[at+1:], nil})
	}
	for _, prefix := range append(slices.Clone(spec.Prefix), "whsec_") {
		if prefix != "" && !strings.HasPrefix(trimmed, prefix) {
			changes = append(changes, secretChange{fmt.Sprintf("it matches with %q before the secret, which belongs to it", prefix), prefix + trimmed, nil})
		}
	}
	for _, encoding := range []string{"utf8", "base64", "hex"} {
		says := map[string]string{
			"utf8":   "it matches with the text of the secret as the key: the sender does not decode it",
			"base64": "it matches with the secret decoded from base64: the sender decodes it",
			"hex":    "it matches with the secret decoded from hex: the sender decodes it",
		}[encoding]
		for _, prefix := range append(OneOrMore{""}, append(spec.Prefix, "whsec_")...) {
			if prefix == "" || strings.HasPrefix(trimmed, prefix) {
				changes = append(changes, secretChange{says, trimmed, &SecretSpec{Encoding: encoding, Prefix: OneOrMore{prefix}}})
			}
		}
	}
	// A scheme written in Go reads texts as they are.
	if decoded, err := base64.StdEncoding.DecodeString(trimmed); err == nil {
		changes = append(changes, secretChange{"it matches with the secret decoded from base64: the sender decodes it", string(decoded), nil})
	}
	if decoded, err := hex.DecodeString(trimmed); err == nil {
		changes = append(changes, secretChange{"it matches with the secret decoded from hex: the sender decodes it", string(decoded), nil})
	}
	return changes
}

// reading returns the provider as it would be if it read secrets in that way.
func (r *Receiver) reading(spec *SecretSpec) *Provider {
	if spec == nil {
		return r.Provider
	}
	return r.varied(func(s *declared) { s.secret = *spec })
}

// varied returns the provider with a change made to its scheme, if that is one
// that a file declares.
func (r *Receiver) varied(change func(s *declared)) *Provider {
	scheme, ok := r.scheme.(*declared)
	if !ok {
		return r.Provider
	}
	p, s := *r.Provider, *scheme
	change(&s)
	p.scheme = &s
	return &p
}

func withSecrets(b Binding, secrets ...string) Binding {
	b.Secrets = secrets
	return b
}

// otherSource tries the secrets of all other sources, with this provider and
// with theirs.
func (x *diagnosis) otherSource(r *Receiver) string {
	for _, name := range sortedKeys(x.around.Sources) {
		other := x.around.Sources[name]
		for _, secret := range other.binding.Secrets {
			if slices.Contains(r.binding.Secrets, secret) {
				continue
			}
			bound, err := r.Bind(withSecrets(r.binding, secret))
			if err == nil && x.fits(bound, x.delivery) {
				return fmt.Sprintf("it matches under the secret of source %q", name)
			}
		}
	}
	for _, name := range sortedKeys(x.around.Sources) {
		if x.fits(x.around.Sources[name], x.delivery) {
			return fmt.Sprintf("it is a delivery for source %q, of provider %q", name, x.around.Sources[name].Name())
		}
	}
	return ""
}

// address tries the URLs by which a provider may know the endpoint.
func (x *diagnosis) address(r *Receiver) string {
	if !r.signsURL {
		return ""
	}
	for _, address := range addresses(x.delivery, x.around.URLs) {
		d := *x.delivery
		if d.URL = address; x.fits(r, &d) {
			return fmt.Sprintf("it matches with the URL %q: the provider was given that one, and public_url has to say so", clip(withoutQuery(address)))
		}
	}
	return ""
}

func withoutQuery(address string) string {
	base, _, _ := strings.Cut(address, "?")
	return base
}

// addresses returns the URL with other schemes, hosts, ports and slashes.
func addresses(d *Delivery, more []string) []string {
	var found []string
	for _, base := range append([]string{d.URL}, more...) {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" {
			continue
		}
		_, rest, _ := strings.Cut(strings.TrimPrefix(base, u.Scheme+"://"), "/")
		path, query, hasQuery := strings.Cut(rest, "?")
		paths := otherPaths(d, path)
		for _, scheme := range []string{u.Scheme, "https", "http"} {
			for _, host := range otherHosts(d, u) {
				for _, p := range paths {
					address := scheme + "://" + host + p
					if found = append(found, address); hasQuery {
						found = append(found, address+"?"+query)
					}
				}
			}
		}
	}
	return found
}

func otherHosts(d *Delivery, u *url.URL) []string {
	hosts := []string{u.Host, u.Hostname(), u.Hostname() + ":443", u.Hostname() + ":80"}
	for _, name := range []string{"Host", "X-Forwarded-Host", "X-Original-Host"} {
		if host := d.Header.Get(name); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func otherPaths(d *Delivery, path string) []string {
	paths := []string{"/" + path, "/" + strings.TrimSuffix(path, "/"), "/" + path + "/"}
	if prefix := d.Header.Get("X-Forwarded-Prefix"); prefix != "" {
		paths = append(paths, strings.TrimSuffix(prefix, "/")+"/"+path)
	}
	for _, name := range []string{"X-Original-Uri", "X-Original-Url", "X-Forwarded-Uri"} {
		if uri, _, _ := strings.Cut(d.Header.Get(name), "?"); strings.HasPrefix(uri, "/") {
			paths = append(paths, uri)
		}
	}
	if path == "" {
		paths = append(paths, "")
	}
	return paths
}

// signature tries other ways to sign the same delivery, for a scheme that a
// file declares.
func (x *diagnosis) signature(r *Receiver) string {
	scheme, ok := r.scheme.(*declared)
	if !ok {
		return ""
	}
	for _, encoding := range []string{"hex", "base64"} {
		if encoding != scheme.encoding && scheme.encoding != "utf8" && x.variant(r, func(s *declared) { s.encoding = encoding }) {
			return fmt.Sprintf("it matches as %s: the signature is written in %s, and %s writes it in %s", encoding, encoding, r.Name(), scheme.encoding)
		}
	}
	for _, text := range []string{"{body}", "{timestamp}.{body}", "{timestamp}{body}", "{body}{timestamp}", "{timestamp}:{body}", "{id}.{timestamp}.{body}", "{id}.{body}", "{url}{body}", "{body}{url}"} {
		content, err := parseTemplate(text)
		if err == nil && scheme.content != nil && x.variant(r, func(s *declared) { s.content = content }) {
			return fmt.Sprintf("it matches when %q is signed, and %s signs %q", text, r.Name(), r.spec.Signature.Content)
		}
	}
	for _, name := range []string{"hmac-sha256", "hmac-sha1", "hmac-sha512"} {
		if name != r.spec.Signature.Algorithm && strings.HasPrefix(r.spec.Signature.Algorithm, "hmac-") && x.variant(r, func(s *declared) { s.newKey = algorithms[name] }) {
			return fmt.Sprintf("it matches under %s, and %s signs with %s", name, r.Name(), r.spec.Signature.Algorithm)
		}
	}
	if len(scheme.prefixes) > 0 && x.variant(r, func(s *declared) { s.prefixes = nil }) {
		return fmt.Sprintf("it matches without the prefix %q of the signature, which was cut off on its way", scheme.prefixes[0])
	}
	return x.otherTime(r, scheme)
}

// otherTime tries the signed time in another unit, where it was written anew.
func (x *diagnosis) otherTime(r *Receiver, scheme *declared) string {
	if scheme.timestamp == nil {
		return ""
	}
	for _, from := range scheme.timestamp.from {
		sent, ok := from.find(&view{Delivery: x.delivery})
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(sent, 10, 64)
		if err != nil {
			continue
		}
		for unit, other := range map[string]int64{"seconds": n / 1000, "milliseconds": n * 1000} {
			d := *x.delivery
			d.Header = x.delivery.Header.Clone()
			if from.put(&d, strconv.FormatInt(other, 10)) == nil && other > 0 && x.fits(r, &d) {
				return fmt.Sprintf("it matches with the timestamp in %s: %s was changed on its way", unit, from)
			}
		}
	}
	return ""
}

func (x *diagnosis) variant(r *Receiver, change func(s *declared)) bool {
	bound, err := r.varied(change).Bind(r.binding)
	return err == nil && x.fits(bound, x.delivery)
}

// otherProvider tries the providers of the catalog under the same secrets: an
// older signature beside the newer one, another version, another product.
func (x *diagnosis) otherProvider(r *Receiver) string {
	if x.around.Catalog == nil {
		return ""
	}
	for _, name := range x.around.Catalog.Names() {
		p, _ := x.around.Catalog.Lookup(name)
		if name == r.Name() || p.spec.Signature.Algorithm == "token" || p.spec.Configurable || x.around.Catalog.AliasOf(name) != "" {
			continue
		}
		other, err := p.Bind(Binding{Secrets: r.binding.Secrets, Options: p.trialOptions(), Fetch: noFetcher{}})
		if err == nil && other.HasSecret() && x.fits(other, x.delivery) {
			return fmt.Sprintf("it verifies as one of provider %q, which signs in %s", name, strings.Join(append(p.spec.Signature.Header, p.spec.Signature.From...), " or "))
		}
	}
	return ""
}

// noFetcher keeps a diagnosis off the network.
type noFetcher struct{}

// Fetch implements Fetcher.
func (noFetcher) Fetch(context.Context, string) ([]byte, error) {
	return nil, errors.New("nothing is fetched to find a cause")
}
