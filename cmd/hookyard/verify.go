package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	provider, source, config, url string
	secrets                       []string
	at                            int64
	tolerance                     time.Duration
}

func verifyCommand(env environment) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Say why a delivery is taken or refused",
		Long: `Say why a delivery is taken or refused, offline.

FILE, or standard input, is the HTTP request as it was sent: request line,
headers, a blank line, body. Give the provider and a secret, or --source for
those of a source in the config. Exits 0 if the signature is good, 1 if not.`,
		Example: "  hookyard verify request.http --provider stripe --secret env:STRIPE_WEBHOOK_SECRET --at 1700000000",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (o.source == "") == (o.provider == "") {
				return usageError{errors.New("give either --provider and --secret, or --source")}
			}
			raw, err := readRequest(env, args)
			if err != nil {
				return err
			}
			receiver, err := verifyReceiver(env, o)
			if err != nil {
				return err
			}
			d, err := parseRequest(raw)
			if err != nil {
				return err
			}
			d.ReceivedAt = time.Now()
			if cmd.Flags().Changed("at") {
				d.ReceivedAt = time.Unix(o.at, 0)
			}
			if o.url != "" {
				d.URL = o.url
			}
			return explain(cmd, env.stdout, receiver, d)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.provider, "provider", "", "the provider's name")
	f.StringArrayVar(&o.secrets, "secret", nil, "a secret: env:NAME, file:PATH, or the text itself; may be repeated")
	f.StringVar(&o.source, "source", "", "take provider and secrets from this source of the config")
	f.StringVarP(&o.config, "config", "c", "", "the config file (default hookyard.yaml if it is here, else the demo's)")
	f.StringVar(&o.url, "url", "", "the public URL, for providers that sign it (default from the request)")
	f.Int64Var(&o.at, "at", 0, "the time to verify at, in Unix seconds (default now)")
	f.DurationVar(&o.tolerance, "tolerance", 0, "how far the timestamp may be from that (default the provider's)")
	return cmd
}

// maxRequest is more than any edge takes.
const maxRequest = 64 << 20

func readRequest(env environment, args []string) ([]byte, error) {
	in := env.stdin
	if len(args) == 1 && args[0] != "-" {
		return os.ReadFile(args[0])
	}
	return io.ReadAll(io.LimitReader(in, maxRequest))
}

func verifyReceiver(env environment, o verifyOptions) (*provider.Receiver, error) {
	if o.source != "" {
		file, err := findConfig(o.config, env)
		if err != nil {
			return nil, err
		}
		set, err := load(file, config.Options{LookupEnv: env.LookupEnv})
		if err != nil {
			return nil, err
		}
		source, ok := set.sources[o.source]
		if !ok {
			return nil, fmt.Errorf("%s has no source %q", file, o.source)
		}
		return source.Receiver, nil
	}
	catalog, err := provider.Builtin()
	if err != nil {
		return nil, err
	}
	p, ok := catalog.Lookup(o.provider)
	if !ok {
		return nil, fmt.Errorf("unknown provider %q%s", o.provider, config.Suggest(o.provider, catalog.Names()))
	}
	var secrets []string
	for _, s := range o.secrets {
		secret, err := revealSecret(env, s)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return p.Bind(secrets, o.tolerance)
}

// revealSecret follows a reference; anything else is the secret itself.
func revealSecret(env environment, s string) (string, error) {
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		value, _ := env.LookupEnv(name)
		if value == "" {
			return "", fmt.Errorf("--secret %s: the variable is not set", s)
		}
		return value, nil
	}
	if path, ok := strings.CutPrefix(s, "file:"); ok {
		value, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("--secret: %w", err)
		}
		return strings.TrimRight(string(value), "\r\n"), nil
	}
	return s, nil
}

// parseRequest reads a request as people keep them: header lines may end in
// LF alone, and without a Content-Length the body is everything after the
// blank line.
func parseRequest(raw []byte) (*provider.Delivery, error) {
	head, body, err := splitRequest(raw)
	if err != nil {
		return nil, err
	}
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), bytes.NewReader(body))))
	if err != nil {
		return nil, fmt.Errorf("not an HTTP request: %w; want a line such as \"POST /webhooks/stripe HTTP/1.1\", headers, a blank line and the body", err)
	}
	defer r.Body.Close()
	if r.ContentLength > 0 || len(r.TransferEncoding) > 0 {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("the body ends before its headers say so: %w", err)
		}
	}
	target := r.URL.String()
	if !r.URL.IsAbs() {
		target = "https://" + r.Host + target
	}
	return &provider.Delivery{Method: r.Method, URL: target, Header: r.Header, Body: body}, nil
}

// splitRequest returns the head, with CRLF line ends and the blank line, and
// the rest.
func splitRequest(raw []byte) (head, body []byte, err error) {
	var b bytes.Buffer
	for rest := raw; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		b.Write(line)
		b.WriteString("\r\n")
		rest = after
		if len(line) == 0 {
			return b.Bytes(), rest, nil
		}
	}
	b.WriteString("\r\n")
	if len(raw) == 0 {
		return nil, nil, errors.New("nothing to verify: the request is empty")
	}
	return b.Bytes(), nil, nil
}

// explain prints the verdict and everything that led to it but the secret.
func explain(cmd *cobra.Command, out io.Writer, r *provider.Receiver, d *provider.Delivery) error {
	line := func(what, value string) { fmt.Fprintf(out, "%-15s %s\n", what, value) }
	verdict := r.Verify(cmd.Context(), d)
	if verdict == nil {
		line("verdict", "accept")
	} else {
		line("verdict", "reject")
		line("reason", provider.Reason(verdict))
		line("because", verdict.Error())
	}
	if errors.Is(verdict, provider.ErrMismatch) && matchesWithoutLineEnd(cmd.Context(), r, *d) {
		line("hint", "it matches without the line break at the end; editors add one")
	}
	if content, err := r.SignedContent(d); err != nil {
		line("signed content", "cannot be put together: "+err.Error())
	} else {
		line("signed content", fmt.Sprintf("%q", content))
	}
	if events, err := r.Identify(d); err != nil {
		line("event", err.Error())
	} else {
		for _, e := range events {
			line("event id", e.ID)
			line("event type", cmp.Or(e.Type, "none; it goes to the Workflow "+r.Name()+"."+event.Untyped))
		}
	}
	if verdict != nil {
		return errSilent
	}
	return nil
}

// matchesWithoutLineEnd finds the most common reason why a genuine delivery
// that was kept in a file does not verify.
func matchesWithoutLineEnd(ctx context.Context, r *provider.Receiver, d provider.Delivery) bool {
	body := bytes.TrimSuffix(bytes.TrimSuffix(d.Body, []byte("\n")), []byte("\r"))
	if len(body) == len(d.Body) {
		return false
	}
	d.Body = body
	return r.Verify(ctx, &d) == nil
}
