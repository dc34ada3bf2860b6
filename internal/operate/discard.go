package operate

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func discardCommand(env command.Env) *cobra.Command {
	var f repairFlags
	cmd := &cobra.Command{
		Use:   "discard ID | --all",
		Short: "Give parked events up and close their runs as failed",
		Long: `Give a parked event up: its run closes as failed, with who did it and why. The
event is not run again when its provider sends it once more. "hookyard reset"
brings a discarded run back for as long as Temporal keeps it.`,
		Example: "  hookyard discard stripe:evt_1 --why \"a test customer\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.needWhy(); err != nil {
				return err
			}
			return f.run(cmd, env, args, discard{})
		},
	}
	f.flags(cmd, env)
	return cmd
}

// discard is the repair that gives an event up.
type discard struct{}

func (discard) words() (does, did string) { return "discard", "discarded" }

func (discard) do(ctx context.Context, o *operator, r eventrun.Run) (string, error) {
	if err := needParked(r, ""); err != nil {
		return "", err
	}
	return "discarded", o.signal(ctx, r, event.SignalDiscard, parking.Discard{By: o.by, Why: o.why})
}
