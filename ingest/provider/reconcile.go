package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// ErrOtherHost is a page that names another host than the API's as the place of
// the next page. The key never goes there.
var ErrOtherHost = errors.New("the address is not on the host of the API, which the key is meant for")

// Reconciles reports whether the provider's file says how its API lists what
// has happened.
func (p *Provider) Reconciles() bool { return p.reconcile != nil }

// Reconciler asks the API of one source's provider what has happened. It makes
// requests and reads answers; who sends them is the caller's choice. It is
// immutable and safe for concurrent use.
type Reconciler struct {
	receiver *Receiver // which takes no id that is a digest
	how      *reconcile
	base     *url.URL
	key      string
}

// Reconciler returns the Reconciler of a source. The base is the address of the
// API; "" for the file's. The error says what the source lacks.
func (r *Receiver) Reconciler(base, key string) (*Reconciler, error) {
	if r.reconcile == nil {
		return nil, fmt.Errorf("provider %q has no `reconcile` in its file: its API lists no events whose ids are those of its deliveries, or nobody has written it down yet", r.Name())
	}
	if r.binding.ReplayGuard {
		return nil, errors.New("with replay_guard: body an event's id is the hash of the delivery's bytes, which the API does not list; remove one of the two")
	}
	if r.binding.Whole {
		return nil, errors.New("with split: false an event's id is the hash of a whole delivery, which the API does not list; remove one of the two")
	}
	spec := r.reconcile.spec
	given := base != ""
	if !given {
		base = spec.URL
	}
	if base == "" {
		return nil, errors.New("the provider's API has no address of its own; add url: with yours")
	}
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("url: %q is not an address such as https://api.example.com", base)
	}
	if spec.Auth.As == "apple" {
		if _, err := jwt.ParseECPrivateKeyFromPEM([]byte(key)); key != "" && err != nil {
			return nil, errors.New("key: want a private key in PEM, as App Store Connect gives it once (AuthKey_….p8)")
		}
	}
	strict := *r.Provider
	if strict.spec.Event.NoFallback == "" {
		strict.spec.Event.NoFallback = "an item of a list has other bytes than a delivery"
	}
	receiver := *r
	receiver.Provider = &strict
	return &Reconciler{receiver: &receiver, how: r.reconcile, base: u, key: key}, nil
}

// Base is the address of the API.
func (r *Reconciler) Base() string { return r.base.String() }

// Keeps is how far back the list goes.
func (r *Reconciler) Keeps() time.Duration { return time.Duration(r.how.spec.Keeps) }

// Settle is how old an event has to be before it counts as missing.
func (r *Reconciler) Settle() time.Duration {
	if r.how.spec.Settle == 0 {
		return DefaultSettle
	}
	return time.Duration(r.how.spec.Settle)
}

// Timed reports whether the items have a time. Else each sweep reads all that
// the API keeps.
func (r *Reconciler) Timed() bool { return r.how.at != nil }

// Redelivers reports whether the provider is asked to deliver an event again.
// Else the event is started from what the list says.
func (r *Reconciler) Redelivers() bool { return len(r.how.redeliver) > 0 }

// Cursor is where a sweep is: the zero Next is the first page. It is small, and
// travels as JSON.
type Cursor struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// URL, Query and Body are what the next page is asked for with, besides
	// what the first one was.
	URL   string            `json:"url,omitempty"`
	Query map[string]string `json:"query,omitempty"`
	Body  map[string]string `json:"body,omitempty"`
	// Count is how many items the pages before had.
	Count int `json:"count,omitempty"`
}

// Item is one item of a list.
type Item struct {
	// Delivery is what a delivery of it would have been.
	Delivery *Delivery
	// Events are those in it: none where Err says why.
	Events []Identity
	// At is the item's time.
	At  time.Time
	Err error
	raw string
}

// view shows an answer, and one item of it, to the file's texts.
func (r *Reconciler) view(c Cursor, header http.Header, body []byte, item string) *view {
	v := &view{Delivery: &Delivery{URL: r.base.String(), Header: header, Body: body}, options: r.receiver.binding.Options, item: item}
	unit := clockUnits[r.how.times]
	v.listing.from, v.listing.to = unit.format(c.From), unit.format(c.To)
	v.listing.count = strconv.Itoa(c.Count)
	return v
}

