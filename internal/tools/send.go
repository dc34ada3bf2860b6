package tools

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

// sendOptions are the flags of send.
type sendOptions struct {
	config, file, id, url string
	times                 int
	generateKey           bool
}

func sendCommand(env command.Env) *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send SOURCE [TYPE]",
		Short: "Sign a sample event as its provider would, and post it",
		Long: `Sign a sample event as the source's provider would, with the source's first
secret, and post it to the edge. Without TYPE the provider's first sample is
sent. Each run sends a new event; --id sends one again, and so does --times, as
a provider redelivers: the same event, signed anew.

Where the secret is the provider's public key, --generate-key makes a pair to
sign with and prints the public half, to be put into the config, too.`,
		Example: "  hookyard send stripe invoice.paid\n  hookyard send stripe invoice.paid --id evt_1 --times 2",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.times < 1 {
				return command.Usage(fmt.Errorf("--times %d: want 1 or more", o.times))
			}
			file, err := command.FindConfig(o.config, env)
			if err != nil {
				return err
			}
			o.config = file
			if o.generateKey {
				return generateKey(env, file, args[0])
			}
			return sendSample(cmd.Context(), env, o, args[0], strings.Join(args[1:], ""))
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "the config file (default hookyard.yaml if it is here, else the demo's)")
	f.StringVar(&o.file, "file", "", "send this body instead of a sample; - for standard input")
	f.StringVar(&o.id, "id", "", "the event id (default a new one)")
	f.IntVar(&o.times, "times", 1, "deliver it so many times")
	f.StringVar(&o.url, "url", "", "where to post (default the source's address in the config)")
	f.BoolVar(&o.generateKey, "generate-key", false, "make a key pair to sign with, print its public half, and send nothing")
	return cmd
}

func sendSample(ctx context.Context, env command.Env, o sendOptions, name, eventType string) error {
	set, err := command.LoadFor(o.config, env, name)
	if err != nil {
		return err
	}
	source, err := set.Source(name)
	if err != nil {
		return err
	}
	if !source.Provider.HasSecret() {
		return fmt.Errorf("source %q has no secret yet: put the one that its provider hands over into the config", name)
	}
	if o.url == "" {
		o.url = "http://" + set.Listen + "/webhooks/" + name
	}
	body, eventType, err := chooseBody(env, o, source.Provider.Provider, eventType)
	if err != nil {
		return err
	}
	if o.id == "" {
		o.id = "evt_" + strings.ToLower(rand.Text())
	}
	refused := false
	for range o.times {
		d := provider.SampleDelivery(signedURL(set, o.url), bytes.Clone(body))
		d.ReceivedAt = time.Now()
		if err := source.Provider.Stamp(d, o.id, eventType); err != nil {
			return fmt.Errorf("source %q: %w", name, err)
		}
		if err := signAs(env, source, name, d); err != nil {
			return fmt.Errorf("source %q: %w", name, err)
		}
		ok, err := post(ctx, withQuery(o.url, d.URL), d, env.Stdout)
		if err != nil {
			return err
		}
		refused = refused || !ok
	}
	if refused {
		return command.ErrSilent
	}
	return nil
}

// chooseBody reads the body that was named, or takes the provider's sample.
func chooseBody(env command.Env, o sendOptions, p *provider.Provider, eventType string) ([]byte, string, error) {
	switch o.file {
	case "":
		sample, chosen, known := p.Sample(eventType)
		if sample == nil {
			return nil, "", fmt.Errorf("provider %q has no sample %q%s, or send your own with --file", p.Name(), eventType, config.Suggest(eventType, known))
		}
		return sample, chosen, nil
	case "-":
		body, err := io.ReadAll(env.Stdin)
		return body, eventType, err
	default:
		body, err := os.ReadFile(o.file)
		return body, eventType, err
	}
}

// signedURL is what a scheme that signs the URL signs: the public one.
func signedURL(set *command.Setting, target string) string {
	if set.PublicURL == "" {
		return target
	}
	path := target
	if _, after, ok := strings.Cut(target, "://"); ok {
		_, path, _ = strings.Cut(after, "/")
	}
	return set.PublicURL + "/" + path
}

// withQuery is the address with the query of the URL that was signed, where
// some providers put the signature.
func withQuery(address, signed string) string {
	address, _, _ = strings.Cut(address, "?")
	if _, query, ok := strings.Cut(signed, "?"); ok {
		address += "?" + query
	}
	return address
}

// post delivers d and prints what became of it. ok is false for any answer but
// a 2xx.
func post(ctx context.Context, target string, d *provider.Delivery, out io.Writer) (ok bool, err error) {
	req, err := http.NewRequestWithContext(ctx, d.Method, target, bytes.NewReader(d.Body))
	if err != nil {
		return false, err
	}
	req.Header = d.Header
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return false, fmt.Errorf("%w; is the edge running? start it with `hookyard dev`", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return false, err
	}
	fields := []string{outcome(said, resp.StatusCode), strconv.Itoa(resp.StatusCode)}
	if id := resp.Header.Get(ingest.WorkflowIDHeader); id != "" {
		fields = append(fields, id)
	}
	_, err = fmt.Fprintln(out, strings.Join(fields, "  "))
	return resp.StatusCode/100 == 2, err
}

// outcome is the word that the edge answered with: a status or, of a problem,
// its title.
func outcome(said []byte, code int) string {
	var fields map[string]any
	if err := json.Unmarshal(said, &fields); err == nil {
		for _, name := range []string{"title", "status"} {
			if word, ok := fields[name].(string); ok {
				return word
			}
		}
	}
	return http.StatusText(code)
}
