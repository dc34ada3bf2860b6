package tools

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
)

var shownFields = []string{ //nolint:gochecknoglobals // a constant list
	"id", "tenant", "url", "events", "state", "state_why", "failing_since", "description", "sign", "rate", "ordered", "schedule", "contact", "verify", "headers", "created_at", "updated_at",
}

func endpointsCommand(env command.Env) *cobra.Command {
	a := &sendingAPI{env: env}
	var tenant string
	cmd := &cobra.Command{
		Use:   "endpoints",
		Short: "List who is sent to, and register, change and replay endpoints",
		Long: `List the endpoints that events are sent to, and work on them: what the API of the
sending side offers, by the operator's key in the config.`,
		Example: "  hookyard endpoints add https://example.com/hooks --tenant acme --events 'invoice.*'\n  hookyard endpoints deliveries ep_1 --state parked\n  hookyard endpoints replay ep_1 --since 24h --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.list(cmd, "/v1/endpoints", query([2]string{"tenant", tenant}), "id", "tenant", "state", "url", "events", "state_why")
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&tenant, "tenant", "", "only those of this tenant")
	cmd.AddCommand(
		a.addCommand(), a.changeCommand(), a.disableCommand(), a.rotateCommand(), a.replayCommand(), a.deliveriesCommand(), a.deliveryCommand(),
		a.act("show ID", "Show an endpoint", http.MethodGet, "", shownFields...),
		a.act("delete ID", "Delete an endpoint and its secrets", http.MethodDelete, ""),
		a.act("verify ID", "Challenge a pending endpoint again", http.MethodPost, "/verify", "id", "state", "state_why"),
		a.act("enable ID", "Enable a disabled endpoint: it is challenged first", http.MethodPost, "/enable", "id", "state", "state_why"),
		a.act("secret ID", "Show what the receiver verifies with", http.MethodGet, "/secret", "keys"),
	)
	return cmd
}

// query is a query of those pairs that have a value.
func query(pairs ...[2]string) url.Values {
	q := url.Values{}
	for _, pair := range pairs {
		if pair[1] != "" {
			q.Set(pair[0], pair[1])
		}
	}
	return q
}

// call makes one request about an endpoint and prints the answer.
func (a *sendingAPI) call(cmd *cobra.Command, method, path string, in any, fields ...string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var answer object
	if err := c.Call(cmd.Context(), method, path, in, &answer); err != nil {
		return err
	}
	if answer == nil {
		return nil
	}
	return a.print(answer, fields...)
}

func endpointPath(id, action string) string { return "/v1/endpoints/" + url.PathEscape(id) + action }

// act is a command that makes one request about one endpoint.
func (a *sendingAPI) act(use, short, method, action string, fields ...string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.endpointIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in any
			if method == http.MethodPost {
				in = object{}
			}
			return a.call(cmd, method, endpointPath(args[0], action), in, fields...)
		},
	}
}

// endpointFlags are the flags of what an owner may set.
func endpointFlags(cmd *cobra.Command) (given func() object) {
	f := cmd.Flags()
	var (
		address, description, contact, verify string
		events, signs, schedule               []string
		headers                               map[string]string
		perSecond                             float64
		ordered                               bool
	)
	f.StringVar(&address, "url", "", "the URL that is sent to")
	f.StringSliceVar(&events, "events", nil, "patterns of event types, such as 'invoice.*'")
	f.StringVar(&description, "description", "", "a note")
	f.StringVar(&contact, "contact", "", "a mail address that hears when it fails")
	f.StringVar(&verify, "verify", "", "how it proves itself: echo or options")
	f.StringSliceVar(&signs, "sign", nil, "how deliveries are signed: v1, v1a")
	f.StringSliceVar(&schedule, "schedule", nil, "the waits between attempts, such as 1m,5m,30m")
	f.StringToStringVar(&headers, "header", nil, "a header that goes along, NAME=VALUE")
	f.Float64Var(&perSecond, "rate", 0, "deliveries per second and worker; 0 for no bound")
	f.BoolVar(&ordered, "ordered", false, "deliver one after the other; one that fails keeps the others waiting")
	for name, choices := range map[string][]string{"verify": {"echo", "options"}, "sign": {"v1", "v1a"}} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	}
	return func() object {
		in := object{}
		for name, value := range map[string]any{
			"url": address, "events": events, "description": description, "contact": contact, "verify": verify, "sign": signs,
			"schedule": schedule, "header": headers, "rate": object{"per_second": perSecond}, "ordered": ordered,
		} {
			if f.Changed(name) {
				in[strings.Replace(name, "header", "headers", 1)] = value
			}
		}
		return in
	}
}

func (a *sendingAPI) addCommand() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use: "add URL", Short: "Register an endpoint, which is challenged then", Args: cobra.ExactArgs(1),
	}
	given := endpointFlags(cmd)
	cmd.Flags().StringVar(&tenant, "tenant", "", "whose endpoint it is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := given()
		in["url"], in["tenant"] = args[0], tenant
		return a.call(cmd, http.MethodPost, "/v1/endpoints", in, shownFields...)
	}
	return cmd
}

