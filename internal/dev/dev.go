package dev

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/serve"
)

// devOptions are the flags of dev.
type devOptions struct {
	config, listen       string
	temporalPort, uiPort int
	dbFilename           string
	ephemeral, prepare   bool
	watch                bool
	webUI, restarted     bool // given by a dev that watches: see watch.go
	logs                 command.Logging
}

func devCommand(env command.Env) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine: Temporal, its Web UI, worker and edge",
		Long: `Run everything on this machine: Temporal, its Web UI, the worker and the edge.

The Temporal that already answers at the configured address is used, else
"temporal" from PATH, else a dev server that is built on first use (about 6
minutes, once, with a Go toolchain). Without a config file there is a demo with
sources to try. Ctrl-C stops everything.

With --watch the program is built again and restarted whenever its source or its
config changes, while Temporal goes on. A change that does not build, or a
config with mistakes, is reported, and the last good build goes on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.watch {
				return watch(cmd.Context(), env, o, childFlags(cmd.Flags()))
			}
			return dev(cmd.Context(), env, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "the config file (default hookyard.yaml if it is here, else a demo)")
	f.StringVar(&o.listen, "listen", "", "where the edge listens (default the config's, 127.0.0.1:8080)")
	f.IntVar(&o.temporalPort, "temporal-port", command.DefaultPort, "Temporal's port")
	f.IntVar(&o.uiPort, "ui-port", 8233, "the Web UI's port")
	f.StringVar(&o.dbFilename, "db-filename", "", "where Temporal keeps its state (default in your state folder)")
	f.BoolVar(&o.ephemeral, "ephemeral", false, "keep nothing: everything is in memory or in a folder that is removed")
	f.BoolVar(&o.prepare, "prepare", false, "only build the dev server, and print where it is")
	f.BoolVar(&o.watch, "watch", false, "build and restart the program whenever a file of it changes")
	f.BoolVar(&o.webUI, "web-ui", false, "the Web UI of a Temporal that is there already is at --ui-port")
	f.BoolVar(&o.restarted, "restarted", false, "do not say again what is where")
	for _, internal := range []string{"web-ui", "restarted"} {
		f.Lookup(internal).Hidden = true
	}
	cmd.MarkFlagsMutuallyExclusive("db-filename", "ephemeral")
	cmd.MarkFlagsMutuallyExclusive("watch", "prepare")
	o.logs.Flags(cmd, "text")
	return cmd
}

// dev starts from the bottom up and stops in the reverse order.
func dev(ctx context.Context, env command.Env, o devOptions) error {
	home, err := command.UserFolders(env)
	if err != nil {
		return err
	}
	builder := devServer{cache: home.Cache, progress: env.Stderr}
	if o.prepare {
		path, err := builder.path(ctx)
		if err == nil {
			fmt.Fprintln(env.Stdout, path)
		}
		return err
	}
	logger, err := o.logs.Logger(env)
	if err != nil {
		return err
	}
	if o.ephemeral {
		if home.State, err = os.MkdirTemp("", "hookyard-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(home.State)
	}

	d, err := devConfig(ctx, env, o, home)
	if err != nil {
		return err
	}
	defer d.close() // the edge closes the listeners first, where it got that far
	set, l := d.set, d.listener

	options, err := temporalOptions(env, o, logger)
	if err != nil {
		return err
	}
	payloads, err := command.OpenPayloads(ctx, command.PayloadsOf(set.Config))
	if err != nil {
		return err
	}
	if err := payloads.Wire(&options); err != nil {
		return err
	}
	server := &temporalProcess{options: options, builder: builder, home: home, dev: o, output: env.Stderr}
	if err := server.start(ctx); err != nil {
		return err
	}
	defer server.stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopWatching := server.watch(ctx, cancel)
	defer stopWatching()
	if err := devSetup(ctx, options); err != nil {
		return err
	}

	ownWebUI := server.process != nil || o.webUI
	if ownWebUI && set.Alerts.WebUI == "" {
		set.Alerts.WebUI = "http://" + net.JoinHostPort(command.DefaultHost, strconv.Itoa(o.uiPort))
	}
	s := &serve.Service{Started: set, Temporal: options, Payloads: payloads, Home: home, Logger: logger, Drain: 10 * time.Second, App: env.App, Edge: true, Worker: true, AdminElsewhere: true,
		Listener: l, LookupEnv: env.LookupEnv}
	if d.sending != nil {
		s.SendListener = d.sending
	}
	return s.Run(ctx, func() {
		publish := d.register(ctx, home, logger)
		if !o.restarted {
			fmt.Fprint(env.Stdout, banner(set, l, options, o, home, ownWebUI, publish))
		}
	})
}

// temporalOptions leads to the Temporal that is configured or, where none
// is, to the one on --temporal-port.
func temporalOptions(env command.Env, o devOptions, logger *slog.Logger) (client.Options, error) {
	options, err := command.ClientOptions(env, logger)
	if err != nil {
		return client.Options{}, err
	}
	if _, set := env.LookupEnv("TEMPORAL_ADDRESS"); !set && options.HostPort == net.JoinHostPort(command.DefaultHost, strconv.Itoa(command.DefaultPort)) {
		options.HostPort = net.JoinHostPort(command.DefaultHost, strconv.Itoa(o.temporalPort))
	}
	return options, nil
}

// development is what dev runs: a config, where it listens and, for the demo,
// the demo's service and the listener of the sending API.
type development struct {
	set      *command.Setting
	listener net.Listener
	sending  net.Listener // nil but for the demo
	service  string
	stop     func()
}

func (d *development) close() {
	for _, l := range []net.Listener{d.listener, d.sending} {
		if l != nil {
			_ = l.Close()
		}
	}
	if d.stop != nil {
		d.stop()
	}
}

// register makes the demo's service an endpoint, and returns a line that publishes
// to it; "" where there is none.
func (d *development) register(ctx context.Context, home command.Folders, logger *slog.Logger) string {
	if d.sending == nil || d.set.Send == nil {
		return ""
	}
	api := d.sending.Addr().String()
	if err := registerDemo(ctx, d.set, home, api, d.service); err != nil {
		logger.Warn("the demo's service is no endpoint", "err", err)
		return ""
	}
	return publishLine(home, api)
}

// devConfig loads the config, or writes and loads the demo's, and listens
// where it says.
func devConfig(ctx context.Context, env command.Env, o devOptions, home command.Folders) (d *development, err error) {
	d = &development{}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	file, err := devFile(env, o)
	if err != nil {
		return d, err
	}
	if file == "" {
		if d.service, d.stop, err = startDemoService(ctx, home, env.Stdout); err != nil {
			return d, err
		}
		if d.sending, err = listenForSending(ctx); err != nil {
			return d, err
		}
		address := o.listen
		if address == "" {
			address = "127.0.0.1:8080"
		}
		if file, err = writeDemo(env.App.Demo, home, address, d.service, d.sending.Addr().String()); err != nil {
			return d, err
		}
	}
	if d.set, err = command.Load(file, env, false); err != nil {
		return d, err
	}
	if o.listen != "" {
		d.set.Listen = o.listen
	}
	d.listener, err = command.Listen(ctx, d.set.Listen, "--listen")
	return d, err
}

// devFile returns the config file to run, "" for the demo's.
func devFile(env command.Env, o devOptions) (string, error) {
	if o.config != "" {
		return o.config, nil
	}
	if _, err := os.Stat(command.DefaultConfig); err == nil {
		return command.DefaultConfig, nil
	}
	if env.App.Demo == "" {
		return "", fmt.Errorf("there is no %s here; write one, or name one with --config", command.DefaultConfig)
	}
	return "", nil
}

func devSetup(ctx context.Context, options client.Options) error {
	c, err := command.Dial(ctx, options)
	if err != nil {
		return err
	}
	defer c.Close()
	var said strings.Builder
	if err := serve.Setup(ctx, c, options.Namespace, command.DefaultRetention, &said); err != nil {
		return fmt.Errorf("temporal at %s: %w", options.HostPort, err)
	}
	return nil
}

// banner says what is where, and what to try. publish is a line that publishes an
// event, "" for none.
func banner(set *command.Setting, l net.Listener, temporal client.Options, o devOptions, home command.Folders, ownTemporal bool, publish string) string {
	var b strings.Builder
	line := func(what, value string) { fmt.Fprintf(&b, "  %-12s %s\n", what, value) }
	b.WriteString("\nhookyard is up; Ctrl-C stops it.\n\n")
	for _, s := range set.Sources {
		line("webhooks", fmt.Sprintf("http://%s/webhooks/%s", l.Addr(), s.Name))
	}
	if at := command.JournalPlace(set.Store, set.Journal); command.Journals(set.Config) {
		line("journal", fmt.Sprintf("%s; `%s journal%s` says what waits", cmp.Or(at.SQLite, "in PostgreSQL"), command.Invocation(), configFlag(set, o)))
	}
	line("Temporal", temporal.HostPort+", namespace "+temporal.Namespace)
	if ownTemporal {
		runs := fmt.Sprintf("http://%s/namespaces/%s/workflows", net.JoinHostPort(command.DefaultHost, strconv.Itoa(o.uiPort)), url.PathEscape(temporal.Namespace))
		line("Web UI", runs)
		for _, view := range savedViews(set) {
			line("  "+view.name, runs+"?query="+url.QueryEscape(view.query))
		}
	}
	if set.File == filepath.Join(home.Demo(), command.DefaultConfig) {
		line("demo", home.Demo())
	}
	b.WriteString("\nTry it, from another terminal:\n\n")
	for _, try := range samples(set) {
		fmt.Fprintf(&b, "  %s send %s%s\n", command.Invocation(), try, configFlag(set, o))
	}
	if publish != "" {
		fmt.Fprintf(&b, "  %s\n", publish)
	}
	b.WriteString("\n")
	return b.String()
}

type view struct{ name, query string }

// savedViews are the lists that people open most.
func savedViews(set *command.Setting) []view {
	views := []view{
		{"running", `ExecutionStatus="Running"`},
		{"parked", `HookState="parked" AND ExecutionStatus="Running"`},
		{"failed", `ExecutionStatus="Failed"`},
	}
	for _, s := range set.Sources {
		views = append(views, view{s.Name, `HookSource="` + s.Name + `"`})
	}
	return views
}

// samples names one event per source that `send` can sign.
func samples(set *command.Setting) []string {
	var lines []string
	for _, s := range set.Sources {
		p, ok := set.Catalog.Lookup(s.Provider)
		if !ok {
			continue
		}
		_, _, types := p.Sample("")
		if len(types) == 0 {
			continue
		}
		chosen := types[len(types)-1]
		if slices.Contains(types, "invoice.paid") {
			chosen = "invoice.paid"
		}
		lines = append(lines, s.Name+" "+chosen)
	}
	return lines
}

// configFlag is what `send` needs to find this config, if anything.
func configFlag(set *command.Setting, o devOptions) string {
	if o.config == "" && !o.ephemeral || set.File == command.DefaultConfig {
		return ""
	}
	return " --config " + set.File
}

// alive reports whether a Temporal answers at the address.
func alive(ctx context.Context, options client.Options) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return false
	}
	defer c.Close()
	_, err = c.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err == nil
}

// errNoTemporal is a machine on which there is nothing to start.
var errNoTemporal = errors.New("no Temporal to use")