// Request makes the request for the page at the cursor, less the key.
func (r *Reconciler) Request(ctx context.Context, c Cursor) (*http.Request, error) {
	v := r.view(c, nil, nil, "")
	address := c.URL
	if address == "" {
		base, ok := r.how.address.escaped(v)
		if !ok {
			return nil, errors.New("the address of the list has a placeholder without a value; is an option missing?")
		}
		query := url.Values{}
		for name, text := range r.how.query {
			value, ok := text.text(v)
			switch {
			case !ok || value == "":
			case r.isList(text):
				query[name] = strings.Fields(value)
			default:
				query.Set(name, value)
			}
		}
		for name, value := range c.Query {
			query.Set(name, value)
		}
		if address = base; len(query) > 0 {
			address += "?" + query.Encode()
		}
	}
	body := ""
	if r.how.method == http.MethodPost {
		body, _ = r.how.body.text(v)
		for path, value := range c.Body {
			var err error
			if body, err = sjson.Set(body, path, value); err != nil {
				return nil, fmt.Errorf("body of the list: %w", err)
			}
		}
	}
	return r.request(ctx, r.how.method, address, body, v)
}

// request makes a request to the host of the API.
func (r *Reconciler) request(ctx context.Context, method, address, body string, v *view) (*http.Request, error) {
	u, err := r.onHost(address)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "hookyard-reconcile")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, text := range r.how.header {
		if value, ok := text.text(v); ok {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}

// isList reports whether the text is an option with several values.
func (r *Reconciler) isList(t template) bool {
	if len(t) != 1 || t[0].lookup == nil || t[0].lookup.kind != "option" {
		return false
	}
	return r.receiver.spec.Options[t[0].lookup.arg].List
}

// onHost returns the address, relative to that of the API, if it is on its host.
func (r *Reconciler) onHost(address string) (*url.URL, error) {
	u, err := r.base.Parse(address)
	if err != nil {
		return nil, errors.New("the address of a page is not a URL")
	}
	if u.Scheme != r.base.Scheme || !strings.EqualFold(u.Host, r.base.Host) || u.User != nil {
		return nil, fmt.Errorf("%w: %q, want %q", ErrOtherHost, clip(u.Scheme+"://"+u.Host), r.base.Scheme+"://"+r.base.Host)
	}
	u.Host, u.Fragment, u.RawFragment = r.base.Host, "", "" // in one spelling
	return u, nil
}

// Authorize puts the key, or a token that token asks for, into a request. Its
// errors hold neither.
func (r *Reconciler) Authorize(req *http.Request, now time.Time, token func(*http.Request) ([]byte, error)) error {
	switch auth := r.how.spec.Auth; auth.As {
	case "bearer":
		req.Header.Set("Authorization", "Bearer "+r.key)
	case "basic":
		user, password, _ := strings.Cut(r.key, ":")
		req.SetBasicAuth(user, password)
	case "header":
		req.Header.Set(auth.Header, auth.Prefix+r.key)
	case "oauth2":
		address, _ := r.how.token.escaped(r.view(Cursor{}, nil, nil, ""))
		ask, err := r.request(req.Context(), http.MethodPost, address, "", r.view(Cursor{}, nil, nil, ""))
		if err != nil {
			return err
		}
		form := []byte("grant_type=client_credentials")
		ask.Body, ask.ContentLength, ask.GetBody = readCloser(form), int64(len(form)), nil
		ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		user, password, _ := strings.Cut(r.key, ":")
		ask.SetBasicAuth(user, password)
		answer, err := token(ask)
		if err != nil {
			return err
		}
		given := gjson.GetBytes(answer, "access_token").String()
		if given == "" {
			return errors.New("the answer to the request for a token holds no access_token")
		}
		req.Header.Set("Authorization", "Bearer "+given)
	case "apple":
		signed, err := r.appleToken(now)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+signed)
	}
	return nil
}

