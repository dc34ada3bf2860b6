package main

import (
	"context"
	"errors"
	"fmt"
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
)

// devOptions are the flags of dev.
type devOptions struct {
	config, listen       string
	temporalPort, uiPort int
	dbFilename           string
	ephemeral, prepare   bool
	logs                 logging
}

func devCommand(env environment) *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine: Temporal, its Web UI, worker and edge",
		Long: `Run everything on this machine: Temporal, its Web UI, the worker and the edge.

The Temporal that already answers at the configured address is used, else
"temporal" from PATH, else a dev server that is built on first use (about 6
minutes, once, with a Go toolchain). Without a config file there is a demo with
sources to try. Ctrl-C stops everything.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd.Context(), env, o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "the config file (default hookyard.yaml if it is here, else a demo)")
	f.StringVar(&o.listen, "listen", "", "where the edge listens (default the config's, 127.0.0.1:8080)")
	f.IntVar(&o.temporalPort, "temporal-port", defaultPort, "Temporal's port")
	f.IntVar(&o.uiPort, "ui-port", 8233, "the Web UI's port")
	f.StringVar(&o.dbFilename, "db-filename", "", "where Temporal keeps its state (default in your state folder)")
	f.BoolVar(&o.ephemeral, "ephemeral", false, "keep nothing: everything is in memory or in a folder that is removed")
	f.BoolVar(&o.prepare, "prepare", false, "only build the dev server, and print where it is")
	cmd.MarkFlagsMutuallyExclusive("db-filename", "ephemeral")
	o.logs.flags(cmd, "text")
	return cmd
}

// dev starts from the bottom up and stops in the reverse order.
func dev(ctx context.Context, env environment, o devOptions) error {
	home, err := userFolders(env)
	if err != nil {
		return err
	}
	builder := devServer{cache: home.cache, progress: env.stderr}
	if o.prepare {
		path, err := builder.path(ctx)
		if err == nil {
			fmt.Fprintln(env.stdout, path)
		}
		return err
	}
	logger, err := o.logs.logger(env)
	if err != nil {
		return err
	}
	if o.ephemeral {
		if home.state, err = os.MkdirTemp("", "hookyard-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(home.state)
	}

	set, l, stopDemo, err := devConfig(ctx, env, o, home)
	if err != nil {
		return err
	}
	defer stopDemo()
	defer l.Close() // the edge closes it first, where it got that far

	options, err := clientOptions(env, logger)
	if err != nil {
		return err
	}
	if _, set := env.LookupEnv("TEMPORAL_ADDRESS"); !set && options.HostPort == net.JoinHostPort(defaultHost, strconv.Itoa(defaultPort)) {
		options.HostPort = net.JoinHostPort(defaultHost, strconv.Itoa(o.temporalPort))
	}
	server := &temporalProcess{options: options, builder: builder, home: home, dev: o, output: env.stderr}
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

	if server.cmd != nil && set.Alerts.WebUI == "" {
		set.Alerts.WebUI = "http://" + net.JoinHostPort(defaultHost, strconv.Itoa(o.uiPort))
	}
	s := &system{setting: set, temporal: options, home: home, logger: logger, drain: 10 * time.Second, app: env.app, edge: true, worker: true,
		listener: l, lookupEnv: env.LookupEnv}
	return s.run(ctx, func() { fmt.Fprint(env.stdout, banner(set, l, options, o, home, server.cmd != nil)) })
}

// devConfig loads the config, or writes and loads the demo's, and listens
// where it says.
func devConfig(ctx context.Context, env environment, o devOptions, home folders) (*setting, net.Listener, func(), error) {
	file := o.config
	if file == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			file = defaultConfig
		}
	}
	stopDemo := func() {}
	if file == "" {
		if env.app.Demo == "" {
			return nil, nil, nil, fmt.Errorf("there is no %s here; write one, or name one with --config", defaultConfig)
		}
		target, stop, err := startDemoService(ctx, home, env.stdout)
		if err != nil {
			return nil, nil, nil, err
		}
		stopDemo = stop
		address := o.listen
		if address == "" {
			address = "127.0.0.1:8080"
		}
		if file, err = writeDemo(env.app.Demo, home, address, target); err != nil {
			stopDemo()
			return nil, nil, nil, err
		}
	}
	set, err := load(file, env, false)
	if err != nil {
		stopDemo()
		return nil, nil, nil, err
	}
	if o.listen != "" {
		set.Listen = o.listen
	}
	l, err := listen(ctx, set.Listen, "--listen")
	if err != nil {
		stopDemo()
		return nil, nil, nil, err
	}
	return set, l, stopDemo, nil
}

func devSetup(ctx context.Context, options client.Options) error {
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return fmt.Errorf("temporal at %s: %w", options.HostPort, err)
	}
	defer c.Close()
	var said strings.Builder
	if err := setup(ctx, c, options.Namespace, defaultRetention, &said); err != nil {
		return fmt.Errorf("temporal at %s: %w", options.HostPort, err)
	}
	return nil
}

// banner says what is where, and what to try.
func banner(set *setting, l net.Listener, temporal client.Options, o devOptions, home folders, ownTemporal bool) string {
	var b strings.Builder
	line := func(what, value string) { fmt.Fprintf(&b, "  %-12s %s\n", what, value) }
	b.WriteString("\nhookyard is up; Ctrl-C stops it.\n\n")
	for _, s := range set.Sources {
		line("webhooks", fmt.Sprintf("http://%s/webhooks/%s", l.Addr(), s.Name))
	}
	line("Temporal", temporal.HostPort+", namespace "+temporal.Namespace)
	if ownTemporal {
		runs := fmt.Sprintf("http://%s/namespaces/%s/workflows", net.JoinHostPort(defaultHost, strconv.Itoa(o.uiPort)), url.PathEscape(temporal.Namespace))
		line("Web UI", runs)
		for _, view := range savedViews(set) {
			line("  "+view.name, runs+"?query="+url.QueryEscape(view.query))
		}
	}
	if set.File == filepath.Join(home.demo(), defaultConfig) {
		line("demo", home.demo())
	}
	b.WriteString("\nTry it, from another terminal:\n\n")
	for _, try := range samples(set) {
		fmt.Fprintf(&b, "  %s send %s%s\n", invocation(), try, configFlag(set, o))
	}
	b.WriteString("\n")
	return b.String()
}

type view struct{ name, query string }

// savedViews are the lists that people open most.
func savedViews(set *setting) []view {
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
func samples(set *setting) []string {
	var lines []string
	for _, s := range set.Sources {
		p, ok := set.catalog.Lookup(s.Provider)
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

// invocation is how this program was started, as one would type it.
func invocation() string {
	exe, err := os.Executable()
	if err != nil || strings.Contains(exe, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/hookyard"
	}
	return filepath.Base(exe)
}

// configFlag is what `send` needs to find this config, if anything.
func configFlag(set *setting, o devOptions) string {
	if o.config == "" && !o.ephemeral || set.File == defaultConfig {
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
