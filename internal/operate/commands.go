// Package operate holds the commands of whoever is on call: to see runs that
// wait for a person, to have them go on, and to pause a source.
package operate

import (
	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
)

// Commands returns the commands of this package.
func Commands(env command.Env) []*cobra.Command {
	env.Config = new(string)
	commands := []*cobra.Command{
		parkedCommand(env), resumeCommand(env), resolveCommand(env), amendCommand(env), discardCommand(env), resetCommand(env),
		pauseCommand(env), unpauseCommand(env), replayCommand(env), alertsCommand(env), reconcileCommand(env), journalCommand(env),
	}
	for _, c := range commands {
		if c.Flags().Lookup("config") == nil && c.PersistentFlags().Lookup("config") == nil {
			c.PersistentFlags().StringVarP(env.Config, "config", "c", "",
				"the config file, for its encryption and payload_store (default hookyard.yaml if it is here, else the demo's)")
		}
	}
	completion(env, commands)
	return commands
}
