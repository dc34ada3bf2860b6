package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Execute runs a command line of the given commands. It returns when the command
// is done or, for one that serves, when ctx ends and everything it started has
// stopped.
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
	nameProgram(root)
	countArgs("", root.Commands())
	err := root.ExecuteContext(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "unknown command") {
		return Usage(err)
	}
	return err
}

// countArgs makes a wrong number of arguments a mistake in the command line that
// says where to read on.
func countArgs(parent string, commands []*cobra.Command) {
	for _, c := range commands {
		path := parent + c.Name()
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, got []string) error {
				err := check(cmd, got)
				if err == nil || strings.HasPrefix(err.Error(), path+":") { // it says so itself
					return err
				}
				return Usage(fmt.Errorf("%s: %w; see `hookyard %s --help`", path, err, path))
			}
		}
		countArgs(path+" ", c.Commands())
	}
}

// nameProgram has the help of each command say how this program is started.
func nameProgram(root *cobra.Command) {
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: Invocation()}
	for commands := []*cobra.Command{root}; len(commands) > 0; commands = commands[1:] {
		c := commands[0]
		c.Long = asTyped(c.Long)
		c.Example = strings.ReplaceAll(c.Example, "hookyard ", Invocation()+" ")
		commands = append(commands, c.Commands()...)
	}
}

// asTyped puts the name that this program is started by into a text for a
// terminal. Texts are written for the program hookyard, and quote its commands
// as `hookyard NAME` or "hookyard NAME".
func asTyped(text string) string {
	return strings.NewReplacer("`hookyard ", "`"+Invocation()+" ", "\"hookyard ", "\""+Invocation()+" ").Replace(text)
}
