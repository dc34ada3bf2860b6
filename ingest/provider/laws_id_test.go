package provider

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// example is a delivery of a provider, not verified.
type example struct {
	provider string
	delivery *Delivery
}

// examples are the samples of the catalog and all requests of the vectors and
// cases, so that each law sees what providers really send.
func examples(t *testing.T, catalog *Catalog) []example {
	var all []example
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		for _, sample := range p.samples {
			all = append(all, example{name, SampleDelivery("https://hooks.example.com/webhooks/x", sample)})
		}
	}
	type request struct {
		Provider, Scheme, Method, URL, Body string
		Headers                             map[string]string
	}
	var requests []request
	files, err := filepath.Glob("testdata/vectors*.json")
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var some []request
		require.NoError(t, json.Unmarshal(data, &some), file)
		requests = append(requests, some...)
	}
	data, err := os.ReadFile("testdata/cases.jsonl")
	require.NoError(t, err)
	for decoder := json.NewDecoder(bytes.NewReader(data)); decoder.More(); {
		var one request
		require.NoError(t, decoder.Decode(&one))
		requests = append(requests, one)
	}
	for _, one := range requests {
		d := &Delivery{Method: one.Method, URL: one.URL, Header: http.Header{}, Body: []byte(one.Body)}
		for name, value := range one.Headers {
			d.Header.Set(name, value)
		}
		name := one.Provider
		if one.Scheme != "" {
			name = one.Scheme
		}
		if p, known := catalog.Lookup(name); known && p.Delivers(one.Method) {
			all = append(all, example{name, d})
		}
	}
	require.Greater(t, len(all), 300)
	return all
}

// identifying returns a receiver that names events as one with secrets does.
func identifying(t *testing.T, catalog *Catalog, name string) *Receiver {
	p, known := catalog.Lookup(name)
	require.True(t, known, name)
	r := p.BindHandshakes(Binding{Options: p.trialOptions(), Secrets: []string{trialSecret}})
	if v, ok := p.trial().(Identifier); ok {
		r.verifier, _ = v.(Verifier)
	}
	return r
}

// TestLawUnique: a built-in file says of each id without a digest where the
// provider documents that it is one per event, and every file has a fallback or
// says why it has none. What a file may not say at all is in TestFileProblems.
func TestLawUnique(t *testing.T) {
	t.Parallel()
	catalog, err := Builtin()
	require.NoError(t, err)
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		for _, l := range p.ids {
			ofItem := p.each != nil && (len(p.each.when) == 0 || l.ofItem())
			if !l.tells(ofItem) {
				require.Greater(t, len(p.spec.Event.Unique[l.text]), 10, "%s: %s: say under event.unique where that is documented, or end it in a digest", name, l.text)
			}
		}
		if p.spec.Event.NoFallback != "" {
			require.Greater(t, len(p.spec.Event.NoFallback), 10, name)
		}
	}
}

// TestLawEveryByte: whichever byte of an item changes, its id changes; unless
// it is in an attempt field, or the id is one that the file calls unique.
func TestLawEveryByte(t *testing.T) {
	t.Parallel()
	catalog, err := Builtin()
	require.NoError(t, err)
	changed := map[string]int{}
	for _, e := range examples(t, catalog) {
		r := identifying(t, catalog, e.provider)
		before, err := r.Identify(e.delivery)
		if err != nil || len(before) == 0 {
			continue
		}
		body := e.delivery.Body
		if len(body) > 4096 {
			continue // the samples show the same in less time
		}
		for i := range body {
			c := body[i]
			if c < '0' || c > 'z' || c > '9' && c < 'A' || c > 'Z' && c < 'a' {
				continue // what is not a letter or a digit may end the item
			}
			d := *e.delivery
			d.Body = bytes.Clone(body)
			if d.Body[i] = c + 1; c == '9' || c == 'Z' || c == 'z' {
				d.Body[i] = c - 1
			}
			after, err := r.Identify(&d)
			if err != nil || len(after) != len(before) {
				continue // the list itself was hit
			}
			for n := range before {
				if bytes.Equal(before[n].Payload, after[n].Payload) || before[n].ID != after[n].ID {
					changed[e.provider]++
					continue
				}
				require.True(t, r.excused(&d, n, before[n], after[n]), "%s: byte %d is another and the id is still %q: %s", e.provider, i, before[n].ID, d.Body)
			}
		}
	}
	require.Greater(t, len(changed), 60)
}

// excused reports whether two events may share an id: a lookup that the file
// calls unique found it, or they differ in attempt fields or, of an item that
// was split, in what surrounds its element.
func (r *Receiver) excused(d *Delivery, n int, before, after Identity) bool {
	v := r.view(d)
	if r.isBatch(v) {
		items, _ := r.each.items(v)
		v.item, v.element = items[n].text, items[n].element
	}
	for text := range r.spec.Event.Unique {
		l, err := parseLookup(text)
		if value, ok := "", false; err == nil {
			if value, ok = l.find(v); ok && value == after.ID {
				return true
			}
		}
	}
	if v.element != v.item {
		return bytes.Contains(before.Payload, []byte(v.element))
	}
	fields := r.spec.Event.AttemptFields
	if len(fields) > 0 && without(string(before.Payload), fields) == without(string(after.Payload), fields) {
		return true
	}
	_, own := r.verifier.(Identifier)
	return own // schemes that identify for themselves have tests of their own
}

