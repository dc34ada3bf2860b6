package provider

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// place is where a signature may stand: a header, or else a source.
type place struct {
	header string // canonical
	lookup lookup
}

func (p place) String() string {
	if p.header != "" {
		return "header " + p.lookup.arg
	}
	return p.lookup.text
}

// candidate is the text found at a place.
type candidate struct {
	place place
	text  string
}

// headerPlaces returns the place of a header, or of each of the headers that
// NAME-{1..100} stands for.
func headerPlaces(name string) ([]place, error) {
	var places []place
	add := func(name string) {
		s, _ := parseLookup("header:" + name) // a header's name is not looked into
		s.arg = name
		places = append(places, place{header: http.CanonicalHeaderKey(name), lookup: s})
	}
	if !strings.ContainsAny(name, "{}") {
		add(name)
		return places, nil
	}
	m := numbered.FindStringSubmatch(name)
	if m == nil {
		return nil, fmt.Errorf("header %q: want a name, or NAME-{1..100} for a hundred of them", name)
	}
	from, _ := strconv.Atoi(m[2])
	to, _ := strconv.Atoi(m[3])
	if from > to || to-from >= maxPlaces {
		return nil, fmt.Errorf("header %q: want at most %d headers, the lowest number first", name, maxPlaces)
	}
	for n := from; n <= to; n++ {
		add(m[1] + strconv.Itoa(n) + m[4])
	}
	return places, nil
}

var numbered = regexp.MustCompile(`^([^{}]*)\{(\d{1,4})\.\.(\d{1,4})\}([^{}]*)$`)

// candidates returns the text at the first place that has one, or at all that
// have.
func (s *declared) candidates(v *view) ([]candidate, error) {
	var found []candidate
	for _, p := range s.places {
		text, err := p.get(v)
		if err != nil {
			return nil, err
		}
		if text == "" {
			continue
		}
		found = append(found, candidate{p, text})
		if !s.any {
			return found, nil
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s is missing or empty", ErrUnsigned, s.names())
	}
	return found, nil
}

func (p place) get(v *view) (string, error) {
	if p.header == "" {
		text, _ := p.lookup.find(v)
		return text, nil
	}
	values := v.Header[p.header]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", fmt.Errorf("%w: %s is there %d times", ErrMalformed, p, len(values))
	}
}

// names lists the places for an error message.
func (s *declared) names() string {
	const most = 4
	var names []string
	for i, p := range s.places {
		if i == most {
			return strings.Join(names, " or ") + " and so on"
		}
		name := p.String()
		if i > 0 {
			name = strings.TrimPrefix(name, "header ")
		}
		names = append(names, name)
	}
	return strings.Join(names, " or ")
}

// put writes a signature where the place will find it.
func (p place) put(d *Delivery, text string) error {
	if p.header != "" {
		d.Header.Set(p.header, text)
		return nil
	}
	return p.lookup.put(d, text)
}

// putQuery sets a parameter of the URL's query and leaves the others as they
// are.
func putQuery(d *Delivery, name, value string) {
	base, query, _ := strings.Cut(d.URL, "?")
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if unescaped, err := url.QueryUnescape(key); pair != "" && (err != nil || unescaped != name) {
			kept = append(kept, pair)
		}
	}
	kept = append(kept, url.QueryEscape(name)+"="+url.QueryEscape(value))
	d.URL = base + "?" + strings.Join(kept, "&")
}
