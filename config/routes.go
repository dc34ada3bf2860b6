package config

import (
	"slices"
	"strings"
	"time"

	"github.com/hookyard/hookyard/event"
)

// Route says what becomes of the events that fit it. Of a source's routes, the
// first that fits an event counts. An event that none fits starts the Workflow
// "<provider>.<type>" on the default Task Queue.
type Route struct {
	// Name is what the Event, the logs and `hookyard route` call the route: as
	// the file has it, else what the route fits, such as "invoice.*" or
	// "invoice.* where json:livemode=true". Names differ within a source.
	Name string
	// Line is where the route stands in the file.
	Line int
	// Type is the pattern that the event type has to fit (see event.Match).
	Type string
	// Where are the conditions that all have to hold (see event.Condition).
	Where []string
	// Ignore acknowledges the event and starts nothing.
	Ignore bool
	// Action is what the run does; it is event.ActionWorkflow where Ignore is set.
	Action event.Action
	// Workflow is the Workflow Type; empty for "<provider>.<type>".
	Workflow string
	// TaskQueue is where the run starts; empty for Temporal.TaskQueue.
	TaskQueue string
	// Priority is 1, the most urgent, to 5; 0 for Temporal's default, 3.
	Priority int
	// Fairness is a template of the fairness key; empty for the source's name.
	Fairness string
	// Weight is the key's share of the Task Queue; 0 for 1.
	Weight float64
	// Forward is where the event is sent on to; nil for other actions.
	Forward *Forward
	// Waiting is what waits for the event; nil for other actions.
	Waiting *event.Waiting
}

// defaultWait is how long an event tries to reach what waits for it.
const defaultWait = 24 * time.Hour

// routes reads a source's routes and finds those that no event reaches.
func (d *decoder) routes(to *[]Route) func(value) {
	return func(v value) {
		const instead = `leave it out to start the Workflow "<provider>.<type>" for every event`
		for _, item := range d.items(v, `routes such as {type: "invoice.*", task_queue: billing}`, instead) {
			r, ok := d.route(item)
			if !ok {
				continue
			}
			if before, covered := coveredBy(*to, r); covered {
				d.mistake(item, "no event reaches it: each one that fits takes the route %s on line %d; move it up, or remove it", quote(before.Name), before.Line)
			} else if slices.ContainsFunc(*to, func(other Route) bool { return other.Name == r.Name }) {
				d.mistake(item, "two routes are called %s; give one of them another name", quote(r.Name))
			}
			*to = append(*to, r)
		}
	}
}

// coveredBy returns the route before r that takes every event that r fits.
func coveredBy(before []Route, r Route) (Route, bool) {
	for _, other := range before {
		if other.Ignore && len(other.Where) > 0 {
			continue // it takes nothing in doubt, and r does
		}
		// A "*" of the later pattern fits only what a "*" of the earlier takes.
		narrower := !slices.ContainsFunc(other.Where, func(c string) bool { return !slices.Contains(r.Where, c) })
		if narrower && event.Match(other.Type, r.Type) {
			return other, true
		}
	}
	return Route{}, false
}

// action is a key of a route that says what its runs do.
type action struct {
	key string
	is  event.Action
}

func (d *decoder) route(v value) (Route, bool) {
	r := Route{Line: v.line}
	var ignore, keep bool
	has := d.fields(v, []field{
		{"name", d.string(&r.Name, "a name for the route")},
		{"type", d.string(&r.Type, `a pattern of event types such as "invoice.*", or "*" for all`)},
		{"where", d.where(&r.Where)},
		{"workflow", d.string(&r.Workflow, "the name of a Workflow Type")},
		{"task_queue", d.taskQueue(&r.TaskQueue)},
		{"priority", d.priority(&r.Priority)},
		{"fairness", d.fairness(&r)},
		{"forward", d.forward(&r.Forward)},
		{"signal", d.signal(&r.Waiting)},
		{"update", d.update(&r.Waiting)},
		{"complete", d.complete(&r.Waiting)},
		{"ignore", d.only(&ignore)},
		{"keep", d.only(&keep)},
	})
	if has == nil {
		return r, false
	}
	if _, ok := has["type"]; !ok {
		d.mistake(v, `has no type; add type: with a pattern such as "invoice.*", or "*" for all`)
		return r, false
	}
	var chosen []string
	for _, a := range []action{
		{"ignore", event.ActionWorkflow},
		{"keep", event.ActionKeep},
		{"forward", event.ActionForward},
		{"signal", event.ActionSignal},
		{"update", event.ActionUpdate},
		{"complete", event.ActionComplete},
		{"workflow", event.ActionWorkflow},
	} {
		if _, ok := has[a.key]; ok {
			chosen = append(chosen, a.key)
			r.Action = a.is
		}
	}
	if len(chosen) > 1 {
		d.mistake(v, "says both %s and %s; keep one, and write two routes where both are meant", chosen[0], chosen[1])
	}
	r.Ignore = ignore
	for _, key := range []string{"task_queue", "priority", "fairness"} {
		if at, ok := has[key]; ok && ignore {
			d.report(at.line, v.keys, "an ignored event starts no run, so it has no %s; remove one of the two", key)
		}
	}
	if r.Name == "" {
		r.Name = nameOf(r)
	}
	return r, r.Type != ""
}

