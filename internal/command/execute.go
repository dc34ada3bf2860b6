package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Execute runs a command line of the given commands. It returns when the command is done or, for one
// that serves, when ctx ends and everything it started has stopped.
func Execute(ctx context.Context, env Env, args []string, commands ...*cobra.Command) error {
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
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage(err) })
	root.AddCommand(commands...)
	for _, c := range root.Commands() {
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, got []string) error {
				if err := check(cmd, got); err != nil {
					return Usage(fmt.Errorf("%s: %w; see `hookyard %s --help`", cmd.Name(), err, cmd.Name()))
				}
				return nil
			}
		}
	}
	err := root.ExecuteContext(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "unknown command") {
		return Usage(err)
	}
	return err
}
