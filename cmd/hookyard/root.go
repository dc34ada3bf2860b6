package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
)

// run is the whole program. It returns when the command is done or, for one
// that serves, when ctx ends and everything it started has stopped.
func run(ctx context.Context, args []string, env environment) error {
	root := &cobra.Command{
		Use:   "hookyard",
		Short: "Receive webhooks; lose none, run none twice",
		Long: `Hookyard verifies each webhook, stores it by starting a Temporal Workflow under
the provider's event id, and answers only then.

Start with "hookyard dev": it runs everything on this machine.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		devCommand(env), serveCommand(env), healthCommand(env), setupCommand(env), checkCommand(env), providersCommand(env),
		sendCommand(env), verifyCommand(env), alertsCommand(env), versionCommand(env),
		parkedCommand(env), resumeCommand(env), resolveCommand(env), amendCommand(env), discardCommand(env), resetCommand(env),
		pauseCommand(env), unpauseCommand(env), replayCommand(env),
	)
	for _, c := range root.Commands() {
		if args := c.Args; args != nil {
			c.Args = func(cmd *cobra.Command, got []string) error {
				if err := args(cmd, got); err != nil {
					return usageError{fmt.Errorf("%s: %w; see `hookyard %s --help`", cmd.Name(), err, cmd.Name())}
				}
				return nil
			}
		}
	}
	err := root.ExecuteContext(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "unknown command") {
		return usageError{err}
	}
	return err
}

// message is an error as people read it. Mistakes in a config already say
// which file they are in.
func message(err error) string {
	if _, ok := errors.AsType[config.Mistakes](err); ok {
		return err.Error()
	}
	return "hookyard: " + err.Error()
}

// logging are the flags of commands that log.
type logging struct{ level, format string }

func (l *logging) flags(cmd *cobra.Command, format string) {
	cmd.Flags().StringVar(&l.level, "log-level", "info", "least level to log: debug, info, warn or error")
	cmd.Flags().StringVar(&l.format, "log-format", format, "text or json")
}

func (l *logging) logger(env environment) (*slog.Logger, error) {
	options := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, usageError{fmt.Errorf("--log-level %q: want debug, info, warn or error", l.level)}
	}
	options.Level = level
	switch l.format {
	case "text":
		return slog.New(slog.NewTextHandler(env.stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(env.stderr, options)), nil
	default:
		return nil, usageError{fmt.Errorf("--log-format %q: want text or json", l.format)}
	}
}
