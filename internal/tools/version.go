package tools

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/temporal"

	"github.com/hookyard/hookyard/internal/command"
)

func versionCommand(env command.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			program := ""
			if p := command.ProgramVersion(); p != "" {
				program = " in " + p
			}
			_, err := fmt.Fprintf(env.Stdout, "hookyard %s%s (%s, Temporal SDK v%s)\n",
				command.Version(), program, runtime.Version(), temporal.SDKVersion)
			return err
		},
	}
}
