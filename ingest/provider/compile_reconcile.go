package provider

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultSettle is ReconcileSpec.Settle where a file does not say it.
const DefaultSettle = 10 * time.Minute

// reconcile is a compiled ReconcileSpec.
type reconcile struct {
	spec           *ReconcileSpec
	header         map[string]template
	method         string
	address        template
	query          map[string]template
	body           template
	times, atUnit  string
	items          *batch
	at             *lookup
	when           []condition
	next           *nextPage
	detail         template
	deliveryURL    template
	deliveryBody   template
	deliveryHeader map[string]template
	redeliver      template // nil where an event is started from the list
	redeliverBody  template
	token          template
}

// nextPage is a compiled NextSpec.
type nextPage struct {
	query, body map[string]template
	url, while  *lookup
	link        string
}

// authForms are the values of AuthSpec.As.
var authForms = []string{"apple", "basic", "bearer", "header", "oauth2"} //nolint:gochecknoglobals // a constant list

// reconcile compiles how a provider is asked what has happened.
func (c *compiler) reconcile(spec *ReconcileSpec) *reconcile {
	if spec == nil {
		return nil
	}
	list := spec.List
	r := &reconcile{
		spec: spec, method: "GET", header: c.templates("reconcile.header", spec.Header),
		address: c.listingText("reconcile.list.get", list.Get), query: c.templates("reconcile.list.query", list.Query),
		body:  c.listingText("reconcile.list.body", list.Body),
		times: cmp.Or(list.Times, "iso8601"), at: c.lookup("reconcile.list.at", list.At),
		when:   c.conditions("reconcile.list.when", "reconcile.list.when", list.When),
		detail: c.listingText("reconcile.detail", spec.Detail), deliveryBody: c.listingText("reconcile.delivery.body", cmp.Or(spec.Delivery.Body, "{item}")),
		deliveryURL:    c.listingText("reconcile.delivery.url", spec.Delivery.URL),
		deliveryHeader: c.templates("reconcile.delivery.header", spec.Delivery.Header), token: c.listingText("reconcile.auth.token", spec.Auth.Token),
	}
	r.atUnit = cmp.Or(list.AtUnit, r.times)
	if list.Post != "" {
		r.method, r.address = "POST", c.listingText("reconcile.list.post", list.Post)
	}
	c.reconcileList(list, r)
	c.reconcileAddresses(spec)
	c.reconcileAuth(spec.Auth)
	r.next = c.nextPage(list.Next)
	if spec.Redeliver != nil {
		r.redeliver, r.redeliverBody = c.listingText("reconcile.redeliver.post", spec.Redeliver.Post), c.listingText("reconcile.redeliver.body", spec.Redeliver.Body)
		if spec.Redeliver.Post == "" {
			c.problem("reconcile.redeliver", "reconcile.redeliver has no post: say which address has an item delivered again")
		}
	}
	if spec.Key == "" {
		c.problem("reconcile", "reconcile has no key: say in a line what the key is and where it is found")
	}
	if spec.Keeps == 0 {
		c.problem("reconcile", "reconcile has no keeps: say how far back the list goes, such as 720h")
	}
	return r
}

func (c *compiler) reconcileList(list ListingSpec, r *reconcile) {
	switch {
	case list.Get == "" && list.Post == "":
		c.problem("reconcile.list", "reconcile.list has neither get nor post: say where the list is asked for")
	case list.Get != "" && list.Post != "":
		c.problem("reconcile.list", "reconcile.list has both get and post; keep one")
	case list.Body != "" && list.Post == "":
		c.problem("reconcile.list.body", "reconcile.list.body goes with post")
	}
	for at, unit := range map[string]string{"reconcile.list.times": r.times, "reconcile.list.at_unit": r.atUnit} {
		if _, known := clockUnits[unit]; !known {
			c.problem(at, "%s: unknown unit %q; known: %s", at, unit, strings.Join(sortedKeys(clockUnits), ", "))
		}
	}
	kind, path, _ := strings.Cut(list.Items, ":")
	if kind != "json" || path == "" {
		c.problem("reconcile.list.items", "reconcile.list.items: %q names no list; want json:PATH", list.Items)
	}
	r.items = &batch{text: list.Items, path: path}
	if r.at == nil && r.spec.Redeliver == nil {
		c.problem("reconcile.list", "reconcile.list has no at: name the lookup of an item's time, such as item:created")
	}
}