// waiting reads what waits for an event. The keys in needs must be there.
func (d *decoder) waiting(to **event.Waiting, needs []string, fields func(*event.Waiting) []field) func(value) {
	return func(v value) {
		w := event.Waiting{Wait: defaultWait}
		has := d.fields(v, append([]field{
			{"workflow", d.template(&w.Workflow, "a Workflow Id such as order-{json:data.order}")},
			{"wait", d.duration(&w.Wait)},
		}, fields(&w)...))
		if has == nil {
			return
		}
		for _, key := range needs {
			if _, ok := has[key]; !ok {
				d.mistake(v, "has no %s; add %s:", key, key)
			}
		}
		*to = &w
	}
}

func (d *decoder) signal(to **event.Waiting) func(value) {
	return d.waiting(to, []string{"workflow", "name"}, func(w *event.Waiting) []field {
		return []field{
			{"name", d.string(&w.Name, "the name of a Signal")},
			{"start", func(v value) {
				has := d.fields(v, []field{
					{"workflow", d.string(&w.Start, "the name of a Workflow Type")},
					{"task_queue", d.taskQueue(&w.TaskQueue)},
				})
				if _, ok := has["workflow"]; has != nil && !ok {
					d.mistake(v, "has no workflow; add workflow: with the name of a Workflow Type")
				}
			}},
		}
	})
}

func (d *decoder) update(to **event.Waiting) func(value) {
	return d.waiting(to, []string{"workflow", "name"}, func(w *event.Waiting) []field {
		return []field{{"name", d.string(&w.Name, "the name of an Update")}}
	})
}

func (d *decoder) complete(to **event.Waiting) func(value) {
	return d.waiting(to, []string{"workflow", "activity"}, func(w *event.Waiting) []field {
		return []field{
			{"activity", d.template(&w.Activity, "an Activity Id such as {json:run.id}")},
			{"result", d.checked(&w.Result, "a place such as json:data.object", func(text string) error {
				_, err := event.ParseLookup(text)
				return err
			})},
			{"fails_if", d.checked(&w.FailsIf, "a condition such as json:conclusion!=success", func(text string) error {
				_, err := event.ParseCondition(text)
				return err
			})},
		}
	})
}

// nameOf says what a route fits.
func nameOf(r Route) string {
	name := r.Type
	if len(r.Where) > 0 {
		name += " where " + strings.Join(r.Where, " and ")
	}
	return name
}

// only reads a key whose one value is true.
func (d *decoder) only(to *bool) func(value) {
	return func(v value) {
		switch {
		case v.node.Tag != "!!bool":
			d.wrong(v, "true")
		case !strings.EqualFold(v.node.Value, "true"):
			d.mistake(v, "want true, found false; leave it out instead")
		default:
			*to = true
		}
	}
}

func (d *decoder) where(to *[]string) func(value) {
	return func(v value) {
		const want = "a condition such as json:livemode=true"
		for _, item := range d.items(v, "conditions such as json:livemode=true", "leave it out to take every event of the type") {
			text, ok := d.text(item, want)
			if !ok {
				continue
			}
			if _, err := event.ParseCondition(text); err != nil {
				d.mistake(item, "want %s: %v", want, err)
				continue
			}
			*to = append(*to, text)
		}
	}
}

// template reads a text with lookups in braces, or one lookup.
func (d *decoder) template(to *string, want string) func(value) {
	return d.checked(to, want, func(text string) error {
		_, err := event.ParseTemplate(text)
		return err
	})
}

// checked reads a text that check finds nothing wrong with.
func (d *decoder) checked(to *string, want string, check func(text string) error) func(value) {
	return func(v value) {
		text, ok := d.text(v, want)
		if !ok {
			return
		}
		if err := check(text); err != nil {
			d.mistake(v, "want %s: %v", want, err)
			return
		}
		*to = text
	}
}

func (d *decoder) priority(to *int) func(value) {
	return func(v value) {
		const want = "a whole number from 1, the most urgent, to 5"
		n, ok := d.whole(v)
		switch {
		case !ok:
		case n > 5:
			d.mistake(v, "want %s, found %d", want, n)
		default:
			*to = n
		}
	}
}

// fairness reads a template, or a mapping with a weight beside it.
func (d *decoder) fairness(r *Route) func(value) {
	const want = "a key such as json:data.object.customer"
	return func(v value) {
		if isText(v) {
			d.template(&r.Fairness, want)(v)
			return
		}
		has := d.fields(v, []field{
			{"key", d.template(&r.Fairness, want)},
			{"weight", func(v value) {
				n, ok := d.number(v, "a number")
				switch {
				case !ok:
				case n < 0.001 || n > 1000:
					d.mistake(v, "want a number from 0.001 to 1000, found %s", v.node.Value)
				default:
					r.Weight = n
				}
			}},
		})
		if has != nil && len(has) == 0 {
			d.mistake(v, "has neither key nor weight; leave it out to share by source")
		}
	}
}

func isText(v value) bool { return v.node.Tag == "!!str" }
