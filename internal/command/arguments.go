package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/config"
)

// checkArguments has each command say what is wrong with its arguments: which one
// is missing or too many, the usage line, and what could be given.
func checkArguments(parent string, commands []*cobra.Command) {
	for _, c := range commands {
		path := parent + c.Name()
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, got []string) error {
				err := check(cmd, got)
				if _, says := errors.AsType[UsageError](err); err == nil || says { // it says it in its own words
					return about(path, err)
				}
				return Usage(fmt.Errorf("%s: %w", path, wrongArguments(cmd, got)))
			}
		}
		checkArguments(path+" ", c.Commands())
	}
}

// about puts the command in front of what is wrong with its arguments.
func about(path string, err error) error {
	if err == nil || strings.HasPrefix(err.Error(), path+":") {
		return err
	}
	return Usage(fmt.Errorf("%s: %w; see `hookyard %s --help`", path, err, path))
}

// wrongArguments says what is wrong with arguments that do not fit the usage line.
func wrongArguments(cmd *cobra.Command, got []string) error {
	takes := placeholders(cmd.Use)
	usage := fmt.Sprintf("usage: `hookyard %s`", strings.TrimPrefix(cmd.UseLine(), cmd.Root().DisplayName()+" "))
	switch {
	case len(got) < len(takes):
		return fmt.Errorf("%s is missing; %s%s", takes[len(got)], usage, examples(cmd, got))
	case len(takes) == 0 && cmd.HasAvailableSubCommands():
		return fmt.Errorf("there is no command %q%s", got[0], config.Suggest(got[0], namesOf(cmd.Commands())))
	case len(takes) == 0:
		return fmt.Errorf("it takes no argument, and %q was given; %s", got[0], usage)
	default:
		return fmt.Errorf("%q is one argument too many; %s", got[len(takes)], usage)
	}
}

// placeholder is a word of a usage line that stands for an argument.
var placeholder = regexp.MustCompile(`^\[?[A-Z][A-Z_:]*[]|]?`)

// placeholders lists the arguments of a usage line in their order: "SOURCE" and
// "[TYPE]" of "send SOURCE [TYPE]".
func placeholders(use string) []string {
	_, arguments, _ := strings.Cut(use, " ")
	arguments = strings.ReplaceAll(arguments, " | ", "|") // one argument that may be either
	var words []string
	for word := range strings.FieldsSeq(arguments) {
		if placeholder.MatchString(word) {
			words = append(words, strings.Trim(word, "[]"))
		}
	}
	return words
}

// topicExists finds a command that `help` is asked about and that is not there.
func topicExists(cmd *cobra.Command, asked []string) error {
	if _, left, err := cmd.Root().Find(asked); err == nil && len(left) == 0 {
		return nil
	}
	return Usage(fmt.Errorf("there is no command %q%s", strings.Join(asked, " "), config.Suggest(strings.Join(asked, " "), namesOf(cmd.Root().Commands()))))
}

// examples names what could be given as the next argument, as completion knows it.
func examples(cmd *cobra.Command, got []string) string {
	if cmd.ValidArgsFunction == nil {
		return ""
	}
	known, _ := cmd.ValidArgsFunction(cmd, got, "")
	for i, k := range known {
		known[i], _, _ = strings.Cut(k, "\t")
	}
	return config.Suggest("", known)
}

// namesOf lists the commands that a person may be looking for.
func namesOf(commands []*cobra.Command) (names []string) {
	for _, c := range commands {
		if c.IsAvailableCommand() || c.Name() == "help" {
			names = append(names, c.Name())
		}
	}
	slices.Sort(names)
	return names
}

// unknownCommand is what cobra says about a command that is not there.
var unknownCommand = regexp.MustCompile(`^unknown command ("(?:[^"\\]|\\.)*") for `)
