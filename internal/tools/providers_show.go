package tools

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

func providersShowCommand(env command.Env, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Say everything about one provider, with a source to paste",
		Long: `Say everything about one provider: how it signs and names its events, a source
to paste into hookyard.yaml, and its file, whose comments tell the traps.`,
		Example: "  hookyard providers show stripe",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			catalog, mistakes := chosenCatalog(env, *file)
			if catalog == nil {
				return mistakes
			}
			p, ok := catalog.Lookup(args[0])
			switch {
			case !ok && mistakes != nil: // it may be the one with a mistake
				return mistakes
			case !ok:
				return fmt.Errorf("unknown provider %q%s", args[0], config.Suggest(args[0], catalog.Names()))
			}
			printProvider(env.Stdout, p, factsOf(p, catalog))
			return nil
		},
	}
}

func providersSchemaCommand(env command.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a provider file",
		Long: `Print the JSON Schema of a provider file. An editor that has it completes the
keys and shows what they mean; put this line above the file for it:

  # yaml-language-server: $schema=provider.schema.json`,
		Example: "  hookyard providers schema > providers/provider.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := env.Stdout.Write(provider.Schema())
			return err
		},
	}
}

func printProvider(out io.Writer, p *provider.Provider, f providerFacts) {
	fmt.Fprintln(out, f.Name)
	fact := func(what, value string) { fmt.Fprintf(out, "  %-14s %s\n", what, value) }
	if f.AliasOf != "" {
		fact("does all as", f.AliasOf)
	}
	fact("docs", f.Docs)
	fact("scheme", strings.TrimSuffix(f.Scheme+" in "+f.Signature, " in "))
	fact("event id", strings.Join(f.ID, ", or "))
	if f.UnsignedID {
		fact("", "It is not signed: who has a delivery can send it again under another id.")
		fact("", "`replay_guard: body` on the source takes the hash of what is signed instead.")
	}
	fact("event type", cmp.Or(strings.Join(f.Type, ", or "), "none"))
	if f.Batches {
		fact("batches", "one Workflow per event; `split: false` on the source keeps a delivery whole")
	}
	fact("waits", cmp.Or(f.AcknowledgeWithin, "not known"))
	fact("redelivers for", cmp.Or(f.RedeliversFor, "never, by itself"))
	if f.RedeliversByHand != "" {
		fact("", f.RedeliversByHand+" when a person asks it to")
	}
	fact("reconcile", reconciles(p))
	fact("handshake", cmp.Or(strings.Join(f.Handshakes, ", "), "none"))
	fact("send", map[string]string{
		sendYes:  "can sign a sample",
		sendPair: "can sign a sample with a key pair of its own: `send --generate-key`",
		sendNo:   "cannot sign: only the provider holds the key",
	}[f.Send])
	fact("samples", cmp.Or(strings.Join(f.Samples, ", "), "none"))
	fmt.Fprintf(out, "\nFor hookyard.yaml:\n\n%s", sourceBlock(p))
	if text, ok := provider.BuiltinFile(cmp.Or(f.AliasOf, f.Name)); ok {
		fmt.Fprintf(out, "\nIts file:\n\n%s", text)
	}
}

// reconciles says whether events are found whose delivery never came.
func reconciles(p *provider.Provider) string {
	spec := p.Spec().Reconcile
	if spec == nil {
		return "no: the file does not say how its API lists what has happened"
	}
	found := "started from its API's list"
	if spec.Redeliver != nil {
		found = "delivered again"
	}
	return "what never came is " + found + "; key: " + spec.Key
}

// sourceBlock is a config with one source of the provider. What has to be
// filled in stands in variables, so that `check` names what is missing.
func sourceBlock(p *provider.Provider) string {
	var b block
	variable := strings.ToUpper(strings.ReplaceAll(p.Name(), "-", "_"))
	if p.SignsURL() {
		b.line("public_url: https://hooks.example.com", "the signature covers the URL")
	}
	b.line("sources:", "")
	b.line("  "+p.Name()+":", "the URL ends in /webhooks/"+p.Name())
	b.line("    provider: "+p.Name(), "")
	switch {
	case p.SecretLater():
		b.line("    # secrets: [env:"+variable+"_SECRET]", "once the provider has handed it over")
	case p.SignsWithPair():
		b.line("    secrets: [env:"+variable+"_PUBLIC_KEY]", "the provider's")
	case p.NeedsSecret():
		b.line("    secrets: [env:"+variable+"_SECRET]", "")
	}
	b.options(p.Spec().Options, variable)
	if p.Spec().Configurable {
		b.ownScheme()
	}
	return b.String()
}

// block is lines of YAML, with comments beside them.
type block struct{ strings.Builder }

func (b *block) line(text, comment string) {
	if comment != "" {
		text = fmt.Sprintf("%-38s # %s", text, comment)
	}
	b.WriteString(text + "\n")
}

// ownScheme shows the keys with which a source describes its sender.
func (b *block) ownScheme() {
	b.line("    signature:", "how your sender signs")
	b.line("      header: X-Signature", "where the signature stands")
	b.line("      # prefix: \"sha256=\"", "what stands before it")
	b.line("      algorithm: hmac-sha256", "or hmac-sha512, hmac-sha1, ed25519, token, …")
	b.line("      encoding: hex", "or base64")
	b.line("      content: \"{body}\"", "what is signed; {timestamp}, {id}, {url}, {header:NAME} as well")
	b.line("      # timestamp: {from: header:X-Timestamp, unit: s, tolerance: 5m}", "")
	b.line("    # secret: {encoding: base64, prefix: whsec_}", "how the secret becomes a key")
	b.line("    event:", "")
	b.line("      id: [json:id]", "one per event, and the same in a redelivery")
	b.line("      unique: {\"json:id\": the page that says so}", "or, where none does: id: [\"{json:id}-{body:sha256}\"]")
	b.line("      type: [json:type]", "")
	b.line("    # retries: {for: 72h, acknowledge_within: 10s}", "how long your sender tries")
}

// options leaves what is not required as a comment.
func (b *block) options(options map[string]provider.OptionSpec, variable string) {
	names := slices.Sorted(maps.Keys(options))
	mark := func(required bool) string {
		if required {
			return ""
		}
		return "# "
	}
	if len(names) > 0 {
		b.line("    "+mark(slices.ContainsFunc(names, func(name string) bool { return options[name].Required }))+"options:", "")
	}
	for _, name := range names {
		o := options[name]
		value := "env:" + variable + "_" + strings.ToUpper(name)
		switch {
		case o.List:
			value = "[VALUE, VALUE]"
		case o.Default != "" && !strings.ContainsAny(o.Default, "{}"):
			value = o.Default
		}
		b.line("    "+mark(o.Required)+"  "+name+": "+value, o.Doc)
	}
}
