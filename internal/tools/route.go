package tools

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/ingest"
	"github.com/hookyard/hookyard/ingest/provider"
	"github.com/hookyard/hookyard/internal/command"
)

func routeCommand(env command.Env) *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "route SOURCE [FILE]",
		Short: "Show which route an event takes, and why",
		Long: `Show which route an event takes, and why, offline.

FILE, or standard input, is the HTTP request as it was sent: request line,
headers, a blank line, body. A JSON body alone will do where the provider says
the event's id and type in the body. The signature is not looked at; for that
there is "verify".`,
		Example: "  hookyard route stripe request.http\n" +
			`  echo '{"id":"evt_1","type":"invoice.paid"}' | hookyard route stripe`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return sourceNames(env, file), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := command.FindConfig(file, env)
			if err != nil {
				return err
			}
			set, err := command.LoadFor(path, env, args[0])
			if err != nil {
				return err
			}
			source, err := set.Source(args[0])
			if err != nil {
				return err
			}
			in, err := openInput(env, args[1:])
			if err != nil {
				return err
			}
			defer in.Close()
			d, err := routedDelivery(in)
			if err != nil {
				return err
			}
			explained, err := source.Explain(d)
			if err != nil {
				return err
			}
			if asJSON {
				return printRoutesJSON(env.Stdout, explained)
			}
			for _, e := range explained {
				printRoute(env.Stdout, set.Config, e)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "the config file (default hookyard.yaml if it is here, else the demo's)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one event a line")
	return cmd
}

// sourceNames are those of the config, for completion.
func sourceNames(env command.Env, file string) (names []string) {
	path, err := command.FindConfig(file, env)
	if err != nil {
		return nil
	}
	set, _, err := command.Examine(path, env, true)
	if err != nil {
		return nil
	}
	for _, s := range set.Sources {
		names = append(names, s.Name)
	}
	return names
}

// routedDelivery reads a request, or a JSON body alone.
func routedDelivery(in io.Reader) (*provider.Delivery, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxRequest))
	if err != nil {
		return nil, err
	}
	if json.Valid(raw) {
		raw = bytes.TrimSpace(raw)
		return &provider.Delivery{Method: http.MethodPost, URL: "https://localhost/", Header: http.Header{"Content-Type": {"application/json"}}, Body: raw, ReceivedAt: time.Now()}, nil
	}
	d, err := parseRequest(raw)
	if err == nil {
		d.ReceivedAt = time.Now()
	}
	return d, err
}

// decision is what becomes of an event, as JSON.
type decision struct {
	ID      string      `json:"id"`
	Type    string      `json:"type,omitempty"`
	Route   event.Route `json:"route"`
	Ignored bool        `json:"ignored,omitempty"`
	Passed  []string    `json:"passed,omitempty"`
}

func printRoutesJSON(w io.Writer, explained []ingest.Explained) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for _, e := range explained {
		if err := lines.Encode(decision{e.Event.ID, e.Event.Type, e.Event.Route, e.Ignored, e.Passed}); err != nil {
			return err
		}
	}
	return nil
}

func printRoute(w io.Writer, cfg *config.Config, e ingest.Explained) {
	route := e.Event.Route
	printFact(w, "event", e.Event.WorkflowID())
	printFact(w, "type", e.Event.Type)
	for _, passed := range e.Passed {
		printFact(w, "not", passed)
	}
	printFact(w, "route", cmp.Or(route.Name, "none fits"))
	printFact(w, "action", action(e))
	if !e.Ignored {
		printFact(w, "task queue", cmp.Or(route.TaskQueue, cfg.Temporal.TaskQueue))
		printFact(w, "fairness", cmp.Or(route.FairnessKey, e.Event.Source))
	}
	if route.Priority > 0 {
		printFact(w, "priority", strconv.Itoa(route.Priority))
	}
	for _, doubt := range route.Doubts {
		printFact(w, "doubt", doubt)
	}
}

func action(e ingest.Explained) string {
	route := e.Event.Route
	switch {
	case e.Ignored:
		return "ignored"
	case route.Action == event.ActionWorkflow:
		return "starts the Workflow " + e.Event.WorkflowType()
	case route.Waiting != nil && route.Waiting.Activity != "":
		return fmt.Sprintf("%s Activity %s of Workflow %s", route.Action, route.Waiting.Activity, route.Waiting.Workflow)
	case route.Waiting != nil:
		return fmt.Sprintf("%s %s to Workflow %s", route.Action, route.Waiting.Name, route.Waiting.Workflow)
	}
	return string(route.Action)
}
