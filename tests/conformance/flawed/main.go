//go:build flawed

// Command flawed is a receiver put together from Hookyard's own packages in
// which one thing is replaced by what people write in its place. The
// conformance scenarios have to find each of these flaws.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/hookyard/hookyard/activities"
	"github.com/hookyard/hookyard/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves an edge or a worker until ctx ends.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("flawed", flag.ContinueOnError)
	file := flags.String("config", "hookyard.yaml", "the config file")
	only := flags.String("only", "", "edge or worker")
	name := flags.String("flaw", "none", "what is to be wrong")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, ok := flaws()[*name]
	if !ok {
		return fmt.Errorf("--flaw %q: there are %q", *name, slices.Sorted(maps.Keys(flaws())))
	}
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg, err := config.Load(*file, config.Options{App: activities.Config{}})
	if err != nil {
		return err
	}
	options, err := envconfig.LoadClientOptions(envconfig.LoadClientOptionsRequest{})
	if err != nil {
		return fmt.Errorf("temporal profile: %w", err)
	}
	options.Logger = log.NewStructuredLogger(logger)
	c, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("temporal: %w", err)
	}
	defer c.Close()

	r := receiver{config: cfg, client: c, logger: logger, flaw: chosen}
	switch *only {
	case "edge":
		return r.serveEdge(ctx)
	case "worker":
		return r.serveWorker(ctx)
	default:
		return errors.New("--only: want edge or worker")
	}
}
