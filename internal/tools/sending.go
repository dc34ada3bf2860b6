package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/send"
)

// sendingAPI is where the commands of the sending side find its API.
type sendingAPI struct {
	env    command.Env
	config string
	url    string
	json   bool
}

func (a *sendingAPI) flags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVarP(&a.config, "config", "c", "", "the config file, whose first send.keys is used (default hookyard.yaml if it is here, else the demo's)")
	f.StringVar(&a.url, "api", "", "the URL of the sending API (default send.listen in the config)")
	f.BoolVar(&a.json, "json", false, "print JSON, one object per line")
}

// client returns a client of the API. Mistakes elsewhere in the config do not
// matter to it.
func (a *sendingAPI) client() (*send.Client, error) {
	file, err := command.FindConfig(a.config, a.env)
	if err != nil {
		return nil, err
	}
	set, mistakes, err := command.Examine(file, a.env, false)
	switch {
	case err != nil:
		return nil, err
	case set.Send == nil:
		return nil, errors.Join(fmt.Errorf("%s has no send: section, so nothing is sent", file), mistakes.Err())
	case len(set.Send.Keys) == 0 || set.Send.Keys[0].Reveal() == "":
		return nil, errors.Join(errors.New("the first of send.keys cannot be read"), mistakes.Err())
	}
	to := a.url
	if to == "" {
		to = "http://" + set.Send.Listen
	}
	return &send.Client{URL: to, Key: set.Send.Keys[0].Reveal()}, nil
}

// object is an answer of the API. The commands print what it says.
type object = map[string]any

func text(o object, field string) string {
	switch v := o[field].(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, fmt.Sprint(item))
		}
		return strings.Join(items, ",")
	default:
		return fmt.Sprint(v)
	}
}

// print prints one object: as JSON, or its fields in the order given, those that
// are not empty.
func (a *sendingAPI) print(o object, fields ...string) error {
	if a.json {
		return a.printJSON(o)
	}
	table := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	for _, field := range fields {
		if value := text(o, field); value != "" {
			fmt.Fprintf(table, "%s\t%s\n", field, command.PlainLine(value, 300))
		}
	}
	return table.Flush()
}

func (a *sendingAPI) printJSON(o object) error {
	encoder := json.NewEncoder(a.env.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(o)
}

// list prints all pages of a list, as a table with the fields as columns.
func (a *sendingAPI) list(cmd *cobra.Command, path string, q url.Values, fields ...string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.env.Stdout, 0, 0, 2, ' ', 0)
	var out io.Writer = table
	if !a.json {
		fmt.Fprintln(out, strings.ToUpper(strings.Join(fields, "\t")))
	}
	q.Set("limit", "200")
	for {
		var page struct {
			Data []object
			Next string
		}
		if err := c.Call(cmd.Context(), http.MethodGet, path+"?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		for _, o := range page.Data {
			if a.json {
				if err := a.printJSON(o); err != nil {
					return err
				}
				continue
			}
			var cells []string
			for _, field := range fields {
				cells = append(cells, command.OrDash(command.PlainLine(text(o, field), 60)))
			}
			fmt.Fprintln(out, strings.Join(cells, "\t"))
		}
		if page.Next == "" {
			return table.Flush()
		}
		q.Set("cursor", page.Next)
	}
}

// endpointIDs completes the id of an endpoint.
func (a *sendingAPI) endpointIDs(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var page struct{ Data []object }
	if err := c.Call(cmd.Context(), http.MethodGet, "/v1/endpoints?limit=200", nil, &page); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, o := range page.Data {
		ids = append(ids, cobra.CompletionWithDesc(text(o, "id"), text(o, "tenant")+" "+text(o, "url")))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
