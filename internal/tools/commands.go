// Package tools holds the commands that need no Temporal: to check a config, to
// look at providers, to verify deliveries, to sign and send samples, and to work on
// the endpoints of the sending side by its API.
package tools

import (
	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
)

// Commands returns the commands of this package.
func Commands(env command.Env) []*cobra.Command {
	commands := []*cobra.Command{checkCommand(env), sendCommand(env), verifyCommand(env), routeCommand(env), endpointsCommand(env), publishCommand(env), providersCommand(env), keygenCommand(env)}
	command.Complete(commands,
		map[string]command.Completer{"SOURCE": command.SourcesOf(env), "TYPE": command.TypesOf(env), "NAME": command.ProvidersOf(env)},
		map[string]command.Completer{"source": command.SourcesOf(env), "provider": command.ProvidersOf(env)})
	return commands
}
