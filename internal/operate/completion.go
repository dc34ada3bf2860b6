package operate

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
)

// completion says what the arguments and flags of this package's commands may be.
func completion(env command.Env, commands []*cobra.Command) {
	ids := parkedIDs(env)
	command.Complete(commands,
		map[string]command.Completer{"SOURCE": command.SourcesOf(env), "ID": ids, "ID|--all": ids},
		map[string]command.Completer{
			"source": command.SourcesOf(env),
			"reason": command.Fixed(reasons()...),
			"step":   func(*cobra.Command, []string) []string { return env.App.ActivityNames() },
			"output": command.Fixed(outputs()...),
		})
}

const (
	completeWithin = 2 * time.Second // who presses Tab does not wait longer
	mostCompleted  = 200
)

// parkedIDs completes the Workflow Ids of parked runs, each with what is parked.
func parkedIDs(env command.Env) command.Completer {
	env.Stderr = io.Discard // a message would stand in the middle of the line
	return func(cmd *cobra.Command, args []string) (ids []string) {
		if len(args) > 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		o, err := newOperator(ctx, env)
		if err != nil {
			return nil
		}
		defer o.close()
		for r, err := range eventrun.List(ctx, o.client, filter{}.query()) {
			if err != nil || len(ids) == mostCompleted {
				break
			}
			ids = append(ids, cobra.CompletionWithDesc(r.ID, command.PlainLine(stepsOf(r)[0].Name+" "+r.Reasons(), 60)))
		}
		return ids
	}
}
