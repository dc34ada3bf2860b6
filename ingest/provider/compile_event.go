package provider

import (
	"slices"
	"strings"
)

// bodyObject is the one value of Spec.Body.
const bodyObject = "object"

// ids compiles event.id and holds it to the laws of an id: no two events share
// one, and each item of a list has its own. A program cannot know whether a value
// names an event or a thing that several events are about, so an id holds a
// digest, or its writer says where the provider documents it.
func (c *compiler) ids(event EventSpec) []lookup {
	if len(event.ID) == 0 {
		c.problem("event", "event.id is missing: without it a redelivery cannot be told from a new event; want %s", lookupForms)
	}
	ids := c.lookups("event.id", event.ID)
	for _, l := range ids {
		digest := "body:sha256"
		ofItem := event.Each != "" && (len(event.EachWhen) == 0 || l.ofItem())
		if ofItem {
			digest = "item:sha256"
		}
		if said, named := event.Unique[l.text]; !l.tells(ofItem) && said == "" && !named {
			c.problem("event.id", "event.id: two events may have the same %q, and the second would be dropped as a redelivery; say where the provider documents that it is one per event: `unique: {%q: ...}`, or else write %q",
				l.text, l.text, asPlaceholder(l.text)+"-{"+digest+"}")
		}
		if ofItem && !l.ofItem() {
			c.problem("event.id", "event.id: %q is the same for every item of event.each, and only one of them would be kept; write %q",
				l.text, asPlaceholder(l.text)+"-{item:sha256}")
		}
	}
	for _, text := range sortedKeys(event.Unique) {
		switch {
		case event.Unique[text] == "":
			c.problem("event.unique", "event.unique: %q has no text: say where the provider documents it", text)
		case c.root != nil && !slices.Contains(event.ID, text):
			c.problem("event.unique", "event.unique: %q is not among event.id", text)
		}
	}
	return ids
}

func asPlaceholder(text string) string {
	if strings.Contains(text, "{") {
		return text
	}
	return "{" + text + "}"
}

// each compiles where the list of events stands, and how its items are split.
func (c *compiler) each(event EventSpec) *batch {
	if event.Each == "" {
		for _, text := range slices.Concat(event.ID, event.Type) {
			if strings.Contains(text, "item:") {
				c.problem("event", "%q looks into an item, but event.each does not say where the list is", text)
			}
		}
		if len(event.EachWhen)+len(event.Split) > 0 {
			c.problem("event", "event.each_when and event.split need event.each, which says where the list is")
		}
		return nil
	}
	b, err := parseBatch(event.Each)
	if err != nil {
		c.problem("event.each", "event.each: %v", err)
		return nil
	}
	b.when = c.conditions("event.each_when", "event.each_when", event.EachWhen)
	for _, text := range event.Split {
		b.split = append(b.split, strings.Split(text, "|"))
	}
	return b
}
