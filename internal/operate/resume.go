package operate

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hookyard/hookyard/event"
	"github.com/hookyard/hookyard/internal/command"
	"github.com/hookyard/hookyard/internal/eventrun"
	"github.com/hookyard/hookyard/internal/worker/parking"
)

func resumeCommand(env command.Env) *cobra.Command {
	var (
		f    repairFlags
		step string
	)
	cmd := &cobra.Command{
		Use:   "resume ID | --all",
		Short: "Try parked steps again: what was in the way is gone",
		Long: `Try the parked steps of a run again, or one of them. The steps before them do
not run again. If it fails again, the run parks again.

Where the Workflow as a whole is parked (step "workflow"), it starts anew with
the code of today and with the results of the steps that are done.`,
		Example: "  hookyard resume stripe:evt_1 --why \"the mail server is back\"\n  hookyard resume --all --source stripe --reason exhausted",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, env, args, resume{step})
		},
	}
	f.flags(cmd, env)
	cmd.Flags().StringVar(&step, "step", "", "the parked step (default all that are parked in the run)")
	return cmd
}

// resume is the repair that tries a parked step, or every one, again.
type resume struct{ step string }

func (resume) words() (does, did string) { return "resume", "resumed" }

func (a resume) do(ctx context.Context, o *operator, r eventrun.Run) (string, error) {
	if err := needParked(r, a.step); err != nil {
		return "", err
	}
	steps := strings.Join(r.StepNames(), ", ")
	if r.More > 0 {
		steps += fmt.Sprintf(" and %d more", r.More)
	}
	if a.step != "" {
		steps = a.step
	}
	err := o.signal(ctx, r, event.SignalResume, parking.Resume{Step: a.step, By: o.by, Why: o.why}, a.step)
	return "resumed at " + steps, err
}
