package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
	"github.com/hookyard/hookyard/internal/command"
)

func checkCommand(env command.Env) *cobra.Command {
	var skipSecrets bool
	cmd := &cobra.Command{
		Use:   "check [FILE | FOLDER]",
		Short: "Find every mistake in a config file",
		Long: `Find every mistake in a config file and print each as file:line, with what was
found and what there is. Exits 0 if there is none, 1 otherwise. "serve" refuses
to start on the same mistakes. A warning is printed as well, and counts for
nothing: what it names may be right. Without FILE, it is hookyard.yaml here, or
the demo's.

Of a FOLDER, the provider files in it are checked, without a config.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := command.FindConfig(strings.Join(args, ""), env)
			if err != nil {
				return err
			}
			if info, err := os.Stat(file); err == nil && info.IsDir() {
				return checkProviders(env, file)
			}
			set, err := command.Load(file, env, skipSecrets)
			if err != nil {
				return err
			}
			for _, warning := range set.Warnings {
				fmt.Fprintf(env.Stdout, "warning: %v\n", warning)
			}
			_, err = fmt.Fprintf(env.Stdout, "%s: no mistakes; %s\n", file, command.Count(len(set.Sources), "source"))
			return err
		},
	}
	cmd.Flags().BoolVar(&skipSecrets, "skip-secrets", false, "do not look secrets up; for machines that do not have them")
	return cmd
}

// checkProviders finds every mistake in a folder of provider files.
func checkProviders(env command.Env, folder string) error {
	catalog, err := env.App.Catalog()
	if err != nil {
		return err
	}
	before := len(catalog.Names())
	var mistakes config.Mistakes
	for _, p := range catalog.Add(os.DirFS(folder)) {
		mistakes = append(mistakes, config.Mistake{File: filepath.Join(folder, p.File), Line: max(p.Line, 1), Text: p.Text})
	}
	if err := mistakes.Err(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: no mistakes; %s\n", folder, command.Count(len(catalog.Names())-before, "provider"))
	return err
}
