package config_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/hookyard/hookyard/config"
)

func TestLoadJoinsPathsToTheFilesFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "hookyard.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`
sources: {a: {provider: x, secrets: [file:run/a]}}
providers: ./providers
app: {ledger: {sqlite: data/ledger.db}}
`), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "run"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run/a"), []byte("s\r\n"), 0o600))

	c, err := config.Load(path, config.Options{App: program{}})
	require.NoError(t, err)
	require.Equal(t, "s", c.Sources[0].Secrets[0].Reveal())
	require.Equal(t, filepath.Join(dir, "providers"), c.Providers)
	require.Equal(t, filepath.Join(dir, "data/ledger.db"), string(c.App.(*program).Ledger.SQLite))
}

func TestLoadWithoutAFile(t *testing.T) {
	t.Parallel()
	c, err := config.Load("nowhere/hookyard.yaml", config.Options{})
	require.Nil(t, c)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Contains(t, err.Error(), `"nowhere/hookyard.yaml"`)
	require.NotErrorAs(t, err, new(config.Mistakes))
}

func TestSkipSecrets(t *testing.T) {
	t.Parallel()
	refuse := config.Options{
		SkipSecrets: true,
		LookupEnv:   func(string) (string, bool) { panic("looked") },
		ReadFile:    func(string) ([]byte, error) { panic("read") },
	}
	c, err := config.Parse("f", []byte("sources: {a: {provider: x, secrets: [env:A, file:b]}}"), refuse)
	require.NoError(t, err)
	require.Equal(t, "env:A", c.Sources[0].Secrets[0].Ref())
	require.Empty(t, c.Sources[0].Secrets[0].Reveal())
	require.False(t, c.Sources[0].Secrets[0].IsZero())
	_, err = config.Parse("f", []byte("sources: {a: {provider: x, secrets: [literal]}}"), refuse)
	require.ErrorContains(t, err, "found a literal value")
}

// A caller adds mistakes of its own to those of the file, and prints both in
// the order of the file.
func TestCallersMistakes(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("hookyard.yaml", []byte(`
sources:
  stripe:
    provider: stirpe
    colour: blue
  a.b:
    provider: x
    signature: {header: X,
      list: {key: y}}
  a: {provider: x}
`), config.Options{})
	var mistakes config.Mistakes
	require.ErrorAs(t, err, &mistakes)
	require.NotNil(t, c)
	mistakes = append(mistakes,
		c.Mistake("sources.a.b.signature.list.key", "six"),
		c.Mistake("sources.a.b.signature.list.no.such", "five"),
		c.Mistake("sources.a.b.nothing", "four"),
		c.Mistake("sources.stripe.provider", "source %q: unknown provider %q%s", "stripe", "stirpe",
			config.Suggest("stirpe", []string{"github", "stripe"})),
		c.Mistake("alerts.to", "one"),
	)
	require.EqualError(t, mistakes.Err(), strings.TrimSpace(`
hookyard.yaml:1: one
hookyard.yaml:4: source "stripe": unknown provider "stirpe"; did you mean "stripe"?
hookyard.yaml:5: source "stripe": unknown key "colour"; known: provider, secrets, options, split, replay_guard, hash_ids, journal, routes, retry, drop_headers, allow, rate, max_body, tolerance, expect_every, alert_refused, reconcile, signature, secret, event, retries
hookyard.yaml:6: four
hookyard.yaml:9: six
hookyard.yaml:9: five
`))
	require.NoError(t, config.Mistakes{}.Err())
}

func TestConfigIsNilOnlyWithoutYAML(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("f", []byte("a: [1\n"), config.Options{})
	require.Error(t, err)
	require.Nil(t, c)
	for _, text := range []string{"", "# nothing", "[]", "sources: 5", "a: b"} {
		c, err = config.Parse("f", []byte(text), config.Options{})
		require.Error(t, err, text)
		require.NotNil(t, c, text)
	}
}

func TestTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("f", []byte("a: b\n# \xff\n"), config.Options{})
	require.EqualError(t, err, "f:2: byte 0xff is not UTF-8 text; save the file as UTF-8")
	_, err = config.Parse("f", []byte("a: b\n\n\x00"), config.Options{})
	require.EqualError(t, err, "f:3: character U+0000 has no place in a text file; take it out, or save the file as UTF-8")
	_, err = config.Parse("f", []byte("\ufeffsources: {a: {provider: x}}\r\n"), config.Options{})
	require.NoError(t, err, "a byte order mark and CRLF are taken")
}

// What ends a line for YAML and not for an editor would hide keys in comments.
func TestLinesThatEditorsDoNotShow(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\r", "\u0085", "\u2028", "\u2029"} {
		_, err := config.Parse("f", []byte("a: b\n# comment"+end+"listen: :80\n"), config.Options{})
		require.ErrorContains(t, err, fmt.Sprintf("f:2: character %U has no place", []rune(end)[0]))
	}
}

// A file that is not YAML may break off at a secret, so nothing of it is shown.
func TestSyntaxErrorsShowNothingOfTheFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a: [hunter2", "a: {hunter2", "a: 'hunter2", `a: "hunter2\q"`, "a: @hunter2", "a: %hunter2", "a: `hunter2",
		"a: *hunter2", "*hunter2 : b", "a: [*]hunter2", "a: &", "a: !hunter2!x y", "a: !<hunter2", "a: !h%unter2 b",
		"a: b: hunter2", "a: b\nhunter2", "%hunter2 x\n---\na: b", "a: b\n--- *hunter2", "a: b\n]hunter2", "a: |hunter2\n b",
	} {
		c, err := config.Parse("f", []byte(text), config.Options{})
		require.Error(t, err, text)
		require.Nil(t, c, text)
		require.NotContains(t, err.Error(), "hunter", text)
		requireInRange(t, err, []byte(text))
	}
}

