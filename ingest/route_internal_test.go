package ingest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
)

// routesOf reads routes as an operator writes them.
func routesOf(t *testing.T, yaml string) *Source {
	t.Helper()
	cfg, err := config.Parse("hookyard.yaml", []byte("sources:\n  shop:\n    provider: x\n    routes:\n"+yaml), config.Options{})
	require.NoError(t, err)
	routes, err := compileRoutes(cfg.Sources[0].Routes)
	require.NoError(t, err)
	return &Source{name: "shop", routes: routes}
}

func TestRoute(t *testing.T) {
	t.Parallel()
	s := routesOf(t, `
      - {type: "invoice.*", where: ["json:live=true", "json:amount>=1000"], task_queue: billing, priority: 1, fairness: "json:customer"}
      - {name: large, type: "invoice.*", where: ["json:amount>=1000"], workflow: Invoice, fairness: {key: "{event:source}-{json:customer}", weight: 2.5}}
      - {type: "customer.*", keep: true, priority: 5}
      - {type: "radar.*", where: ["json:live=false"], ignore: true}
      - {type: "noise.*", ignore: true}
      - {type: "order.*", where: ["json:live=true"], forward: {url: "http://x"}}
`)
	const live = "invoice.* where json:live=true and json:amount>=1000"
	long := strings.Repeat("c", 65)
	for name, c := range map[string]struct {
		eventType, payload string
		want               event.Route
		ignored            bool
		passed             int
	}{
		"the first that fits": {"invoice.paid", `{"live":true,"amount":1000,"customer":"c1"}`,
			event.Route{Name: live, TaskQueue: "billing", Priority: 1, FairnessKey: "c1"}, false, 0},
		"the second": {"invoice.paid", `{"live":false,"amount":1000,"customer":"c1"}`,
			event.Route{Name: "large", Workflow: "Invoice", FairnessKey: "shop-c1", FairnessWeight: 2.5}, false, 1},
		"a long fairness key": {"invoice.paid", `{"live":true,"amount":1000,"customer":"` + long + `"}`,
			event.Route{Name: live, TaskQueue: "billing", Priority: 1, FairnessKey: event.ShortFairnessKey(long)}, false, 0},
		"no fairness key": {"invoice.paid", `{"live":true,"amount":1000}`,
			event.Route{Name: live, TaskQueue: "billing", Priority: 1,
				Doubts: []string{"route " + live + ": fairness: json:customer is not in the event"}}, false, 0},
		"none":                 {"charge.failed", `{}`, event.Route{}, false, 6},
		"none by its type":     {"", `{}`, event.Route{}, false, 6},
		"kept":                 {"customer.created", `[`, event.Route{Name: "customer.*", Action: event.ActionKeep, Priority: 5}, false, 2},
		"ignored":              {"noise.made", `[`, event.Route{Name: "noise.*"}, true, 4},
		"ignored by condition": {"radar.seen", `{"live":false}`, event.Route{Name: "radar.* where json:live=false"}, true, 3},
		"not ignored in doubt": {"radar.seen", `not json`,
			event.Route{Doubts: []string{"route radar.* where json:live=false: where json:live=false: the payload is not JSON"}}, false, 6},
		"taken in doubt": {"order.made", `not json`,
			event.Route{Name: "order.* where json:live=true", Action: event.ActionForward,
				Doubts: []string{"route order.* where json:live=true: where json:live=true: the payload is not JSON"}}, false, 5},
		"taken where one condition does not hold": {"invoice.paid", `{"live":false,"amount":"much"}`,
			event.Route{Name: "large", Workflow: "Invoice", FairnessWeight: 2.5, Doubts: []string{
				"route large: where json:amount>=1000: the value is not a number",
				"route large: fairness: json:customer is not in the event",
			}}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.Route(event.Event{Source: "shop", Type: c.eventType, ID: "1"}, []byte(c.payload))
			require.Empty(t, cmp.Diff(c.want, got.Route))
			require.Equal(t, c.ignored, got.Ignored)
			require.Len(t, got.Passed, c.passed)
		})
	}
}

// FuzzRoute sees that no payload makes a route lose an event: it is ignored only
// where a condition is known to hold.
func FuzzRoute(f *testing.F) {
	cfg, err := config.Parse("hookyard.yaml", []byte(`
sources:
  shop:
    provider: x
    routes:
      - {type: "a*", where: ["json:x.#(y==1).z=1"], ignore: true}
      - {type: "a*", where: ["json:n>1", "form:x~(.)$"], fairness: "{json:k}"}
`), config.Options{})
	require.NoError(f, err)
	routes, err := compileRoutes(cfg.Sources[0].Routes)
	require.NoError(f, err)
	s := &Source{routes: routes}
	f.Add("a", "application/json", []byte(`{"x":[{"y":1,"z":1}]}`))
	f.Add("a", "application/x-www-form-urlencoded", []byte(`payload=%7B%22n%22%3A2%7D&x=1`))
	f.Fuzz(func(t *testing.T, eventType, contentType string, payload []byte) {
		ev := event.Event{Type: eventType, ContentType: contentType}
		got := s.Route(ev, payload)
		require.LessOrEqual(t, len(got.Route.FairnessKey), event.MaxFairnessKey)
		if got.Ignored {
			require.Empty(t, got.Route.Doubts)
			holds, err := routes[0].where[0].Holds(event.NewSubject(ev, payload))
			require.NoError(t, err)
			require.True(t, holds)
		}
	})
}
