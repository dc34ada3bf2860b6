// Package operate holds the commands of whoever is on call: to see runs that
// wait for a person, to have them go on, and to pause a source.
package operate

import (
	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
)

// Commands returns the commands of this package.
func Commands(env command.Env) []*cobra.Command {
	return []*cobra.Command{
		parkedCommand(env), resumeCommand(env), resolveCommand(env), amendCommand(env), discardCommand(env), resetCommand(env),
		pauseCommand(env), unpauseCommand(env), replayCommand(env), alertsCommand(env),
	}
}
