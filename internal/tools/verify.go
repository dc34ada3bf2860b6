package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	provider, source, config, url, cert string
	secrets                             []string
	options                             map[string]string
	at                                  int64
	atGiven                             bool
	tolerance                           time.Duration
	json                                bool
}

func verifyCommand(env command.Env) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Say why a delivery is taken or refused",
		Long: `Say why a delivery is taken or refused, offline.

FILE, or standard input, is the HTTP request as it was sent: request line,
headers, a blank line, body. Give the provider and a secret, or --source for
those of a source in the config. Exits 0 if the signature is good, 1 if not.

With --json it reads many, one JSON object a line: id, provider or scheme,
method, url, headers, body or body_b64, secret, public_key, cert_pem, options,
now_unix, tolerance_s. One without a provider is held against that of the flags.
It prints a line for each: id, accept, reason, because, event_id, event_type,
events of a batch, and response where the provider wants a certain one. A line
that cannot be read has the reason "bad-line". Exits 0 once all are answered.`,
		Example: "  hookyard verify request.http --provider stripe --secret env:STRIPE_WEBHOOK_SECRET --at 1700000000\n" +
			"  hookyard verify --json --source stripe < deliveries.jsonl",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.atGiven = cmd.Flags().Changed("at")
			named := o.source != "" || o.provider != ""
			if o.source != "" && o.provider != "" || !named && !o.json {
				return command.Usage(errors.New("verify: give either --source, or --provider and --secret; usage: `hookyard verify [FILE] --source SOURCE`"))
			}
			in, err := openInput(env, args)
			if err != nil {
				return err
			}
			defer in.Close()
			set, err := verifySetting(env, o)
			if err != nil {
				return err
			}
			var receiver *provider.Receiver
			if named {
				if receiver, err = verifyReceiver(env, o, set); err != nil {
					return err
				}
			}
			if o.json {
				j := judge{catalog: set.Catalog, receiver: receiver, now: o.now}
				return j.lines(cmd.Context(), in, env.Stdout)
			}
			return verifyOne(cmd.Context(), env, o, set, receiver, in)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.provider, "provider", "", "the provider's name")
	f.StringArrayVar(&o.secrets, "secret", nil, "a secret: env:NAME, file:PATH, or the text itself; may be repeated")
	f.StringToStringVar(&o.options, "option", nil, "an option of the provider, NAME=VALUE; may be repeated")
	f.StringVar(&o.cert, "cert", "", "the file that stands in for the certificate which the delivery names")
	f.StringVar(&o.source, "source", "", "take provider and secrets from this source of the config")
	f.StringVarP(&o.config, "config", "c", "", "the config file (default hookyard.yaml if it is here, else the demo's)")
	f.StringVar(&o.url, "url", "", "the public URL, for providers that sign it (default public_url of the source's config, else from the request)")
	f.Int64Var(&o.at, "at", 0, "the time to verify at, in Unix seconds (default now)")
	f.DurationVar(&o.tolerance, "tolerance", 0, "how far the timestamp may be from that (default the provider's)")
	f.BoolVar(&o.json, "json", false, "read and print JSON, one delivery a line")
	return cmd
}

// now is the clock to verify at.
func (o verifyOptions) now() time.Time {
	if o.atGiven {
		return time.Unix(o.at, 0)
	}
	return time.Now()
}

// maxRequest is more than any edge takes.
const maxRequest = 64 << 20

func openInput(env command.Env, args []string) (io.ReadCloser, error) {
	if len(args) == 1 && args[0] != "-" {
		return os.Open(args[0])
	}
	return io.NopCloser(env.Stdin), nil
}

// verifySetting is the config, where a source of it or the config itself is
// asked for, and else the built-in catalog alone.
func verifySetting(env command.Env, o verifyOptions) (*command.Setting, error) {
	if o.source == "" {
		catalog, err := chosenCatalog(env, o.config)
		if err != nil && catalog != nil {
			if _, known := catalog.Lookup(o.provider); known {
				err = nil // the mistake is elsewhere
			}
		}
		return &command.Setting{Catalog: catalog}, err
	}
	file, err := command.FindConfig(o.config, env)
	if err != nil {
		return nil, err
	}
	return command.LoadFor(file, env, o.source)
}

