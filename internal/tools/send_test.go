package tools

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

// takesAll is a Starter that stores nothing.
type takesAll struct{}

func (takesAll) Start(context.Context, event.Event, converter.RawValue) error { return nil }

// TestSendSignsEverySample sends every sample of every provider that `send`
// can sign for to an edge that has a source of each.
func TestSendSignsEverySample(t *testing.T) {
	t.Parallel()
	catalog, err := provider.Builtin()
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(nil)
	text := "listen: " + server.Listener.Addr().String() + "\npublic_url: https://hooks.example.com\nsources:\n"
	var vars []string
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		if sendAbility(p) == sendNo {
			continue
		}
		variable := strings.ReplaceAll(strings.ToUpper(name), "-", "_")
		// Text, hex and base64 at once.
		secret := strings.Repeat("0123456789abcdef", 4)
		if p.SignsWithPair() {
			_, secret, err = p.GenerateKey()
			require.NoError(t, err)
		}
		vars = append(vars, variable+"_SECRET="+secret, variable+"_PUBLIC_KEY="+secret)
		for option := range p.Spec().Options {
			vars = append(vars, variable+"_"+strings.ToUpper(option)+"=option")
		}
		_, source, _ := strings.Cut(sourceBlock(p), "sources:\n")
		text += strings.Replace(source, "    # secrets:", "    secrets:", 1) // handed over by now
	}
	env := command.Env{Vars: vars, Stderr: io.Discard}
	file := filepath.Join(t.TempDir(), "hookyard.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	set, err := command.Load(file, env, false)
	require.NoError(t, err)
	server.Config.Handler = ingest.New(ingest.Options{
		Sources: set.Bound, Starter: takesAll{}, Logger: slog.New(slog.DiscardHandler), PublicURL: set.PublicURL,
	}).Handler()
	server.Start()
	t.Cleanup(server.Close)

	for _, declared := range set.Sources {
		p, _ := catalog.Lookup(declared.Provider)
		_, _, samples := p.Sample("")
		require.NotEmpty(t, samples, declared.Name)
		for _, sample := range samples {
			t.Run(declared.Name+" "+sample, func(t *testing.T) {
				t.Parallel()
				env, out := env, &bytes.Buffer{}
				env.Stdout = out
				require.NoError(t, command.Execute(t.Context(), env, []string{"send", declared.Name, sample, "--config", file}, Commands(env)...), "%s", out)
				require.Contains(t, out.String(), "  20")
			})
		}
	}
}
