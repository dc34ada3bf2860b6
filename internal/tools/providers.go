package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

func providersCommand(env command.Env) *cobra.Command {
	var (
		file   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "providers",
		Short: "List the providers there are, and show one",
		Long: `List the providers there are: how each signs, where the event's id and type
stand, how long it waits for an answer, how long it redelivers, and by which
methods its handshakes come. "providers show NAME" says everything about one,
and "providers schema" prints the JSON Schema of a provider file.

A provider that is not there is one YAML file in the folder that "providers:"
names in the config. Those are listed, too.

With --json, a line is a provider: name, alias_of, docs, scheme, signature, id,
unsigned_id, type, batches, acknowledge_within, redelivers_for, redelivers_by_hand, handshakes, send
and samples.`,
		Example: "  hookyard providers\n  hookyard providers --json | jq -r 'select(.unsigned_id).name'",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			catalog, mistakes := chosenCatalog(env, file)
			if catalog == nil {
				return mistakes
			}
			facts := listProviders(catalog)
			if !asJSON {
				return errors.Join(printProviders(env.Stdout, facts), mistakes)
			}
			encoder := json.NewEncoder(env.Stdout)
			encoder.SetEscapeHTML(false)
			for _, f := range facts {
				if err := encoder.Encode(f); err != nil {
					return err
				}
			}
			return mistakes
		},
	}
	cmd.PersistentFlags().StringVarP(&file, "config", "c", "", "the config file, whose own providers are among them (default hookyard.yaml if it is here, else the demo's)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per provider")
	cmd.AddCommand(providersShowCommand(env, &file), providersSchemaCommand(env))
	return cmd
}

// chosenCatalog is the built-in catalog with the own providers of the config that
// is named or found, if one is. Mistakes are returned beside the catalog that
// could be made: they keep nobody from the other providers.
func chosenCatalog(env command.Env, named string) (*provider.Catalog, error) {
	file, err := command.FindConfig(named, env)
	if err != nil && named == "" {
		return env.App.Catalog()
	}
	if err != nil {
		return nil, err
	}
	return command.OwnCatalog(file, env)
}

// providerFacts are what is worth knowing of a provider. Its JSON is for
// programs: fields may be added, and none is renamed.
type providerFacts struct {
	Name              string   `json:"name"`
	AliasOf           string   `json:"alias_of,omitempty"`
	Docs              string   `json:"docs"`
	Scheme            string   `json:"scheme"`    // the algorithm, or the name of a scheme in Go
	Signature         string   `json:"signature"` // where it stands; "" for a scheme in Go
	ID                []string `json:"id"`
	UnsignedID        bool     `json:"unsigned_id"`
	Type              []string `json:"type"`
	Batches           bool     `json:"batches"`
	AcknowledgeWithin string   `json:"acknowledge_within,omitempty"` // as Go writes it
	RedeliversFor     string   `json:"redelivers_for,omitempty"`     // by itself
	RedeliversByHand  string   `json:"redelivers_by_hand,omitempty"` // when a person asks it to
	Handshakes        []string `json:"handshakes"`                   // HTTP methods
	Send              string   `json:"send"`                         // yes, pair or no
	Samples           []string `json:"samples"`                      // event types
}

// What `hookyard send` can do.
const (
	sendYes  = "yes"
	sendPair = "pair" // with a key pair of its own
	sendNo   = "no"
)

func listProviders(catalog *provider.Catalog) []providerFacts {
	facts := make([]providerFacts, 0, len(catalog.Names()))
	for _, name := range catalog.Names() {
		p, _ := catalog.Lookup(name)
		facts = append(facts, factsOf(p, catalog))
	}
	return facts
}

func factsOf(p *provider.Provider, catalog *provider.Catalog) providerFacts {
	spec := p.Spec()
	_, _, samples := p.Sample("")
	return providerFacts{
		Name:              p.Name(),
		AliasOf:           catalog.AliasOf(p.Name()),
		Docs:              p.Docs(),
		Scheme:            spec.Signature.Scheme + spec.Signature.Algorithm, // only one is given
		Signature:         strings.Join(append(spec.Signature.Header, spec.Signature.From...), " or "),
		ID:                append([]string{}, spec.Event.ID...),
		UnsignedID:        p.UnsignedID(),
		Type:              append([]string{}, spec.Event.Type...),
		Batches:           p.Batches(),
		AcknowledgeWithin: shortDuration(p.AcknowledgeWithin()),
		RedeliversFor:     shortDuration(time.Duration(spec.Retries.For)),
		RedeliversByHand:  shortDuration(time.Duration(spec.Retries.ByHand)),
		Handshakes:        append([]string{}, p.Greets()...),
		Send:              sendAbility(p),
		Samples:           samples,
	}
}

func sendAbility(p *provider.Provider) string {
	switch {
	case p.SignsWithPair():
		return sendPair
	case p.CanSign():
		return sendYes
	default:
		return sendNo
	}
}

// shortDuration writes 72h and 5m for 72h0m0s and 5m0s, and "" for 0.
func shortDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func printProviders(out io.Writer, facts []providerFacts) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSCHEME\tID\tTYPE\tWAITS\tREDELIVERS\tHANDSHAKE")
	var aliases []providerFacts
	for _, f := range facts {
		if f.AliasOf != "" {
			aliases = append(aliases, f)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.Scheme, firstOf(f.ID), firstOf(f.Type),
			command.OrDash(f.AcknowledgeWithin), command.OrDash(f.RedeliversFor), command.OrDash(strings.Join(f.Handshakes, ", ")))
	}
	if err := table.Flush(); err != nil || len(aliases) == 0 {
		return err
	}
	fmt.Fprintln(table, "\nALIAS\tDOES ALL AS")
	for _, f := range aliases {
		fmt.Fprintf(table, "%s\t%s\n", f.Name, f.AliasOf)
	}
	return table.Flush()
}

// firstOf shows the first of several sources and that there are more.
func firstOf(sources []string) string {
	switch len(sources) {
	case 0:
		return "-"
	case 1:
		return command.PlainLine(sources[0], 40)
	default:
		return fmt.Sprintf("%s (of %d)", command.PlainLine(sources[0], 40), len(sources))
	}
}