// verifyReceiver is that of the flags, cut off from the network.
func verifyReceiver(env command.Env, o verifyOptions, set *command.Setting) (*provider.Receiver, error) {
	held, err := readCertificate(o.cert)
	if err != nil {
		return nil, err
	}
	if o.source != "" {
		source, err := set.Source(o.source)
		if err != nil {
			return nil, err
		}
		return source.Provider.Rebind(func(b *provider.Binding) {
			b.Fetch = held
			b.Tolerance = cmp.Or(o.tolerance, b.Tolerance)
		})
	}
	p, ok := set.Catalog.Lookup(o.provider)
	if !ok {
		return nil, fmt.Errorf("unknown provider %q%s", o.provider, config.Suggest(o.provider, set.Catalog.Names()))
	}
	var secrets []string
	for _, s := range o.secrets {
		secret, err := revealSecret(env, s)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return p.Bind(provider.Binding{Secrets: secrets, Tolerance: o.tolerance, Options: o.options, Fetch: held})
}

// heldCertificate stands in for what a scheme would get over the network.
type heldCertificate []byte

func readCertificate(file string) (heldCertificate, error) {
	if file == "" {
		return nil, nil
	}
	return os.ReadFile(file)
}

// Fetch implements provider.Fetcher.
func (h heldCertificate) Fetch(context.Context, string) ([]byte, error) {
	if len(h) == 0 {
		return nil, errors.New("verify asks nobody; get what the URL in the delivery returns and give it with --cert, or as cert_pem")
	}
	return h, nil
}

// revealSecret follows a reference; anything else is the secret itself.
func revealSecret(env command.Env, s string) (string, error) {
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

// verifyOne prints the verdict on one request and everything that led to it
// but the secret.
func verifyOne(ctx context.Context, env command.Env, o verifyOptions, set *command.Setting, r *provider.Receiver, in io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(in, maxRequest))
	if err != nil {
		return err
	}
	d, err := parseRequest(raw)
	if err != nil {
		return err
	}
	d.ReceivedAt = o.now()
	asSent := d.URL
	if o.source != "" && set.PublicURL != "" {
		d.URL = underPublicURL(set, asSent) // as the edge sees it
	}
	d.URL = cmp.Or(o.url, d.URL)
	v := judgeDelivery(ctx, r, d)
	v.print(env.Stdout, r, d)
	if v.refused == nil {
		return nil
	}
	if hint := r.Diagnose(ctx, d, surroundings(set, o.source, asSent)); hint != "" {
		printFact(env.Stdout, "hint", hint)
	}
	return command.ErrSilent
}

// surroundings are what the cause of a refusal is looked for in.
func surroundings(set *command.Setting, source, asSent string) provider.Surroundings {
	around := provider.Surroundings{Catalog: set.Catalog, Sources: map[string]*provider.Receiver{}, URLs: []string{asSent}}
	for name, other := range set.Bound {
		if name != source && other.Provider.HasSecret() {
			around.Sources[name] = other.Provider
		}
	}
	return around
}

// underPublicURL is the address of a request under the config's public_url.
func underPublicURL(set *command.Setting, asSent string) string {
	_, rest, _ := strings.Cut(asSent, "://")
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return set.PublicURL
	}
	return strings.TrimSuffix(set.PublicURL, "/") + rest[slash:]
}

func printFact(out io.Writer, what, value string) { fmt.Fprintf(out, "%-15s %s\n", what, value) }

func (v verdict) print(out io.Writer, r *provider.Receiver, d *provider.Delivery) {
	switch {
	case v.refused == nil && v.answer == nil && v.unnamed != nil:
		printFact(out, "verdict", "authentic, but no event: it is answered 422, and the sender gives up or tries again")
		printFact(out, "reason", v.reason())
	case v.refused == nil:
		printFact(out, "verdict", "accept")
	default:
		printFact(out, "verdict", "reject")
		printFact(out, "reason", v.reason())
		printFact(out, "because", v.refused.Error())
	}
	if v.answer != nil {
		printFact(out, "answer", fmt.Sprintf("%d %q", v.answer.Status, v.answer.Body))
	}
	if content, err := r.SignedContent(d); err != nil {
		printFact(out, "signed content", "cannot be put together: "+err.Error())
	} else {
		printFact(out, "signed content", fmt.Sprintf("%q", content))
	}
	if v.unnamed != nil {
		printFact(out, "event", v.unnamed.Error())
	}
	for _, e := range v.events {
		printFact(out, "event id", e.ID)
		printFact(out, "event type", cmp.Or(e.Type, "none; it goes to the Workflow "+r.Name()+"."+event.Untyped))
	}
}
