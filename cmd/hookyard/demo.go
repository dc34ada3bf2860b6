package main

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
	"strings"
	"text/template"
	"time"

	"github.com/hookyard/hookyard/ingest/provider"
)

// demoConfig is what `dev` runs without a config file. It is written out, so
// that it can be read, and copied to start from.
var demoConfig = template.Must(template.New("demo").Parse(`# The demo of "hookyard dev", written anew at each start.
# Copy it to hookyard.yaml, beside your project, to make it your own.
listen: {{.Listen}}
sources:
  stripe:                       # records payments in the ledger, mails receipts
    provider: stripe
    secrets: [file:secrets/stripe]
    events: ["invoice.*", "charge.dispute.*"]
    unhandled: complete
  github:                       # asks the build server for a build of each push
    provider: github
    secrets: [file:secrets/github]
    unhandled: complete
  acme:                         # no code: forwarded to a service of your own
    provider: standard-webhooks
    secrets: [file:secrets/acme]
    forward: {url: "http://{{.Target}}/hooks"}
build: {url: "http://{{.Target}}/builds"}
retry:
  RecordPayment: {timeout: 5s}  # short, so its first attempt needs no task of its own
`))

// writeDemo writes the demo's config and, once, secrets of its own. It returns
// the config's path.
func writeDemo(home folders, address, target string) (string, error) {
	secrets := filepath.Join(home.demo(), "secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	for _, source := range []string{"stripe", "github", "acme"} {
		if err := writeSecretOnce(filepath.Join(secrets, source)); err != nil {
			return "", fmt.Errorf("demo: %w", err)
		}
	}
	var text strings.Builder
	if err := demoConfig.Execute(&text, struct{ Listen, Target string }{address, target}); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	file := filepath.Join(home.demo(), defaultConfig)
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	return file, nil
}

// writeSecretOnce keeps a secret over restarts. Its form is that of Standard
// Webhooks, which the other providers of the demo take as text.
func writeSecretOnce(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key := make([]byte, 24)
	_, _ = rand.Read(key) // never fails
	_, err = fmt.Fprintln(f, "whsec_"+base64.StdEncoding.EncodeToString(key))
	return errors.Join(err, f.Close())
}

// startDemoService runs the service behind the demo's forward and build: it
// verifies what it is sent and prints a line about it. It returns its address.
func startDemoService(ctx context.Context, home folders, out io.Writer) (address string, stop func(), err error) {
	l, err := listen(ctx, "127.0.0.1:0", "nothing: it is a free port")
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks", func(w http.ResponseWriter, r *http.Request) { demoHook(w, r, home, out) })
	mux.HandleFunc("POST /builds", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		fmt.Fprintf(out, "your build server: asked for %s\n", body)
		w.WriteHeader(http.StatusAccepted)
	})
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
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

// demoHook is what a service behind `forward` does: verify, then act once per
// Idempotency-Key.
func demoHook(w http.ResponseWriter, r *http.Request, home folders, out io.Writer) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
	if err == nil {
		err = demoVerify(r, body, home)
	}
	if err != nil {
		fmt.Fprintf(out, "your service: refused %s: %v\n", r.Header.Get("Webhook-Id"), err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(out, "your service: took %s, %s, %d bytes, signature verified\n",
		r.Header.Get("Webhook-Id"), r.Header.Get("Hookyard-Event-Type"), len(body))
	w.WriteHeader(http.StatusNoContent)
}

func demoVerify(r *http.Request, body []byte, home folders) error {
	catalog, err := provider.Builtin()
	if err != nil {
		return err
	}
	secret, err := os.ReadFile(filepath.Join(home.demo(), "secrets", "acme"))
	if err != nil {
		return err
	}
	p, _ := catalog.Lookup("standard-webhooks")
	receiver, err := p.Bind(provider.Binding{Secrets: []string{strings.TrimSpace(string(secret))}})
	if err != nil {
		return err
	}
	return receiver.Verify(r.Context(), &provider.Delivery{Method: r.Method, Header: r.Header, Body: body, ReceivedAt: time.Now()})
}