// appleToken is what the App Store Server API takes: a JWT that lives for at
// most an hour.
func (r *Reconciler) appleToken(now time.Time) (string, error) {
	key, err := jwt.ParseECPrivateKeyFromPEM([]byte(r.key))
	if err != nil {
		return "", errors.New("the key is not a private key in PEM")
	}
	options := r.receiver.binding.Options
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": options["issuer_id"], "bid": options["bundle_id"], "aud": "appstoreconnect-v1", "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	t.Header["kid"] = options["key_id"]
	return t.SignedString(key)
}

// Read reads the page at the cursor: its items, and the cursor of the next
// page, nil where this one was the last.
func (r *Reconciler) Read(c Cursor, header http.Header, body []byte) (items []Item, next *Cursor, err error) {
	if !validJSON(string(body)) {
		return nil, nil, errors.New("the page is not JSON")
	}
	list := gjson.GetBytes(body, r.how.items.path)
	if !list.Exists() || list.Type == gjson.Null {
		return nil, nil, fmt.Errorf("the page has no list at %s", r.how.items.text)
	}
	if !list.IsArray() {
		return nil, nil, fmt.Errorf("the page has no list, but another value at %s", r.how.items.text)
	}
	last, tooOld := "", false
	for _, raw := range list.Array() {
		last = raw.Raw
		v := r.view(c, header, body, raw.Raw)
		item := Item{raw: raw.Raw}
		if !r.receiver.allHold(r.how.when, v) {
			continue
		}
		if r.how.at != nil {
			item.At, item.Err = r.timeOf(v)
			if item.Err == nil && item.At.Before(c.From) {
				tooOld = true
				continue
			}
			if item.Err == nil && item.At.After(c.To) {
				continue
			}
		}
		items = append(items, item)
	}
	c.Count += len(list.Array())
	if last == "" || tooOld && r.how.spec.List.NewestFirst {
		return items, nil, nil
	}
	next, err = r.nextOf(c, r.view(c, header, body, last))
	return items, next, err
}

func (r *Reconciler) timeOf(v *view) (time.Time, error) {
	text, ok := r.how.at.find(v)
	if !ok {
		return time.Time{}, fmt.Errorf("the item has no time at %s", r.how.at.text)
	}
	at, err := clockUnits[r.how.atUnit].parse(text)
	if err != nil && r.how.atUnit == "iso8601" { // without a colon in the zone
		at, err = time.Parse("2006-01-02T15:04:05.999999999Z0700", text)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("the item's time %q is not in %s", clip(text), r.how.atUnit)
	}
	return at, nil
}

// nextOf returns the cursor of the page after the one that v shows with its
// last item.
func (r *Reconciler) nextOf(c Cursor, v *view) (*Cursor, error) {
	n := r.how.next
	if n == nil {
		return nil, nil
	}
	if n.while != nil {
		switch more, _ := n.value(n.while, v); more {
		case "", "false", "0":
			return nil, nil
		}
	}
	before := c
	switch {
	case n.link != "":
		c.URL = linkOf(v.Header, n.link)
	case n.url != nil:
		c.URL, _ = n.url.find(v)
	default:
		var full bool
		if c.Query, full = values(n.query, v); !full {
			return nil, nil
		}
		if c.Body, full = values(n.body, v); !full {
			return nil, nil
		}
		if same(c.Query, before.Query) && same(c.Body, before.Body) {
			return nil, errors.New("the next page is asked for as this one was: the API's paging is not as the provider file says")
		}
		return &c, nil
	}
	if c.URL == "" {
		return nil, nil
	}
	u, err := r.onHost(c.URL)
	if err != nil {
		return nil, err
	}
	if c.URL = u.String(); c.URL == before.URL {
		return nil, errors.New("the next page is this one: the API's paging is not as the provider file says")
	}
	return &c, nil
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, value := range a {
		if b[name] != value {
			return false
		}
	}
	return true
}

// value is that of a lookup, true and false included.
func (*nextPage) value(l *lookup, v *view) (string, bool) {
	if l.kind == "json" {
		text, _ := v.json()
		if found := gjson.Get(text, l.arg); found.IsBool() {
			return found.Raw, true
		}
	}
	return l.find(v)
}

