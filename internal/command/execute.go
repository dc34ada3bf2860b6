package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
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
		Version:       VersionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetArgs(args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	root.DisableSuggestions = true // the error has them
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage(err) })
	root.AddCommand(commands...)
	nameProgram(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Args = topicExists
		}
	}
	checkArguments("", root.Commands())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return nil
	}
	if found := unknownCommand.FindStringSubmatch(err.Error()); found != nil {
		name, _ := strconv.Unquote(found[1]) // cobra has quoted it
		return Usage(fmt.Errorf("there is no command %q%s", name, config.Suggest(name, namesOf(root.Commands()))))
	}
	return err
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