// Files that are too costly to read, whatever they say, are refused.
func TestHugeFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{strings.Repeat("#", 1<<20+1), "f:1: the file is 1048577 bytes; at most 1048576 are read"},
		{"a:\n" + strings.Repeat("[", 1<<16), "f:2: values nest deeper than 64 levels"},
		{"a:\n" + strings.Repeat("{a: ", 1<<14), "f:2: values nest deeper than 64 levels"},
		{"a:\n" + strings.Repeat("- ", 1<<16), "f:2: values nest deeper than 64 levels"},
		{"a:\n" + strings.Repeat("? ", 1<<16), "f:2: values nest deeper than 64 levels"},
	} {
		_, err := config.Parse("f", []byte(tt.text), config.Options{})
		require.EqualError(t, err, tt.want)
	}
}

// Each mistake names the keys above it, which here are longer than the file.
func TestMistakesAreBounded(t *testing.T) {
	t.Parallel()
	open := strings.Repeat("{"+strings.Repeat("k", 8000)+": ", 60)
	text := "sources: {a: {signature: " + open + "{" + strings.Repeat("a,", 20_000) + strings.Repeat("}", 63)
	_, err := config.Parse("f", []byte(text), config.Options{})
	var mistakes config.Mistakes
	require.ErrorAs(t, err, &mistakes)
	require.Len(t, mistakes, 1000)
	for _, m := range mistakes {
		require.Less(t, len(m.Text), 8000)
	}
}

func TestSourceAndRetryByName(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("f", []byte("sources: {a: {provider: x}, b: {provider: y}}\nretry: {A: {attempts: 5}}"), config.Options{})
	require.NoError(t, err)
	s, ok := c.Source("b")
	require.True(t, ok)
	require.Equal(t, "y", s.Provider)
	_, ok = c.Source("c")
	require.False(t, ok)
	require.Equal(t, 5, c.Retry.ByActivity["A"].Attempts)
	require.Equal(t, 40, c.Retry.Default.Attempts)
}

// The provider package decodes raw mappings strictly.
func TestRawMappingsDecode(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("f", []byte(`
sources:
  a: {provider: x}
  b:
    provider: hmac
    signature: {header: X-Sig,
      tolerance: 5m, from: [json:id]}
`), config.Options{})
	require.NoError(t, err)
	var got struct {
		Header    string
		Tolerance string
		From      []string
	}
	require.NoError(t, c.Sources[1].Signature.Load(&got, yaml.WithKnownFields()))
	require.Equal(t, "X-Sig", got.Header)
	require.Equal(t, "5m", got.Tolerance)
	require.Empty(t, cmp.Diff([]string{"json:id"}, got.From))

	var other struct{ Header string }
	err = c.Sources[1].Signature.Load(&other, yaml.WithKnownFields())
	var unknown *yaml.LoadErrors
	require.ErrorAs(t, err, &unknown)
	require.Len(t, unknown.Errors, 2)
	require.Equal(t, 7, unknown.Errors[0].Mark.Line)
	require.Nil(t, c.Sources[0].Signature)
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	providers := []string{"github", "stripe", "shopify", "svix"}
	for _, tt := range []struct {
		got   string
		known []string
		want  string
	}{
		{"stirpe", providers, `; did you mean "stripe"?`},
		{"Stripe", providers, `; did you mean "stripe"?`},
		{"git-hub", providers, `; did you mean "github"?`},
		{"paypal", providers, "; known: github, stripe, shopify, svix"},
		{"", providers, "; known: github, stripe, shopify, svix"},
		{"x", []string{"to"}, "; known: to"},
		{"secretz", []string{"secrets", "secret"}, `; did you mean "secrets"?`},
		{"secre", []string{"secrets", "secret"}, `; did you mean "secret"?`},
		{"ot", []string{"to"}, `; did you mean "to"?`},
		{"b", []string{"a"}, "; known: a"},
		{"x", nil, ""},
		{"zzzzzz", strings.Split(strings.Repeat("a,", 29)+"a", ","), "; known: " + strings.Repeat("a, ", 23) + "a and 6 more"},
	} {
		require.Equal(t, tt.want, config.Suggest(tt.got, tt.known), "%q", tt.got)
	}
}