// TestLawStable: the same bytes keep the id, or the file says, with
// delivery:random, that each delivery is an event.
func TestLawStable(t *testing.T) {
	t.Parallel()
	catalog, err := Builtin()
	require.NoError(t, err)
	for _, e := range examples(t, catalog) {
		r := identifying(t, catalog, e.provider)
		once, err := r.Identify(e.delivery)
		if err != nil {
			continue
		}
		d := *e.delivery
		d.ReceivedAt = time.Unix(1, 0)
		again, err := r.Identify(&d)
		require.NoError(t, err)
		if strings.Contains(strings.Join(r.spec.Event.ID, " "), "delivery:random") {
			continue
		}
		require.Empty(t, cmp.Diff(once, again), e.provider)
	}
}

// TestLawItems: two items of a delivery share an id only if they are the same
// but for attempt fields, whether or not a replay guard makes the id.
func TestLawItems(t *testing.T) {
	t.Parallel()
	catalog, err := Builtin()
	require.NoError(t, err)
	several := map[string]bool{}
	for _, e := range examples(t, catalog) {
		for _, guard := range []bool{false, true} {
			r := identifying(t, catalog, e.provider)
			r.binding.ReplayGuard = guard
			events, err := r.Identify(e.delivery)
			if err != nil {
				continue
			}
			ids := map[string][]byte{}
			for _, event := range events {
				if other, taken := ids[event.ID]; taken {
					require.Equal(t, string(other), string(event.Payload), "%s: %s", e.provider, event.ID)
				}
				ids[event.ID] = event.Payload
			}
			several[e.provider] = several[e.provider] || len(ids) > 1
		}
	}
	maps.DeleteFunc(several, func(_ string, v bool) bool { return !v })
	require.Greater(t, len(several), 8, slices.Sorted(maps.Keys(several)))
}

// TestReplayGuardOfBatch: of three items under one guarded body there are three
// events, the same three when the body is sent again.
func TestReplayGuardOfBatch(t *testing.T) {
	t.Parallel()
	catalog, err := Builtin()
	require.NoError(t, err)
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		if p.each == nil || p.each.field != "" || p.each.path != "events" && p.each.path != "@this" && p.each.path != "value" {
			continue
		}
		list := `[{"a":1,"id":"x"},{"a":2,"id":"x"},{"a":3,"id":"x"}]`
		if p.each.path != "@this" {
			list = `{"` + p.each.path + `":` + list + `}`
		}
		r := identifying(t, catalog, name)
		r.binding.ReplayGuard = true
		ids := map[string]int{}
		for range 2 {
			events, err := r.Identify(SampleDelivery("https://hooks.example.com/", []byte(list)))
			require.NoError(t, err, name)
			for _, e := range events {
				ids[e.ID]++
			}
		}
		require.Len(t, ids, 3, name)
		for _, n := range ids {
			require.Equal(t, 2, n, name)
		}
	}
}

// TestLawOracle asks every handshake that is not signed to sign a body, as a
// stranger would, and posts that body with what came back. The file format
// refuses such a handshake (TestFileProblems); this asks the providers.
func TestLawOracle(t *testing.T) {
	t.Parallel()
	catalog, err := Builtin()
	require.NoError(t, err)
	asked := 0
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		for _, h := range p.handshakes {
			if h.signed {
				continue
			}
			r := identifying(t, catalog, name)
			r.mac = []byte(trialSecret)
			for _, body := range []string{`{"a":1}`, " {}", "[]", `"a"`, "id=tr_1", ""} {
				d := &Delivery{Method: h.method, URL: "https://hooks.example.com/webhooks/x", Header: http.Header{}}
				for _, c := range slices.Concat(h.when, h.require) {
					for _, l := range flat([]lookup{c.lookup}) {
						_ = l.put(d, body)
					}
				}
				answer, err := r.Greet(t.Context(), d, false)
				if err != nil || answer == nil {
					continue
				}
				asked++
				got := string(answer.Body)
				for _, values := range answer.Header {
					got += strings.Join(values, " ")
				}
				sum := hmacOfBody(body)
				if strings.Contains(got, encodings["hex"].encode(sum)) || strings.Contains(got, encodings["base64"].encode(sum)) {
					require.Equal(t, bodyObject, p.spec.Body, name)
					require.False(t, isObject([]byte(body)), "%s signs %q for whoever asks", name, body)
				}
			}
		}
	}
	require.Positive(t, asked)
}

func hmacOfBody(body string) []byte {
	k, _ := algorithms["hmac-sha256"]([]byte(trialSecret))
	sum, _ := k.sign(pieces{[]byte(body)})
	return sum
}
