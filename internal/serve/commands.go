// Package serve is the service: the commands that run the edge and the worker,
// and that prepare and watch them.
package serve

import (
	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
)

// Commands returns the commands of this package.
func Commands(env command.Env) []*cobra.Command {
	return []*cobra.Command{serveCommand(env), setupCommand(env), healthCommand(env), codecCommand(env)}
}