// reconcileAddresses sees that each request goes to the host of the API, which
// the key is meant for.
func (c *compiler) reconcileAddresses(spec *ReconcileSpec) {
	addresses := map[string]string{"reconcile.list.get": spec.List.Get, "reconcile.list.post": spec.List.Post, "reconcile.detail": spec.Detail, "reconcile.auth.token": spec.Auth.Token}
	if spec.Redeliver != nil {
		addresses["reconcile.redeliver.post"] = spec.Redeliver.Post
	}
	for _, at := range sortedKeys(addresses) {
		text := addresses[at]
		if rest, ok := strings.CutPrefix(text, "{url}"); text != "" && (!ok || rest != "" && !strings.HasPrefix(rest, "/")) {
			c.problem(at, "%s: %q has to begin with {url}/, as the key goes to the host of the API alone", at, text)
		}
	}
	if spec.URL == "" {
		return
	}
	if u, err := url.Parse(spec.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.HasSuffix(spec.URL, "/") {
		c.problem("reconcile.url", "reconcile.url: %q is not an address such as https://api.example.com, without a slash at its end", spec.URL)
	}
}

func (c *compiler) reconcileAuth(auth AuthSpec) {
	switch {
	case !slices.Contains(authForms, auth.As):
		c.problem("reconcile.auth", "reconcile.auth.as: unknown form %q; known: %s", auth.As, strings.Join(authForms, ", "))
	case (auth.As == "header") != (auth.Header != ""):
		c.problem("reconcile.auth", "reconcile.auth: header goes with as: header")
	case auth.Prefix != "" && auth.As != "header":
		c.problem("reconcile.auth.prefix", "reconcile.auth: prefix goes with as: header")
	case (auth.As == "oauth2") != (auth.Token != ""):
		c.problem("reconcile.auth", "reconcile.auth: token goes with as: oauth2")
	}
}

func (c *compiler) nextPage(spec *NextSpec) *nextPage {
	if spec == nil {
		return nil
	}
	forms := 0
	for _, given := range []bool{len(spec.Query) > 0, len(spec.Body) > 0, spec.URL != "", spec.Link != ""} {
		if given {
			forms++
		}
	}
	if forms != 1 {
		c.problem("reconcile.list.next", "reconcile.list.next: want one of query, body, url and link, found %d", forms)
	}
	return &nextPage{
		query: c.templates("reconcile.list.next.query", spec.Query), body: c.templates("reconcile.list.next.body", spec.Body),
		url: c.lookup("reconcile.list.next.url", spec.URL), while: c.lookup("reconcile.list.next.while", spec.While), link: spec.Link,
	}
}

func (c *compiler) templates(at string, texts map[string]string) map[string]template {
	compiled := make(map[string]template, len(texts))
	for _, name := range sortedKeys(texts) {
		compiled[name] = c.listingText(at, texts[name])
	}
	return compiled
}

// lookup compiles one lookup; nil for none.
func (c *compiler) lookup(at, text string) *lookup {
	if text == "" {
		return nil
	}
	if found := c.lookups(at, []string{text}); len(found) == 1 {
		return &found[0]
	}
	return nil
}

// listingText compiles a text of `reconcile`.
func (c *compiler) listingText(at, text string) template {
	t, err := readTemplate(text, listingPlaceholders)
	if err != nil {
		c.problem(at, "%s: %v", at, err)
	}
	c.namedOptions(at, text)
	return t
}
