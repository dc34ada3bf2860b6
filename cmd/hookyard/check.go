package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
)

func checkCommand(env environment) *cobra.Command {
	var skipSecrets bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Find every mistake in a config file",
		Long: `Find every mistake in a config file and print each as file:line, with what was
found and what there is. Exits 0 if there is none, 1 otherwise. "serve" refuses
to start on the same mistakes.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := defaultConfig
			if len(args) == 1 {
				file = args[0]
			}
			set, err := load(file, config.Options{LookupEnv: env.LookupEnv, SkipSecrets: skipSecrets})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.stdout, "%s: no mistakes; %d sources\n", file, len(set.Sources))
			return err
		},
	}
	cmd.Flags().BoolVar(&skipSecrets, "skip-secrets", false, "do not look secrets up; for machines that do not have them")
	return cmd
}
