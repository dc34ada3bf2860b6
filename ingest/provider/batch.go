package provider

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// batch is where the list of events stands in a delivery.
type batch struct {
	text  string // as written in the file
	field string // of a form; "" for a JSON body
	lines bool   // the body may be JSON Lines
	path  string
	when  []condition
	split [][]string // each step: the paths of the lists that are taken apart
}

// batchItem is one event of a list.
type batchItem struct {
	text    string // as JSON
	element string // what its digest is of
}

func parseBatch(text string) (*batch, error) {
	kind, arg, _ := strings.Cut(text, ":")
	b := &batch{text: text, path: arg, lines: kind == "lines"}
	if kind == "form" {
		b.field, b.path, _ = strings.Cut(arg, "|")
		if b.path == "" {
			b.path = "@this"
		}
	}
	if arg == "" || (kind != "json" && kind != "form" && kind != "lines") {
		return nil, fmt.Errorf("%q names no list; want json:PATH, lines:PATH or form:FIELD|PATH", text)
	}
	return b, nil
}

// items returns the events of the list, byte for byte.
func (b *batch) items(v *view) ([]batchItem, error) {
	text, ok := v.json()
	switch {
	case b.field != "":
		if text, ok = v.formField(b.field); !ok || !validJSON(text) {
			return nil, fmt.Errorf("%w: there is no JSON in %s", ErrNoEvent, b.text)
		}
	case text == "":
		return nil, nil
	case !ok && b.lines:
		return b.readLines(text)
	case !ok:
		return nil, fmt.Errorf("%w: the body is not JSON", ErrNoEvent)
	}
	return b.itemsIn(text, nil)
}

// itemsIn adds the items of one JSON text to those found so far.
func (b *batch) itemsIn(text string, found []batchItem) ([]batchItem, error) {
	list := gjson.Get(text, b.path)
	if !list.IsArray() && !list.IsObject() {
		return nil, fmt.Errorf("%w: there is no list at %s", ErrNoEvent, b.text)
	}
	add := func(item gjson.Result) bool {
		found = b.splitItem(item.Raw, found)
		return len(found) <= maxEvents
	}
	if list.IsArray() {
		list.ForEach(func(_, item gjson.Result) bool { return add(item) })
	} else {
		add(list)
	}
	if len(found) > maxEvents {
		return nil, fmt.Errorf("%w: the delivery carries more than %d events", ErrNoEvent, maxEvents)
	}
	return found, nil
}

// readLines reads JSON Lines: a JSON text on each line that is not blank.
func (b *batch) readLines(text string) (found []batchItem, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if !validJSON(line) {
			return nil, fmt.Errorf("%w: the body is neither JSON nor JSON Lines: line %d is not JSON", ErrNoEvent, n)
		}
		if found, err = b.itemsIn(line, found); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return found, nil
}

// maxSurroundings bounds, in bytes, how often what surrounds a list is copied
// when an item is split.
const maxSurroundings = 16 << 20

// splitItem adds an item to those found so far, or, where it has to be split,
// the items that it stands for.
func (b *batch) splitItem(raw string, found []batchItem) []batchItem {
	items := []batchItem{{text: raw, element: raw}}
	for _, paths := range b.split {
		var next []batchItem
		for _, item := range items {
			next = append(next, splitAt(item, paths)...)
		}
		items = next
	}
	return append(found, items...)
}

// splitAt returns the item once for each element of its lists at the paths; an
// item without any of these lists as it is.
func splitAt(item batchItem, paths []string) []batchItem {
	var split []batchItem
	for i, path := range paths {
		only := item.text
		for j, other := range paths {
			if i != j {
				only = without(only, []string{other})
			}
		}
		list := gjson.Get(only, path)
		elements := list.Array()
		if !list.IsArray() || list.Index == 0 || len(elements) == 0 {
			continue
		}
		before, after := only[:list.Index], only[list.Index+len(list.Raw):]
		if len(elements) > 1 && len(elements)*(len(before)+len(after)) > maxSurroundings {
			return []batchItem{item}
		}
		for _, e := range elements {
			split = append(split, batchItem{text: before + "[" + e.Raw + "]" + after, element: e.Raw})
		}
	}
	if split == nil {
		return []batchItem{item}
	}
	return split
}
