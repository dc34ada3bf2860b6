package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/namespace"
)

// options is a checked command line.
type options struct {
	version bool

	ip, uiIP                            netip.Addr
	port, uiPort, httpPort, metricsPort uint16 // 0: the kernel picks one
	headless                            bool
	uiCodecEndpoint                     string

	dbFilename       string // empty: in memory
	namespaces       []string
	retention        time.Duration
	retentionSet     bool // given, so it also applies to a Namespace in the file
	searchAttributes map[string]enums.IndexedValueType
	dynamicConfig    dynamicconfig.ConfigValueMap

	logLevel    slog.Level
	logLevelSet bool
	logJSON     bool

	warnings []string
}

// never is a level above all that the server logs at.
const never = slog.LevelError + 100

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "never": never,
}

var logFormats = []string{"text", "json", "pretty"}

// raw holds the flags as they were written.
type raw struct {
	version                                 bool
	ip, uiIP                                string
	port, uiPort, httpPort, metricsPort     uint16
	headless                                bool
	uiCodecEndpoint                         string
	dbFilename                              string
	namespaces, searchAttributes, dynConfig []string
	retention                               time.Duration
	logLevel, logFormat                     string
}

func flagSet(r *raw) *pflag.FlagSet {
	f := pflag.NewFlagSet("devserver", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {} // run prints it, and only when asked
	f.StringVar(&r.ip, "ip", "127.0.0.1", "IP address of the frontend")
	f.Uint16VarP(&r.port, "port", "p", 7233, "port of the frontend's gRPC; 0 picks a free one")
	f.Uint16Var(&r.httpPort, "http-port", 0, "port of the frontend's HTTP API; 0 picks a free one")
	f.Uint16Var(&r.metricsPort, "metrics-port", 0, "port of /metrics; 0 picks a free one")
	f.StringVar(&r.uiIP, "ui-ip", "", "IP address of the Web UI (default --ip)")
	f.Uint16Var(&r.uiPort, "ui-port", 0, "port of the Web UI (default --port plus 1000)")
	f.StringVar(&r.uiCodecEndpoint, "ui-codec-endpoint", "", "URL of the codec server that the Web UI decodes payloads with")
	f.BoolVar(&r.headless, "headless", false, "no Web UI")
	f.StringVarP(&r.dbFilename, "db-filename", "f", "", "SQLite file to keep everything in (default in memory)")
	f.StringArrayVarP(&r.namespaces, "namespace", "n", nil, `Namespace to create beside "default"; repeatable`)
	f.DurationVar(&r.retention, "retention", 720*time.Hour, "how long Namespaces keep closed Workflows")
	f.StringArrayVar(&r.searchAttributes, "search-attribute", nil, "Search Attribute to register in each Namespace, NAME=TYPE; repeatable")
	f.StringArrayVar(&r.dynConfig, "dynamic-config-value", nil, "dynamic config, KEY=JSON; repeatable")
	f.StringVar(&r.logLevel, "log-level", "error", "debug, info, warn, error or never")
	f.StringVar(&r.logFormat, "log-format", "text", "text, json or pretty (the same as text)")
	f.BoolVarP(&r.version, "version", "v", false, "print the versions and exit")
	return f
}

func usage() string {
	return "Runs a Temporal server and its Web UI, for development.\n\n" +
		"Usage:\n  devserver server start-dev [flags]\n\nFlags:\n" + flagSet(&raw{}).FlagUsages()
}

// parse reads a command line. Its error is pflag.ErrHelp when help was asked
// for.
func parse(args []string) (options, error) {
	var r raw
	flags := flagSet(&r)
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if r.version {
		return options{version: true}, nil
	}
	if command := flags.Args(); !slices.Equal(command, []string{"server", "start-dev"}) {
		return options{}, fmt.Errorf("unknown command %q; there is only %q", strings.Join(command, " "), "server start-dev")
	}
	opts, err := r.check()
	opts.logLevelSet = flags.Changed("log-level")
	opts.retentionSet = flags.Changed("retention")
	return opts, err
}

func (r raw) check() (opts options, err error) {
	opts = options{
		port: r.port, httpPort: r.httpPort, metricsPort: r.metricsPort, uiPort: r.uiPort,
		headless:        r.headless,
		uiCodecEndpoint: r.uiCodecEndpoint,
		dbFilename:      r.dbFilename,
		namespaces:      unique(append([]string{"default"}, r.namespaces...)),
		retention:       r.retention,
		logJSON:         r.logFormat == "json",
	}
	if opts.ip, err = parseIP("ip", r.ip); err != nil {
		return options{}, err
	}
	opts.uiIP = opts.ip
	if r.uiIP != "" {
		if opts.uiIP, err = parseIP("ui-ip", r.uiIP); err != nil {
			return options{}, err
		}
	}
	// Beyond 65535 there is no port plus 1000, and 0 lets the kernel pick.
	if opts.uiPort == 0 && opts.port != 0 && opts.port <= 65535-1000 {
		opts.uiPort = opts.port + 1000
	}
	if slices.Contains(opts.namespaces, "") {
		return options{}, fmt.Errorf("--namespace is empty; name one")
	}
	if opts.retention < namespace.MinRetentionLocal {
		return options{}, fmt.Errorf("--retention %s is too short; Temporal keeps closed Workflows for at least %s", opts.retention, namespace.MinRetentionLocal)
	}
	if opts.searchAttributes, err = parseSearchAttributes(r.searchAttributes); err != nil {
		return options{}, err
	}
	if opts.dynamicConfig, opts.warnings, err = parseDynamicConfig(r.dynConfig); err != nil {
		return options{}, err
	}
	level, ok := logLevels[r.logLevel]
	if !ok {
		return options{}, fmt.Errorf("--log-level is %q; want debug, info, warn, error or never", r.logLevel)
	}
	opts.logLevel = level
	if !slices.Contains(logFormats, r.logFormat) {
		return options{}, fmt.Errorf("--log-format is %q; want text, json or pretty", r.logFormat)
	}
	return opts, nil
}

// parseIP takes "localhost" too, as Temporal's own server does; the server
// itself wants a number.
func parseIP(flag, s string) (netip.Addr, error) {
	if s == "localhost" {
		s = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--%s is %q; want an IP address, such as 127.0.0.1 or 0.0.0.0", flag, s)
	}
	return ip, nil
}

// parseSearchAttributes reads NAME=TYPE pairs. Types are matched without
// regard to case.
func parseSearchAttributes(pairs []string) (map[string]enums.IndexedValueType, error) {
	types := make(map[string]enums.IndexedValueType)
	for name, value := range enums.IndexedValueType_shorthandValue {
		if value != 0 {
			types[strings.ToLower(name)] = enums.IndexedValueType(value)
		}
	}
	attributes := make(map[string]enums.IndexedValueType, len(pairs))
	for _, pair := range pairs {
		name, typ, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--search-attribute is %q; want NAME=TYPE", pair)
		}
		value, ok := types[strings.ToLower(typ)]
		if !ok {
			return nil, fmt.Errorf("--search-attribute %q has type %q; want one of %s", name, typ, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
		}
		if before, twice := attributes[name]; twice && before != value {
			return nil, fmt.Errorf("--search-attribute %q is given as %s and as %s; keep one", name, before, value)
		}
		attributes[name] = value
	}
	return attributes, nil
}

// parseDynamicConfig reads KEY=JSON pairs; of two with the same key the later
// holds. A key this server does not know and a value of the wrong type are
// warnings and not errors, because the server ignores both and Temporal's own
// command line lets them pass.
func parseDynamicConfig(pairs []string) (dynamicconfig.ConfigValueMap, []string, error) {
	loader := dynamicconfig.YamlLoader{Map: dynamicconfig.ConfigValueMap{}}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, nil, fmt.Errorf("--dynamic-config-value is %q; want KEY=JSON", pair)
		}
		if !json.Valid([]byte(value)) {
			return nil, nil, fmt.Errorf("--dynamic-config-value %q is %q, which is not JSON; a string needs quotes", key, value)
		}
		// JSON is YAML, and the loader knows each key's type.
		loader.LoadValue(dynamicconfig.MakeKey(key), []byte(`[{"value": `+value+`}]`))
	}
	var warnings []string
	for _, warning := range loader.Warnings {
		warnings = append(warnings, "--dynamic-config-value: "+warning.Error())
	}
	return loader.Map, warnings, loader.Err()
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
