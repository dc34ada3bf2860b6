package dev

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

// demoSecret is a secret in a demo's config that is made up on first use.
var demoSecret = regexp.MustCompile(`file:secrets/([a-z0-9-]+)`)

// signingPrefix starts the keys that deliveries are signed with.
const signingPrefix = "whsec_"

// writeDemo writes the demo's config and, once, the secrets that it names. It
// returns the config's path.
func writeDemo(demo string, home command.Folders, address, service, sending string) (string, error) {
	secrets := filepath.Join(home.Demo(), "secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	parsed, err := template.New("demo").Parse(demo)
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	var text strings.Builder
	if err := parsed.Execute(&text, struct{ Listen, Service, Send string }{address, service, sending}); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	for _, name := range demoSecret.FindAllStringSubmatch(text.String(), -1) {
		if err := writeSecretOnce(filepath.Join(secrets, name[1])); err != nil {
			return "", fmt.Errorf("demo: %w", err)
		}
	}
	file := filepath.Join(home.Demo(), command.DefaultConfig)
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	return file, nil
}

// writeSecretOnce keeps a secret over restarts. Its form is that of Standard
// Webhooks, which the other providers of the demo take as text. That of "store",
// which encrypts, is 32 bytes alone.
func writeSecretOnce(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in a folder that the user has named
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	text := base64.StdEncoding.EncodeToString(key)
	if filepath.Base(path) != "store" {
		text = signingPrefix + text
	}
	_, err = fmt.Fprintln(f, text)
	return errors.Join(err, f.Close())
}

// startDemoService runs the service that the demo's config sends to: it prints
// a line about each request and answers 202. A forwarded event is verified
// first. It returns its address.
func startDemoService(ctx context.Context, home command.Folders, out io.Writer) (address string, stop func(), err error) {
	l, err := command.Listen(ctx, "127.0.0.1:0", "nothing: it is a free port")
	if err != nil {
		return "", nil, err
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
		if err == nil && demoChallenge(w, r, body) {
			return
		}
		status, line := demoAnswer(r, body, err, home)
		fmt.Fprintln(out, "your service: "+line)
		w.WriteHeader(status)
	}
	server := &http.Server{Handler: http.HandlerFunc(serve), ReadTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	return l.Addr().String(), func() {
		_ = server.Close()
		<-done
	}, nil
}

// demoAnswer does what a service behind `forward`, or one that is an endpoint,
// does: it verifies, and would then act once per Idempotency-Key or webhook-id.
func demoAnswer(r *http.Request, body []byte, err error, home command.Folders) (status int, line string) {
	id := r.Header.Get("Webhook-Id")
	if err == nil && id != "" {
		err = demoVerify(r, body, home)
	}
	switch {
	case err != nil:
		return http.StatusUnauthorized, fmt.Sprintf("refused %s %s: %v", r.URL.Path, id, err)
	case id == "":
		return http.StatusAccepted, fmt.Sprintf("took %s %s", r.URL.Path, command.PlainLine(string(body), 200))
	default:
		return http.StatusAccepted, fmt.Sprintf("took %s %s, %s%d bytes, signature verified", r.URL.Path, id, forwardedType(r), len(body))
	}
}

// forwardedType is what `forward` says of the type; what is published has none.
func forwardedType(r *http.Request) string {
	if eventType := r.Header.Get("Hookyard-Event-Type"); eventType != "" {
		return eventType + ", "
	}
	return ""
}

// demoVerify verifies an event under each of the demo's signing keys.
func demoVerify(r *http.Request, body []byte, home command.Folders) error {
	catalog, err := provider.Builtin()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(home.Demo(), "secrets", "*"))
	if err != nil {
		return err
	}
	var secrets []string
	for _, file := range files {
		secret, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if text := strings.TrimSpace(string(secret)); strings.HasPrefix(text, signingPrefix) {
			secrets = append(secrets, text)
		}
	}
	p, _ := catalog.Lookup("standard-webhooks")
	receiver, err := p.Bind(provider.Binding{Secrets: secrets})
	if err != nil {
		return err
	}
	return receiver.Verify(r.Context(), &provider.Delivery{Method: r.Method, Header: r.Header, Body: body, ReceivedAt: time.Now()})
}
