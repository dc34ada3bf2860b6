package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
)

// reloadTest is a reloader on a file, with what is logged and taken into use.
type reloadTest struct {
	*reloader
	t     *testing.T
	file  string
	log   lockedBuffer
	taken []*command.Setting
}

// lockedBuffer may be read while somebody writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

const reloadSource = "sources: {a: {provider: stripe, secrets: [file:secret]}}\n"

func newReloadTest(t *testing.T) *reloadTest {
	r := &reloadTest{t: t, file: filepath.Join(t.TempDir(), "hookyard.yaml")}
	r.write("secret", "one")
	r.write("hookyard.yaml", reloadSource)
	read := func() (*command.Setting, error) { return command.Load(r.file, command.Env{}, false) }
	set, err := read()
	require.NoError(t, err)
	count, err := noop.NewMeterProvider().Meter("").Int64Counter("reloads")
	require.NoError(t, err)
	r.reloader = &reloader{
		started: set.Config, now: &current{setting: set}, read: read, count: count,
		check:  func(context.Context, *command.Setting) error { return nil },
		logger: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	require.NoError(t, r.now.follow(func(s *command.Setting) error {
		r.taken = append(r.taken, s)
		return nil
	}))
	return r
}

func (r *reloadTest) write(name, text string) {
	require.NoError(r.t, os.WriteFile(filepath.Join(filepath.Dir(r.file), name), []byte(text), 0o600))
}

func TestReloadSecret(t *testing.T) {
	t.Parallel()
	r := newReloadTest(t)
	r.write("secret", "two\n")
	require.NoError(t, r.reload(t.Context()))
	require.Len(t, r.taken, 2, "the one of the start, and the one that was read")
	require.Equal(t, "two", r.now.get().Sources[0].Secrets[0].Reveal())
	require.NotContains(t, r.log.String(), "two")
}

// TestReloadRefused sees that a config that could not be started with changes
// nothing, and that all that is wrong is said.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	r := newReloadTest(t)
	before := r.now.get()
	asked := make(chan os.Signal)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx, asked) })

	r.write("hookyard.yaml", "lisen: :80\n"+strings.Replace(reloadSource, "stripe", "stirpe", 1))
	asked <- os.Interrupt
	asked <- os.Interrupt // taken once the first is dealt with
	require.Contains(t, r.log.String(), `unknown key \"lisen\"`)
	require.Contains(t, r.log.String(), `unknown provider \"stirpe\"`)
	require.GreaterOrEqual(t, strings.Count(r.log.String(), "the old one stays"), 2, "one line per mistake")
	stop()
	running.Wait()
	require.Same(t, before, r.now.get())

	r.write("hookyard.yaml", reloadSource)
	r.check = func(context.Context, *command.Setting) error { return command.ErrNotReady }
	require.ErrorIs(t, r.reload(t.Context()), command.ErrNotReady, "a retention that is too short for a new source")
	require.Same(t, before, r.now.get())
	require.Len(t, r.taken, 1)
}

// TestReloadNamesFixed sees that a change to what a process reads once is named
// each time, and does not keep the rest from changing.
func TestReloadNamesFixed(t *testing.T) {
	t.Parallel()
	r := newReloadTest(t)
	for range 2 {
		r.write("hookyard.yaml", `listen: 127.0.0.1:1
admin: off
temporal: {task_queue: other}
park_for: 1d
public_url: https://hooks.example.com
retry: {default: {attempts: 3}}
`+reloadSource)
		require.NoError(t, r.reload(t.Context()))
		now := r.now.get().Config
		require.Equal(t, "https://hooks.example.com", now.PublicURL)
		require.Equal(t, 3, now.Retry.Default.Attempts)
	}
	for _, key := range []string{"listen", "admin", "temporal", "park_for"} {
		require.Equal(t, 2, strings.Count(r.log.String(), "key="+key+"\n"), key)
	}
	r.write("hookyard.yaml", reloadSource)
	require.NoError(t, r.reload(t.Context()))
	require.Equal(t, 8, strings.Count(r.log.String(), "key="))
}

func TestEach(t *testing.T) {
	t.Parallel()
	require.Len(t, each(config.Mistakes{{Text: "a"}, {Text: "b"}}), 2)
	require.Len(t, each(errors.New("a")), 1)
}
