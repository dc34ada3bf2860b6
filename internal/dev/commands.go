// Package dev holds the commands of a developer's machine: to run everything
// there, and to begin a repository of one's own.
package dev

import (
	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
)

// Commands returns the commands of this package.
func Commands(env command.Env) []*cobra.Command {
	return []*cobra.Command{devCommand(env), newCommand(env)}
}
