package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
)

var update = flag.Bool("update", false, "write what is seen into the golden files")

// testSecret is every source's secret in these tests. As base64 it is one of
// Standard Webhooks, too.
const testSecret = "whsec_Z29sZGVuIGdvbGRlbiBnb2xkZW4h"

// clock is the time at which every delivery arrives.
var clock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// started is a Starter that remembers. What it answers can be chosen, so that
// each answer of the edge can be seen without the outage that leads to it; the
// real ones are in tests/.
type started struct {
	answer error

	mu     sync.Mutex // a batch is started all at once
	events []event.Event
	bodies []string
}

func (s *started) Start(_ context.Context, ev event.Event, payload converter.RawValue) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, ev)
	s.bodies = append(s.bodies, string(payload.Payload().GetData()))
	return s.answer
}

// edge returns an edge on the config, and what it logs.
func edge(t testing.TB, text string, starter ingest.Starter) (http.Handler, map[string]*ingest.Source, *bytes.Buffer) {
	cfg, err := config.Parse("hookyard.yaml", []byte(text), config.Options{
		LookupEnv: func(string) (string, bool) { return testSecret, true },
	})
	require.NoError(t, err)
	builtin, err := provider.Builtin()
	require.NoError(t, err)
	catalog, mistakes := ingest.Providers(cfg, builtin)
	require.Empty(t, mistakes)
	sources, mistakes := ingest.Sources(cfg, catalog)
	require.Empty(t, mistakes)
	var log bytes.Buffer
	return ingest.New(ingest.Options{
		Sources: sources, Starter: starter, Journal: starter, PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies,
		Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return clock },
		HandedOver: t.TempDir(),
	}).Handler(), sources, &log
}

// TestDeliveries plays each file of testdata/deliveries: a config and a
// request in, the answer and the started events out. In the file's comment,
// "sign" signs the request as the source's provider does, "from ADDRESS" sends
// it from there, "starts WORD" chooses what the start ends with, and "times N"
// sends it so often and shows the last answer.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/deliveries/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			want := section(archive, "answer")
			got := play(t, archive)
			if *update {
				setSection(archive, "answer", got)
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
				return
			}
			require.Equal(t, want, got)
		})
	}
}

func play(t *testing.T, archive *txtar.Archive) string {
	directives := map[string]string{}
	for line := range strings.Lines(string(archive.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		directives[word] = rest
	}
	starter := &started{answer: map[string]error{
		"": nil, "duplicate": ingest.ErrDuplicate, "too-large": ingest.ErrTooLarge, "unavailable": errors.New("connection refused by 10.0.0.7"),
	}[directives["starts"]]}
	handler, sources, log := edge(t, section(archive, "config"), starter)

	times := 1
	if n := directives["times"]; n != "" {
		_, err := fmt.Sscan(n, &times)
		require.NoError(t, err)
	}
	var w *httptest.ResponseRecorder
	for range times {
		r := request(t, section(archive, "request"))
		if _, sign := directives["sign"]; sign {
			signRequest(t, sources, r)
		}
		r.RemoteAddr = "192.0.2.1:40000"
		if from := directives["from"]; from != "" {
			r.RemoteAddr = from
		}
		w = httptest.NewRecorder()
		handler.ServeHTTP(w, r)
	}
	for _, text := range []string{w.Body.String(), fmt.Sprint(w.Header()), log.String()} {
		require.NotContains(t, text, testSecret)
	}
	require.NotContains(t, w.Body.String(), "10.0.0.7", "the cause is for the log")
	return render(t, w, starter)
}

// request reads a request as it stands in a file, where lines end in LF.
func request(t *testing.T, text string) *http.Request {
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	require.NoError(t, err)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return r
}

func signRequest(t *testing.T, sources map[string]*ingest.Source, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	source := sources[strings.TrimPrefix(r.URL.Path, "/webhooks/")]
	require.NotNil(t, source)
	d := &provider.Delivery{Method: r.Method, URL: r.URL.String(), Header: r.Header, Body: body, ReceivedAt: clock}
	require.NoError(t, source.Provider.Sign(d))
	r.Body = io.NopCloser(bytes.NewReader(d.Body))
}

func render(t *testing.T, w *httptest.ResponseRecorder, starter *started) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", w.Code)
	names := make([]string, 0, len(w.Header()))
	for name := range w.Header() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := strings.Join(w.Header()[name], " | ")
		if name == "Retry-After" && w.Code == http.StatusServiceUnavailable {
			require.Regexp(t, "^[1-9][0-9]?$", value)
			value = "(spread)"
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	fmt.Fprintf(&b, "\n%s\n", strings.TrimSuffix(w.Body.String(), "\n"))
	var starts []string
	for i, ev := range starter.events {
		header, err := json.MarshalIndent(ev, "", "  ")
		require.NoError(t, err)
		starts = append(starts, fmt.Sprintf("\nstarted %s as %s\n%s\npayload %q\n", ev.WorkflowID(), ev.WorkflowType(), header, starter.bodies[i]))
	}
	slices.Sort(starts)
	b.WriteString(strings.Join(starts, ""))
	return b.String()
}

func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func setSection(a *txtar.Archive, name, text string) {
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(text)})
}