func (a *sendingAPI) changeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "change ID", Short: "Change an endpoint; another URL has to prove itself", Args: cobra.ExactArgs(1), ValidArgsFunction: a.endpointIDs,
	}
	given := endpointFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.call(cmd, http.MethodPatch, endpointPath(args[0], ""), given(), shownFields...)
	}
	return cmd
}

func (a *sendingAPI) disableCommand() *cobra.Command {
	cmd := a.act("disable ID", "Send nothing to an endpoint; what is published meanwhile is kept", http.MethodPost, "/disable")
	why := cmd.Flags().String("why", "", "why, for whoever finds it disabled")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.call(cmd, http.MethodPost, endpointPath(args[0], "/disable"), object{"why": *why}, "id", "state", "state_why")
	}
	return cmd
}

func (a *sendingAPI) rotateCommand() *cobra.Command {
	cmd := a.act("rotate ID", "Make a new secret; the old one signs along for a while", http.MethodPost, "/rotate")
	grace := cmd.Flags().Duration("grace", 24*time.Hour, "for how long the old one signs along, at most 168h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.call(cmd, http.MethodPost, endpointPath(args[0], "/rotate"), object{"grace": grace.String()}, "keys", "old_valid_until")
	}
	return cmd
}

func (a *sendingAPI) replayCommand() *cobra.Command {
	cmd := a.act("replay ID", "Send again what an endpoint has missed", http.MethodPost, "/replay")
	cmd.Long = `Send again what an endpoint has missed. The replay runs in Temporal and goes on
when this command is interrupted; it waits until the replay is done.`
	f := cmd.Flags()
	since := f.Duration("since", 24*time.Hour, "how far back")
	only := f.String("only", "missing", "missing: what was not delivered; failed: what was tried; all: also what was delivered")
	dry := f.Bool("dry-run", false, "only count")
	perSecond := f.Float64("rate", 20, "deliveries that are started in a second")
	_ = cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions([]string{"missing", "failed", "all"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		in := object{
			"since": time.Now().UTC().Add(-*since).Format(time.RFC3339), "only": *only, "dry_run": *dry, "rate": object{"per_second": *perSecond},
		}
		var replay object
		if err := c.Call(cmd.Context(), http.MethodPost, endpointPath(args[0], "/replay"), in, &replay); err != nil {
			return err
		}
		for {
			var progress object
			if err := c.Call(cmd.Context(), http.MethodGet, endpointPath(args[0], "/replays/"+text(replay, "id")), nil, &progress); err != nil {
				return err
			}
			if progress["done"] == true {
				return a.print(progress, "id", "count")
			}
			select {
			case <-cmd.Context().Done():
				fmt.Fprintf(a.env.Stderr, "the replay %s goes on\n", text(replay, "id"))
				return cmd.Context().Err()
			case <-time.After(time.Second):
			}
		}
	}
	return cmd
}

func (a *sendingAPI) deliveriesCommand() *cobra.Command {
	var state, event, tenant string
	cmd := &cobra.Command{
		Use: "deliveries [ID]", Short: "List deliveries, the newest first", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.endpointIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.list(cmd, "/v1/deliveries", query([2]string{"endpoint", strings.Join(args, "")}, [2]string{"state", state}, [2]string{"event", event}, [2]string{"tenant", tenant}),
				"id", "type", "state", "started_at", "ended_at")
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "pending, held, parked, delivered or undelivered")
	f.StringVar(&event, "event", "", "of this event; with --tenant or ID")
	f.StringVar(&tenant, "tenant", "", "of this tenant")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"pending", "held", "parked", "delivered", "undelivered"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

func (a *sendingAPI) deliveryCommand() *cobra.Command {
	var retry bool
	cmd := &cobra.Command{
		Use: "delivery ENDPOINT:EVENT", Short: "Show a delivery with its attempts, or have it tried now", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/v1/deliveries/" + url.PathEscape(args[0])
			if retry {
				return a.call(cmd, http.MethodPost, path+"/retry", object{}, "id")
			}
			return a.delivery(cmd, path)
		},
	}
	cmd.Flags().BoolVar(&retry, "retry", false, "have it tried now")
	return cmd
}

func (a *sendingAPI) delivery(cmd *cobra.Command, path string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var d object
	if err := c.Call(cmd.Context(), http.MethodGet, path, nil, &d); err != nil {
		return err
	}
	if err := a.print(d, "id", "type", "state", "why", "started_at", "next_attempt_at", "ended_at"); err != nil || a.json {
		return err
	}
	attempts, _ := d["attempts"].([]any)
	for i, each := range attempts {
		one, _ := each.(object)
		said := strings.TrimSpace(text(one, "status") + " " + text(one, "error") + " " + text(one, "answer"))
		fmt.Fprintf(a.env.Stdout, "attempt %d  %s  %s ms  %s\n", i+1, text(one, "at"), text(one, "ms"), command.PlainLine(said, 200))
	}
	return nil
}
