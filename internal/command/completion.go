package command

import (
	"github.com/spf13/cobra"
)

// Completer lists what may be written at a place of a command line: each a word
// or, after a tab, with a note about it. args are the arguments before it.
type Completer func(cmd *cobra.Command, args []string) []string

// Complete gives commands the completion of their arguments, by the words that
// stand for them in the usage lines, and of their flags, by name. What a command
// completes by itself stays.
func Complete(commands []*cobra.Command, arguments, flags map[string]Completer) {
	for _, c := range commands {
		if places := placeholders(c.Use); c.ValidArgsFunction == nil && len(places) > 0 {
			c.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				if len(args) >= len(places) {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				return found(arguments[places[len(args)]], cmd, args)
			}
		}
		for name, complete := range flags {
			if c.Flags().Lookup(name) == nil {
				continue
			}
			_ = c.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				return found(complete, cmd, args)
			}) // the flag is there
		}
		Complete(c.Commands(), arguments, flags)
	}
}

// found is what a completer says to the shell. Without one, files are completed.
func found(complete Completer, cmd *cobra.Command, args []string) ([]string, cobra.ShellCompDirective) {
	if complete == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return complete(cmd, args), cobra.ShellCompDirectiveNoFileComp
}

// Fixed is a completer for a list that never changes.
func Fixed(words ...string) Completer {
	return func(*cobra.Command, []string) []string { return words }
}

// SourcesOf completes the sources of the config that the command line names, or
// that the command would find, each with its provider.
func SourcesOf(env Env) Completer {
	return func(cmd *cobra.Command, _ []string) (names []string) {
		set := settingOf(env, cmd)
		if set == nil {
			return nil
		}
		for _, s := range set.Sources {
			names = append(names, cobra.CompletionWithDesc(s.Name, s.Provider))
		}
		return names
	}
}

// TypesOf completes the event types that there are samples of, those of the source
// that is the first argument.
func TypesOf(env Env) Completer {
	return func(cmd *cobra.Command, args []string) []string {
		set := settingOf(env, cmd)
		if set == nil || len(args) == 0 {
			return nil
		}
		source, err := set.Declared(args[0])
		if err != nil {
			return nil
		}
		p, ok := set.Catalog.Lookup(source.Provider)
		if !ok {
			return nil
		}
		_, _, types := p.Sample("")
		return types
	}
}

// ProvidersOf completes the providers, the config's own among them.
func ProvidersOf(env Env) Completer {
	return func(cmd *cobra.Command, _ []string) []string {
		if set := settingOf(env, cmd); set != nil {
			return set.Catalog.Names()
		}
		catalog, err := env.App.Catalog()
		if err != nil {
			return nil
		}
		return catalog.Names()
	}
}

// settingOf is what can be made of the config, nil where there is none. A config
// with mistakes completes what it can.
func settingOf(env Env, cmd *cobra.Command) *Setting {
	named := ""
	if f := cmd.Flag("config"); f != nil && f.Changed {
		named = f.Value.String()
	}
	file, err := FindConfig(named, env)
	if err != nil {
		return nil
	}
	set, _, err := Examine(file, env, true)
	if err != nil {
		return nil
	}
	return set
}
