package ingest

import (
	"fmt"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// route is a route of the config, ready to be held against events.
type route struct {
	says     config.Route
	where    []event.Condition
	fairness event.Template
}

// compileRoutes prepares the routes of a source, in their order.
func compileRoutes(declared []config.Route) ([]route, error) {
	routes := make([]route, 0, len(declared))
	for _, says := range declared {
		r := route{says: says}
		for _, text := range says.Where {
			c, err := event.ParseCondition(text)
			if err != nil {
				return nil, fmt.Errorf("route %q: %w", says.Name, err)
			}
			r.where = append(r.where, c)
		}
		if says.Fairness != "" {
			var err error
			if r.fairness, err = event.ParseTemplate(says.Fairness); err != nil {
				return nil, fmt.Errorf("route %q: %w", says.Name, err)
			}
		}
		routes = append(routes, r)
	}
	return routes, nil
}

// Routed says which route an event takes, and why.
type Routed struct {
	// Route is what the Event says.
	Route event.Route
	// Ignored is set where the route starts nothing.
	Ignored bool
	// Passed says for each route before it why it did not fit, in their order.
	Passed []string
}

// Route returns the route that an event takes. Nothing in a route loses the
// event: where a condition cannot be evaluated, the route takes it, unless the
// route ignores what it takes. Either is said in Route.Doubts.
func (s *Source) Route(ev event.Event, payload []byte) Routed {
	subject := event.NewSubject(ev, payload)
	var routed Routed
	for _, r := range s.routes {
		against, doubts := r.fits(ev, subject)
		routed.Route.Doubts = append(routed.Route.Doubts, doubts...)
		if against == "" && r.says.Ignore && len(doubts) > 0 {
			against = "it ignores what it takes, and that is not to be done in doubt"
		}
		if against != "" {
			routed.Passed = append(routed.Passed, fmt.Sprintf("%s: %s", r.says.Name, against))
			continue
		}
		routed.Ignored = r.says.Ignore
		r.decide(&routed.Route, subject)
		return routed
	}
	return routed
}

// fits says what is against the route, "" for nothing, and which of its
// conditions cannot be evaluated.
func (r route) fits(ev event.Event, subject *event.Subject) (against string, doubts []string) {
	if !event.Match(r.says.Type, ev.Type) {
		return fmt.Sprintf("the type %q does not fit %q", ev.Type, r.says.Type), nil
	}
	for _, c := range r.where {
		holds, err := c.Holds(subject)
		switch {
		case err != nil:
			doubts = append(doubts, fmt.Sprintf("route %s: where %v", r.says.Name, err))
		case !holds:
			return fmt.Sprintf("%s does not hold", c), nil
		}
	}
	return "", doubts
}

// decide writes down what the route says.
func (r route) decide(to *event.Route, subject *event.Subject) {
	says := r.says
	to.Name, to.Action, to.Workflow, to.TaskQueue, to.Priority = says.Name, says.Action, says.Workflow, says.TaskQueue, says.Priority
	to.Waiting = says.Waiting
	to.FairnessWeight = float32(says.Weight)
	if says.Fairness == "" {
		return
	}
	key, err := r.fairness.Text(subject)
	if err != nil {
		to.Doubts = append(to.Doubts, fmt.Sprintf("route %s: fairness: %v", says.Name, err))
		return
	}
	to.FairnessKey = event.ShortFairnessKey(key)
}

// Explained is an event of a delivery and the route that it takes.
type Explained struct {
	Event event.Event
	Routed
}

// Explain returns the events of a delivery, which it does not verify, with the
// routes that they take.
func (s *Source) Explain(d *provider.Delivery) ([]Explained, error) {
	identities, err := s.Provider.Identify(d)
	if err != nil {
		return nil, err
	}
	common := s.event(d)
	explained := make([]Explained, len(identities))
	for i, identity := range identities {
		ev := s.identified(common, identity, len(d.Body))
		routed := s.Route(ev, identity.Payload)
		ev.Route = routed.Route
		explained[i] = Explained{ev, routed}
	}
	return explained, nil
}
