package config_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/hookyard/hookyard/config"
)

// program is a team's own section, with a field of each kind.
type program struct {
	Ledger *ledger
	Mail   *mail
	Build  *struct {
		URL   config.URL `config:"url,required"`
		Token config.Secret
	}
	Limits  map[string]int
	Shops   []shop
	Allow   []netip.Prefix
	Every   time.Duration
	Share   float64
	Live    bool
	Ignored string `config:"-"`
}

type ledger struct {
	SQLite   config.Path `config:"sqlite"`
	Postgres config.Secret
}

// Validate implements config.Validator.
func (l *ledger) Validate() error {
	if (l.SQLite == "") == l.Postgres.IsZero() {
		return errors.New("want one of sqlite and postgres")
	}
	return nil
}

type mail struct {
	SMTP   config.Secret `config:"smtp"`
	Folder config.Path
	From   string `config:"from,required"`
}

type shop struct {
	Name    string
	APIKey  config.Secret
	MaxSize int
}

func TestAppDefaults(t *testing.T) {
	t.Parallel()
	prototype := program{Every: time.Hour, Shops: []shop{{Name: "a"}}}
	parse := func(text string) (*program, error) {
		c, err := config.Parse("f", []byte("sources: {a: {provider: x}}\n"+text), config.Options{App: prototype})
		return c.App.(*program), err
	}
	got, err := parse("")
	require.NoError(t, err)
	require.Equal(t, &prototype, got)
	got, err = parse("app: {every: 5m, shops: [{name: b, max_size: 3}], limits: {x: 7}, allow: [10.0.0.0/8], share: 0.5, live: true}")
	require.NoError(t, err)
	require.Equal(t, &program{
		Every: 5 * time.Minute, Shops: []shop{{Name: "b", MaxSize: 3}}, Limits: map[string]int{"x": 7},
		Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Share: 0.5, Live: true,
	}, got)
	require.Equal(t, time.Hour, prototype.Every, "the prototype itself is left alone")
	got, err = parse("app: {build: null}")
	require.ErrorContains(t, err, "f:2: app.build: has no value; want a mapping")
	require.Nil(t, got.Build)
}

func TestAppMistakes(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("hookyard.yaml", []byte(`sources: {a: {provider: x}}
app:
  leger: {}
  every: soon
  limits: {x: many}
  shops:
    - {name: [b]}
    - {max_size: 1.5}
  live: perhaps
  ignored: no
  allow: [10.0.0.0/99]
  ledger: {sqlite: a, postgres: env:A}
  build: {}
`), options(map[string]string{"env": "A=1"}))
	require.EqualError(t, err, `hookyard.yaml:3: app: unknown key "leger"; did you mean "ledger"?
hookyard.yaml:4: app.every: want a duration such as 30s, 5m or 30d, found "soon"
hookyard.yaml:5: app.limits.x: want a whole number, found a string
hookyard.yaml:7: app.shops.name: want a text, found a list
hookyard.yaml:8: app.shops.max_size: want a whole number, found 1.5
hookyard.yaml:9: app.live: want true or false, found a string
hookyard.yaml:10: app: unknown key "ignored"; known: ledger, mail, build, limits, shops, allow, every, share, live
hookyard.yaml:11: app.allow: netip.ParsePrefix("10.0.0.0/99"): prefix length out of range
hookyard.yaml:12: app.ledger: want one of sqlite and postgres
hookyard.yaml:13: app.build: no url; add url:`)

	_, err = config.Parse("f", []byte("sources: {a: {provider: x}}\napp: {a: 1}"), config.Options{})
	require.EqualError(t, err, "f:2: app: this program has no settings of its own; remove it")
}

// TestAppRequired sees that a required key of a struct that is no pointer is
// missed where the whole section is absent.
func TestAppRequired(t *testing.T) {
	t.Parallel()
	type needs struct {
		Token config.Secret `config:"token,required"`
	}
	_, err := config.Parse("f", []byte("sources: {a: {provider: x}}"), config.Options{App: needs{}})
	require.EqualError(t, err, "f:1: app: no token; add token:")
}

func TestCheckApp(t *testing.T) {
	t.Parallel()
	require.NoError(t, config.CheckApp(nil))
	require.NoError(t, config.CheckApp(program{}))
	type loop struct{ Next *loop }
	for want, prototype := range map[string]any{
		"is not a struct":                      &program{},
		"which a config section cannot hold":   struct{ F func() }{},
		"whose keys are no strings":            struct{ M map[int]string }{},
		"loop.Next holds itself":               loop{},
		".C has type chan int, which a config": struct{ C chan int }{},
	} {
		require.ErrorContains(t, config.CheckApp(prototype), want)
	}
}

// TestFixedChanges sees which changes of a file take a restart.
func TestFixedChanges(t *testing.T) {
	t.Parallel()
	parse := func(text string) *config.Config {
		c, err := config.Parse("f", []byte("sources: {a: {provider: x}}\n"+text), config.Options{App: program{}})
		require.NoError(t, err)
		return c
	}
	was := parse("listen: :8080\napp: {every: 5m}\nretry: {default: {attempts: 3}}")
	require.Empty(t, config.FixedChanges(was, parse("app: {every: 5m} # as before\nlisten: :8080\nretry: {default: {attempts: 4}}")))
	require.Empty(t, cmp.Diff([]string{"listen", "temporal", "app"}, config.FixedChanges(was, parse("temporal: {task_queue: b}\napp: {every: 6m}"))))
}
