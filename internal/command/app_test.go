package command

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/worker"
)

// Shop is an Activity with settings.
type Shop struct {
	URL   config.URL `config:"url,required"`
	Token config.Secret
	Every time.Duration

	calls int
}

// Refund is an Activity.
func (s *Shop) Refund(context.Context) error { s.calls++; return nil }

// Clock is an Activity without settings.
type Clock struct{}

// Tick is an Activity.
func (*Clock) Tick(context.Context) error { return nil }

// Notify is an Activity that is a function.
func Notify(context.Context) error { return nil }

func on(pattern string, activities ...any) worker.Handler {
	return worker.On(pattern, func(workflow.Context, event.Event, []byte) error { return nil }, activities...)
}

func TestActivityNames(t *testing.T) {
	t.Parallel()
	app := App{Workflows: []worker.Handler{on("a.x", &Shop{}, Notify), on("a.y", (*Shop)(nil), &Clock{})}}
	require.NoError(t, app.Check())
	require.Empty(t, cmp.Diff([]string{"CompleteActivity", "ForwardEvent", "Notify", "Refund", "SignalWorkflow", "Tick", "UpdateWorkflow"}, app.ActivityNames()))
	require.NotContains(t, app.ActivityNames(), "SendAlert", "a policy for it would change nothing")
}

// TestSettingsOfActivities sees that the fields of an Activity are settings of
// the config, with what the program gave as defaults.
func TestSettingsOfActivities(t *testing.T) {
	t.Parallel()
	given := &Shop{Every: time.Hour}
	app := App{Workflows: []worker.Handler{on("a.x", &Clock{}, given)}}
	parse := func(text string) (*config.Config, error) {
		return config.Parse("f", []byte("sources: {a: {provider: x}}\n"+text), config.Options{
			App: app.section(), LookupEnv: func(string) (string, bool) { return "t0ken", true },
		})
	}
	c, err := parse("app: {shop: {url: https://shop.example, token: env:T}}")
	require.NoError(t, err)
	activities, closeAll, err := app.OpenActivities(t.Context(), Setup{Config: c.App})
	require.NoError(t, err)
	require.NoError(t, closeAll())
	require.Len(t, activities, 2)
	shop := activities[1].(*Shop)
	require.Equal(t, config.URL("https://shop.example"), shop.URL)
	require.Equal(t, "t0ken", shop.Token.Reveal())
	require.Equal(t, time.Hour, shop.Every)
	require.Empty(t, given.URL, "what the program gave is left alone")

	_, err = parse("")
	require.EqualError(t, err, "f:1: app.shop: no url; add url:")
	_, err = parse("app: {shop: {url: https://shop.example, tokn: env:T}}")
	require.EqualError(t, err, `f:2: app.shop: unknown key "tokn"; did you mean "token"?`)
}

func TestOpenActivities(t *testing.T) {
	t.Parallel()
	closed := 0
	app := App{Workflows: []worker.Handler{on("a.x", (*Shop)(nil), (*Clock)(nil))}}
	open := func(activities ...any) error {
		app.Open = func(context.Context, Setup) ([]any, func() error, error) {
			return activities, func() error { closed++; return nil }, nil
		}
		_, closeAll, err := app.OpenActivities(t.Context(), Setup{})
		if err != nil {
			return err
		}
		return closeAll()
	}
	require.NoError(t, open(&Shop{}, &Clock{}))
	require.ErrorContains(t, open(&Shop{}), "App.Open returned no *command.Clock, which a Workflow calls")
	require.ErrorContains(t, open(&Shop{}, &Clock{}, Notify), "App.Open returned a func Notify, which no Workflow calls")
	require.Equal(t, 3, closed, "what was opened is closed, whatever is wrong with it")

	app.Open = func(context.Context, Setup) ([]any, func() error, error) { return nil, nil, errors.New("no database") }
	_, _, err := app.OpenActivities(t.Context(), Setup{})
	require.ErrorContains(t, err, "no database")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	type hidden struct{ Clock }
	for want, app := range map[string]App{
		`there are two Workflows for "a.x"`:                 {Workflows: []worker.Handler{on("a.x"), on("a.x")}},
		`workflow "x": want "<provider>.<event type>"`:      {Workflows: []worker.Handler{on("x")}},
		"struct {} is no Activity":                          {Workflows: []worker.Handler{on("a.x", struct{}{})}},
		`there are two Activities "Refund"`:                 {Workflows: []worker.Handler{on("a.x", &Shop{}, &other{})}},
		"App.Config goes with App.Open":                     {Config: struct{}{}},
		"*command.hidden has settings, so its name must be": {Workflows: []worker.Handler{on("a.x", &hidden{})}},
		"which a config section cannot hold": {
			Open:   func(context.Context, Setup) ([]any, func() error, error) { return nil, nil, nil },
			Config: struct{ F func() }{},
		},
	} {
		require.ErrorContains(t, app.Check(), want)
	}
	require.NoError(t, App{}.Check())
}

type other struct{}

// Refund has a name that another Activity has.
func (*other) Refund(context.Context) error { return nil }
