package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/event"
)

// Each of these returns what reads one kind of value into a field.

func (d *decoder) string(to *string, want string) func(value) {
	return func(v value) {
		if s, ok := d.text(v, want); ok {
			*to = s
		}
	}
}

// headerPattern is the name of a header in which "*" may stand for any run of
// characters. The others are those of a token of RFC 9110.
var headerPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// headers reads patterns of header names.
func (d *decoder) headers(to *[]string, instead string) func(value) {
	return func(v value) {
		const want = "the name of a header such as X-Internal-Id, or a pattern such as X-Internal-*"
		for _, item := range d.items(v, "names of headers such as X-Internal-*", instead) {
			name, ok := d.text(item, want)
			switch {
			case !ok:
			case !headerPattern.MatchString(name):
				d.mistake(item, "want %s, found %s", want, quote(name))
			default:
				*to = append(*to, event.CanonicalHeader(name))
			}
		}
	}
}

// path reads a path and joins it to the config file's folder.
func (d *decoder) path(to *string) func(value) {
	return func(v value) {
		if s, ok := d.text(v, "a path"); ok {
			*to = within(d.dir, s)
		}
	}
}

func (d *decoder) duration(to *time.Duration) func(value) {
	return func(v value) {
		const want = "a duration such as 30s, 5m or 30d"
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		t, err := parseDuration(s)
		switch {
		case err != nil:
			d.mistake(v, "want %s, found %s", want, quote(s))
		case t < time.Millisecond:
			d.mistake(v, "want 1ms or more, found %s", quote(s))
		default:
			*to = t
		}
	}
}

func (d *decoder) address(to *string) func(value) {
	return func(v value) {
		const want = "host:port such as 127.0.0.1:8080 or :8080"
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		_, port, err := net.SplitHostPort(s)
		if err != nil || !isPort(port) {
			d.mistake(v, "want %s, found %s", want, quote(s))
			return
		}
		*to = s
	}
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (d *decoder) prefixes(to *[]netip.Prefix, instead string) func(value) {
	return func(v value) {
		const want = "an address or a CIDR such as 203.0.113.0/24"
		for _, item := range d.items(v, "addresses or CIDRs such as 203.0.113.0/24", instead) {
			s, ok := d.text(item, want)
			if !ok {
				continue
			}
			prefix, err := parsePrefix(s)
			if err != nil {
				d.mistake(item, "%s", err)
				continue
			}
			*to = append(*to, prefix)
		}
	}
}

// url reads the URL of a service.
func (d *decoder) url(to *string) func(value) {
	return func(v value) {
		if u, ok := d.absolute(v); ok {
			*to = u.String()
		}
	}
}

// publicURL reads the URL that paths are added to.
func (d *decoder) publicURL(to *string) func(value) {
	return func(v value) {
		u, ok := d.absolute(v)
		switch {
		case !ok:
		case u.RawQuery != "" || u.ForceQuery:
			d.mistake(v, "has a query; leave out what follows the question mark")
		default:
			*to = strings.TrimRight(u.String(), "/")
		}
	}
}

// absolute reads a URL. Its mistakes do not repeat the URL, which may hold a
// password or a token.
func (d *decoder) absolute(v value) (*url.URL, bool) {
	const want = "an absolute http or https URL"
	s, ok := d.text(v, want)
	if !ok {
		return nil, false
	}
	u, err := url.Parse(s)
	if err == nil {
		err = checkURL(u)
	} else {
		err = errors.New("found something that is not a URL")
	}
	if err != nil {
		d.mistake(v, "want %s, %s", want, err)
		return nil, false
	}
	return u, true
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme == "":
		return errors.New("found one without a scheme; start it with https://")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("found the scheme %s", quote(u.Scheme))
	case u.Hostname() == "":
		return errors.New("found one without a host")
	case !isPort(u.Port()) && u.Port() != "":
		return fmt.Errorf("found the port %s", u.Port())
	case u.User != nil:
		return errors.New("found one with a user or password; leave them out")
	case u.Fragment != "":
		return errors.New("found one with a fragment; leave out what follows the #")
	}
	return nil
}

// secrets reads a list of references.
func (d *decoder) secrets(to *[]Secret, instead string) func(value) {
	return func(v value) {
		for _, item := range d.items(v, "references such as env:NAME or file:/path", instead) {
			var s Secret
			d.secret(&s)(item)
			*to = append(*to, s)
		}
	}
}

// secret reads one reference. What was found is never repeated: it may be the
// secret itself. A mistake leaves a Secret without a value, so that it is not
// reported again as one that is missing.
func (d *decoder) secret(to *Secret) func(value) {
	return func(v value) {
		*to = Secret{ref: hidden}
		const want = "a reference, env:NAME or file:/path"
		if v.node.Kind == yaml.MappingNode {
			d.mistake(v, "want %s, found a mapping; leave no space after the colon", want)
			return
		}
		s, ok := d.text(v, want)
		if !ok {
			return
		}
		if !isReference(s) {
			d.mistake(v, "want %s, found a literal value; put the secret into a variable or a file and name that here", want)
			return
		}
		*to = Secret{ref: s}
		if d.opts.SkipSecrets {
			return
		}
		secret, err := d.opts.resolve(s, d.dir)
		if err != nil {
			d.report(v.line, v.keys[:len(v.keys)-1], "%s", err)
			return
		}
		*to = NewSecret(s, secret)
	}
}