// values evaluates texts; it is not full where one of them has no value.
func values(texts map[string]template, v *view) (found map[string]string, full bool) {
	for name, text := range texts {
		value, ok := text.text(v)
		if !ok || value == "" {
			return nil, false
		}
		if found == nil {
			found = map[string]string{}
		}
		found[name] = value
	}
	return found, true
}

// linkOf returns the address of a Link header (RFC 8288) with that rel.
func linkOf(h http.Header, rel string) string {
	for _, field := range h.Values("Link") {
		for field != "" {
			_, rest, open := strings.Cut(field, "<")
			address, rest, closed := strings.Cut(rest, ">")
			if !open || !closed {
				break
			}
			parameters, after, _ := strings.Cut(rest, ",")
			for parameter := range strings.SplitSeq(parameters, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
				if strings.EqualFold(name, "rel") && strings.Trim(value, `"`) == rel {
					return address
				}
			}
			field = after
		}
	}
	return ""
}

// DetailRequest makes the request for the rest of an item; nil where the list
// has all of it.
func (r *Reconciler) DetailRequest(ctx context.Context, c Cursor, item Item) (*http.Request, error) {
	if r.how.spec.Detail == "" {
		return nil, nil //nolint:nilnil // see above
	}
	return r.itemRequest(ctx, c, item, http.MethodGet, r.how.detail, nil)
}

// Complete sets the item's Delivery and Events, or its Err. Detail is the
// answer to DetailRequest; nil where there is none.
func (r *Reconciler) Complete(ctx context.Context, c Cursor, item *Item, detail []byte, now time.Time) {
	if item.Err != nil {
		return
	}
	raw := item.raw
	if detail != nil {
		if raw = string(detail); !validJSON(raw) {
			item.Err = errors.New("the item's detail is not JSON")
			return
		}
	}
	v := r.view(c, nil, nil, raw)
	d := &Delivery{Method: r.receiver.deliveryMethods()[0], Header: http.Header{}, ReceivedAt: now}
	body, ok := r.how.deliveryBody.text(v)
	if !ok {
		item.Err = errors.New("the item lacks what its delivery's body is made of")
		return
	}
	d.Body = []byte(body)
	d.URL, _ = r.how.deliveryURL.text(v)
	for name, text := range r.how.deliveryHeader {
		if value, ok := text.text(v); ok && value != "" {
			d.Header.Set(name, value)
		}
	}
	if len(d.Body) > 0 && d.Header.Get("Content-Type") == "" && json.Valid(d.Body) {
		d.Header.Set("Content-Type", "application/json")
	}
	if r.how.spec.Delivery.Signed {
		d.ReceivedAt = item.At
		if item.Err = r.receiver.Verify(ctx, d); item.Err != nil {
			return
		}
		d.ReceivedAt = now
	}
	item.Delivery = d
	item.Events, item.Err = r.receiver.Identify(d)
}

// RedeliverRequest makes the request that has the provider deliver the item
// again, less the key.
func (r *Reconciler) RedeliverRequest(ctx context.Context, c Cursor, item Item) (*http.Request, error) {
	return r.itemRequest(ctx, c, item, http.MethodPost, r.how.redeliver, r.how.redeliverBody)
}

func (r *Reconciler) itemRequest(ctx context.Context, c Cursor, item Item, method string, address, body template) (*http.Request, error) {
	v := r.view(c, nil, nil, item.raw)
	to, ok := address.escaped(v)
	if !ok {
		return nil, errors.New("the item lacks what its address is made of")
	}
	text, ok := body.text(v)
	if !ok {
		return nil, errors.New("the item lacks what the request's body is made of")
	}
	return r.request(ctx, method, to, text, v)
}

// escaped evaluates the template into an address: what comes out of an answer
// is escaped, so that it adds no step to the path and no parameter.
func (t template) escaped(v *view) (string, bool) {
	var b strings.Builder
	for _, p := range t {
		value, ok := p.value(v)
		if !ok {
			return "", false
		}
		if p.lookup != nil {
			value = url.PathEscape(value)
			if value == "." || value == ".." {
				return "", false
			}
		}
		b.WriteString(value)
	}
	return b.String(), true
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

func readCloser(b []byte) body { return body{bytes.NewReader(b)} }
